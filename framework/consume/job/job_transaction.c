/* job_transaction.c - a job whose handler writes in a transaction of the store: who gives it, who
 * gets its replies, and where its messages go meanwhile.
 */
#include <warren/sqlite.h>

#include "base/forked.h"
#include "base/middleware_own.h"
#include "consume/job/job_batch.h"

void job_on_reply(struct warren_job *job, job_reply_fn *on_reply, void *user)
{
    job->on_reply = on_reply;
    job->on_reply_user = user;
}

void job_on_transaction(struct warren_job *job, job_transaction_fn *give, job_leave_fn *leave,
                        void *user)
{
    job->give_transaction = give;
    job->leave_transaction = leave;
    job->transaction_user = user;
    if (give)
        return;
    job->in_transaction = false;
    job->outbox = NULL;
}

void job_set_outbox(struct warren_job *job, struct warren_outbox *outbox)
{
    job->outbox = outbox;
}

/* What was published before could not be undone with the transaction. */
struct sqlite3 *warren_job_sqlite(struct warren_job *job)
{
    struct sqlite3 *transaction;

    if (forked_since(job->forks))
        return NULL;
    if (!job->give_transaction) {
        warren_job_fail(job, "there is no transaction: the handler must be `transactional`, and "
                             "the middleware idempotency have a store");
        return NULL;
    }
    if (job->settlement && !job->in_transaction) {
        warren_job_fail(job, "the handler published before it asked for its transaction");
        return NULL;
    }
    if (job->batch && !job_batch_writes(job))
        return NULL;
    transaction = job->give_transaction(job, job->transaction_user);
    job->in_transaction = transaction != NULL;
    return transaction;
}

struct sqlite3 *warren_subscription_sqlite(const struct warren_subscription_info *info)
{
    return info && info->subscription ? info->subscription->sqlite : NULL;
}
