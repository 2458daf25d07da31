/* transactor_commit.c - the group, its transaction, and the thread that commits it. */
#include <stdlib.h>

#include <sqlite3.h>

#include "base/log.h"
#include "store/db/turn.h"
#include "store/writer/transactor_private.h"

/* A group of so many means that there is load: the next one is worth waiting for. */
#define LOAD_MIN 4
/* So many do not wait for more. */
#define GROUP_GOOD 256

int64_t transactor_now_us(void)
{
    return clock_now_ns(clock_monotonic()) / 1000;
}

/* ---- the group ---- */

void transactor_group_clear(struct transactor *t)
{
    t->group = NULL;
    t->group_last = &t->group;
    t->group_count = 0;
}

void transactor_group_add(struct transactor *t, struct transactor_work *work)
{
    work->next = NULL;
    work->state = TRANSACTOR_JOINED;
    *t->group_last = work;
    t->group_last = &work->next;
    t->group_count++;
}

/* All of the group have this fate; those that are awaited are told of it. Not under the mutex. */
static void decide(struct transactor *t, struct transactor_work *group, enum warren_status status)
{
    struct transactor_work *told = NULL;
    struct transactor_work **last = &told;

    pthread_mutex_lock(&t->mutex);
    while (group) {
        struct transactor_work *work = group;

        group = work->next;
        work->status = status;
        if (work->state == TRANSACTOR_AWAITED) {
            work->next = NULL;
            *last = work;
            last = &work->next;
        }
        work->state = TRANSACTOR_DECIDED;
    }
    pthread_mutex_unlock(&t->mutex);
    while (told) {
        struct transactor_work *work = told;

        told = work->next;
        work->decided(work, status);
    }
}

bool transactor_await(struct transactor *t, struct transactor_work *work,
                      enum warren_status *ret_status)
{
    bool is_decided;

    pthread_mutex_lock(&t->mutex);
    is_decided = work->state == TRANSACTOR_DECIDED;
    *ret_status = work->status;
    if (!is_decided)
        work->state = TRANSACTOR_AWAITED;
    pthread_mutex_unlock(&t->mutex);
    return is_decided;
}

/* ---- success and failure, as an operator sees them ---- */

void transactor_note(struct transactor *t, enum warren_status status, const char *text,
                     size_t count)
{
    bool is_news;

    pthread_mutex_lock(&t->mutex);
    is_news = t->is_failing != (status != WARREN_OK);
    t->is_failing = status != WARREN_OK;
    if (status != WARREN_OK)
        t->stats.failures++;
    pthread_mutex_unlock(&t->mutex);
    if (!is_news)
        return;
    if (status != WARREN_OK && t->events.failed)
        t->events.failed(t->events.user, text, count);
    else if (status == WARREN_OK && t->events.recovered)
        t->events.recovered(t->events.user);
}

/* ---- the transaction: of who is busy ---- */

enum warren_status transactor_run_own(struct transactor *t, enum own_statement which,
                                      struct warren_error *error)
{
    return database_step(t->connection.database, t->own[which], error);
}

enum warren_status transactor_open(struct transactor *t, struct warren_error *error)
{
    enum warren_status status = idempotency_begin(&t->connection, error);

    if (status != WARREN_OK)
        return status;
    t->is_open = true;
    t->guard.is_lost = false;
    t->next_row = idempotency_next_row(&t->connection);
    return WARREN_OK;
}

static struct transactor_work *take_group(struct transactor *t)
{
    struct transactor_work *group;

    pthread_mutex_lock(&t->mutex);
    group = t->group;
    transactor_group_clear(t);
    pthread_mutex_unlock(&t->mutex);
    return group;
}

/* Under the mutex, so that it is not told any more once it said so. */
static void tell_appended(struct transactor *t, const struct transactor_work *group)
{
    int64_t messages = 0;
    int64_t bytes = 0;
    int64_t last_id = 0;

    for (; group; group = group->next) {
        messages += group->outbox.messages;
        bytes += group->outbox.bytes;
        if (group->outbox.last_id > last_id)
            last_id = group->outbox.last_id;
    }
    pthread_mutex_lock(&t->mutex);
    if (messages > 0 && t->appended)
        t->appended(t->appended_user, messages, bytes, last_id);
    pthread_mutex_unlock(&t->mutex);
}

void transactor_close(struct transactor *t, enum warren_status status)
{
    struct transactor_work *group = take_group(t);

    if (status == WARREN_OK) {
        for (struct transactor_work *work = group; work; work = work->next)
            if (work->claim)
                idempotency_added(t->connection.s, work->claim, work->row);
    } else {
        idempotency_set_next_row(&t->connection, t->next_row);
    }
    t->is_open = false;
    idempotency_end(&t->connection);
    if (status == WARREN_OK)
        tell_appended(t, group);
    decide(t, group, status);
}

bool transactor_is_lost(struct transactor *t)
{
    /* A handler may have put a hook of its own in the place of the guard's. */
    return t->guard.is_lost || (t->is_open && sqlite3_get_autocommit(transactor_handle(t)));
}

void transactor_lose(struct transactor *t, const char *text)
{
    if (text)
        transactor_note(t, WARREN_EIO, text, t->group_count);
    transactor_close(t, WARREN_EIO);
}

/* The transaction is left to its thread; the next process finds it rolled back. */
void transactor_abandon(struct transactor *t)
{
    pthread_mutex_lock(&t->mutex);
    t->abandoned = t->stopping = true;
    pthread_mutex_unlock(&t->mutex);
    condition_broadcast(&t->changed);
    turn_break(database_turn(t->connection.database));
    decide(t, take_group(t), WARREN_ECLOSED);
}

/* ---- the thread that commits ---- */

/* Under the mutex: until there is something to commit and nobody is in it. @return false: the end
 */
static bool gather(struct transactor *t)
{
    int64_t until_us;

    while (t->group_count == 0 && !t->stopping)
        condition_wait(&t->changed, &t->mutex);
    until_us = transactor_now_us() + t->group_delay_us;
    if (t->last_group >= LOAD_MIN)
        while (t->group_count < GROUP_GOOD && !t->stopping &&
               !turn_is_wanted(database_turn(t->connection.database)))
            if (!condition_wait_until_us(&t->changed, &t->mutex, until_us))
                break;
    t->wants = true;
    while (t->busy && !t->abandoned)
        condition_wait(&t->changed, &t->mutex);
    t->wants = false;
    if (t->abandoned)
        return false;
    if (t->group_count == 0)
        return !t->stopping;
    t->busy = true;
    return true;
}

/* Not the store's failure: an operator hears of it by the attempts that it costs. */
static void blame_group(struct transactor *t, size_t count, const char *text)
{
    transactor_suspect(t);
    if (count > 1)
        log_warn("%zu messages are handled again, each in a transaction of its own: that of all "
                 "was refused for what one of them wrote: %s",
                 count, text);
}

enum warren_status transactor_commit(struct transactor *t, struct warren_error *error)
{
    size_t count = t->group_count;
    enum warren_status status = database_in_place(t->connection.database, error);
    bool is_tried = status == WARREN_OK;

    if (is_tried)
        status = transactor_run_own(t, OWN_COMMIT, error);
    if (is_tried && status != WARREN_OK && !transactor_store_failed(t)) {
        status = WARREN_EINVAL;
        blame_group(t, count, error->text);
    } else {
        transactor_note(t, status, error->text, count);
    }
    pthread_mutex_lock(&t->mutex);
    if (status == WARREN_OK) {
        t->stats.committed += count;
        t->stats.groups++;
    }
    pthread_mutex_unlock(&t->mutex);
    transactor_close(t, status);
    return status;
}

static void commit_group(struct transactor *t)
{
    struct warren_error error = {WARREN_OK, ""};

    t->last_group = t->group_count;
    transactor_commit(t, &error);
    transactor_vacate(t);
}

void *transactor_run(void *arg)
{
    struct transactor *t = arg;
    bool goes_on = true;

    while (goes_on) {
        bool has_group;

        pthread_mutex_lock(&t->mutex);
        goes_on = gather(t);
        has_group = t->busy && t->group_count > 0;
        pthread_mutex_unlock(&t->mutex);
        if (goes_on && has_group)
            commit_group(t);
        else
            condition_broadcast(&t->changed);
    }
    return NULL;
}
