/* batch.h - many messages at once: rows to be written together, documents for a bulk request.
 *
 *     static enum warren_outcome store(struct warren_batch *batch, void *state)
 *     {
 *         for (size_t i = 0; i < warren_batch_count(batch); i++) {
 *             struct warren_job *job = warren_batch_job(batch, i);
 *
 *             if (!add(state, warren_job_body(job))) {
 *                 warren_job_fail(job, "no row");
 *                 warren_batch_set(batch, i, WARREN_REJECT);    this one alone
 *             }
 *         }
 *         return flush(state) ? WARREN_ACK : WARREN_RETRY;      all others
 *     }
 *
 *     {.name = "store", .handle_batch = store, ...}, and in the YAML file of the worker
 *     batch: {size: 100, wait: 50ms, bytes: 1MiB}
 *
 * A batch is handled as soon as there are `size` messages, or `bytes`, or the first has waited for
 * `wait` and a worker thread is free; messages are in the order in which they came. Each is a
 * message as any other: it has its own chain of middlewares, attempts, retries, dead letter, trace,
 * key of idempotency, and what it publishes is confirmed before it is acked. So a middleware may
 * turn some of them away before the handler sees them.
 *
 * A handler that is `transactional`: warren_job_sqlite() of a message begins its part of the
 * batch's one transaction, and ends that of the message before: undone, if warren_batch_set() has
 * said another outcome than WARREN_ACK of that one by then; else kept. So write message by message,
 * each once, and say what failed before you go on. All are committed together.
 *
 * warren_panic() with one of the jobs gives the handler up: that message has failed. The others, of
 * which the handler had said nothing, are attempted again, and their attempts do not count.
 * A crash, the hard limit, or the death of the process costs the whole batch. Its messages come
 * again in batches of half the size, and so on, until the one that does it is alone.
 *
 * Thread: the worker's, until `handle_batch` returns, unless a comment says otherwise. NULL in
 * place of a batch is not looked for. fork(2): a child can read the batch; warren_batch_set()
 * answers WARREN_ECLOSED.
 */
#ifndef WARREN_BATCH_H
#define WARREN_BATCH_H

#include <warren/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How many messages there are: 1 to `batch.size`. Since: 0.1. */
WARREN_API size_t warren_batch_count(const struct warren_batch *batch);

/**
 * The message @index, from 0. With it goes what handler.h has for a job: body and properties, log
 * lines, publishing, failing, retrying after a time.
 *
 * @return NULL: there are not so many. Since: 0.1
 */
WARREN_API struct warren_job *warren_batch_job(const struct warren_batch *batch, size_t index);

/**
 * What shall become of the message @index, whatever `handle_batch` returns; a later call replaces
 * an earlier one.
 *
 * @return WARREN_OK; WARREN_EINVAL: there is no such message, or no such outcome; WARREN_ECLOSED:
 * its part of the transaction has ended, so it stays what it was then (or a child of fork(2)).
 *         Since: 0.1
 */
WARREN_API enum warren_status warren_batch_set(struct warren_batch *batch, size_t index,
                                               enum warren_outcome outcome);

/** The least that warren_job_time_left_ms() says of them. Thread: any, while the handler runs.
 * Since: 0.1. */
WARREN_API int64_t warren_batch_time_left_ms(const struct warren_batch *batch);

/** Is warren_job_cancelled() true of one of them: return soon. Thread: as above. Since: 0.1. */
WARREN_API bool warren_batch_cancelled(const struct warren_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
