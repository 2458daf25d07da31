/* writer_group.c - one transaction of a writer: its works, with what handlers have written. */
#include "store/writer/writer_private.h"

/* Between attempts at what failed, doubling. */
#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 1000

enum warren_status writer_side_prepare(struct writer_side *side, struct warren_error *error)
{
    enum warren_status status = idempotency_rows_prepare(&side->keys, side->database, error);

    return status == WARREN_OK ? spool_join(side->database, &side->spool, error) : status;
}

void writer_side_done(struct writer_side *side)
{
    idempotency_rows_done(&side->keys);
    spool_close(side->spool);
    database_close(side->database);
}

/* ---- reports ---- */

static void wait_longer(struct writer_retry *retry)
{
    retry->delay_ms = retry->delay_ms == 0 ? RETRY_MIN_MS : 2 * retry->delay_ms;
    if (retry->delay_ms > RETRY_MAX_MS)
        retry->delay_ms = RETRY_MAX_MS;
    retry->at_ms = writer_now_ms() + retry->delay_ms;
}

void writer_note(struct writer *w, struct writer_client *client, enum warren_status status,
                 const char *text, size_t waiting)
{
    bool failed = status != WARREN_OK;
    bool is_news;

    /* A process that ends over a lost handler says so itself. */
    if (status == WARREN_ECLOSED)
        return;
    pthread_mutex_lock(&w->mutex);
    is_news = client->is_failing != failed;
    client->is_failing = failed;
    if (failed)
        wait_longer(&client->retry);
    else
        client->retry = (struct writer_retry){0};
    pthread_mutex_unlock(&w->mutex);
    if (failed)
        atomic_fetch_add(&w->failures, 1);
    if (is_news && failed && client->events.failed)
        client->events.failed(client->events.user, text, waiting);
    else if (is_news && !failed && client->events.recovered)
        client->events.recovered(client->events.user);
}

void writer_failed(struct writer *w, struct writer_client *client, const struct warren_error *error)
{
    writer_note(w, client, error->status, error->text, 0);
}

void writer_tell_log(struct writer *w)
{
    char text[DATABASE_LOG_TEXT];
    enum database_log_news news = database_tend_log(w->own.database, text);
    const struct writer_events *events = w->client_count > 0 ? &w->clients[0]->events : NULL;

    if (news != DATABASE_LOG_AS_BEFORE && events && events->size)
        events->size(events->user, news == DATABASE_LOG_GREW, text);
}

static bool has_failed(const struct writer *w, const struct writer_client *client)
{
    for (const struct writer_work *work = w->failed.first; work; work = work->next)
        if (work->client == client)
            return true;
    return false;
}

/* Each client of the group gets one report; of success, if nothing of its own still waits. */
static void note_group(struct writer *w, const struct works *works, enum warren_status status,
                       const struct warren_error *error)
{
    for (size_t i = 0; i < w->client_count; i++) {
        struct writer_client *client = w->clients[i];
        size_t waiting = 0;
        bool has_any = false;

        for (const struct writer_work *work = works->first; work; work = work->next) {
            has_any = has_any || work->client == client;
            waiting += work->client == client && work->kind->retried;
        }
        if (has_any && !(status == WARREN_OK && has_failed(w, client)))
            writer_note(w, client, status, error->text, waiting);
    }
}

/* All of them have this fate, or are to be tried again. */
static void end(struct writer *w, struct works *works, enum warren_status status,
                const struct warren_error *error)
{
    struct writer_work *work;

    if (status != WARREN_OK && status != WARREN_ECLOSED)
        wait_longer(&w->retry);
    else if (status == WARREN_OK && w->failed.count == 0)
        w->retry = (struct writer_retry){0};
    note_group(w, works, status, error);
    while ((work = works_pop(works))) {
        if (status != WARREN_OK && status != WARREN_ECLOSED && work->kind->retried &&
            !work->client->is_leaving) {
            works_add(&w->failed, work);
        } else {
            work->client->ended++;
            work->kind->done(work, status);
        }
    }
}

/* ---- one transaction ---- */

enum warren_status writer_begin(struct writer *w, struct writer_side *side,
                                enum database_synchronous synchronous, struct warren_error *error)
{
    enum warren_status status = database_set_synchronous(side->database, synchronous, error);

    if (status == WARREN_OK)
        status = database_begin(side->database, error);
    if (status != WARREN_OK)
        return status;
    for (size_t i = 0; status == WARREN_OK && i < w->client_count; i++)
        if (w->clients[i]->begin)
            status = w->clients[i]->begin(w->clients[i], side, error);
    if (status != WARREN_OK)
        database_rollback(side->database);
    return status;
}

static enum warren_status run_all(struct writer *w, struct works *works, struct writer_side *side,
                                  struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    for (struct writer_work *work = works->first; status == WARREN_OK && work; work = work->next)
        status = work->kind->run(work, side, error);
    for (size_t i = 0; status == WARREN_OK && i < w->client_count; i++)
        if (w->clients[i]->finish)
            status = w->clients[i]->finish(w->clients[i], side, error);
    return status;
}

/* The strictest of them. */
static enum database_synchronous synchronous_of(const struct works *works)
{
    enum database_synchronous highest = DATABASE_OFF;

    for (const struct writer_work *work = works->first; work; work = work->next) {
        enum database_synchronous level = work->client->synchronous;

        if (work->kind->relaxed && level > DATABASE_NORMAL)
            level = DATABASE_NORMAL;
        if (level > highest)
            highest = level;
    }
    return highest;
}

static bool is_bound_to_place(const struct works *works)
{
    for (const struct writer_work *work = works->first; work; work = work->next)
        if (!work->kind->anywhere)
            return true;
    return false;
}

static enum warren_status write_alone(struct writer *w, struct works *works,
                                      struct warren_error *error)
{
    struct database *database = w->own.database;
    enum warren_status status = writer_begin(w, &w->own, synchronous_of(works), error);
    int64_t begun_ns;

    if (status != WARREN_OK)
        return status;
    status = run_all(w, works, &w->own, error);
    if (status == WARREN_OK && is_bound_to_place(works))
        status = database_in_place(database, error);
    begun_ns = clock_now_ns(clock_monotonic());
    if (status == WARREN_OK)
        status = database_commit(database, error);
    else
        database_rollback(database);
    if (status != WARREN_OK)
        return status;
    atomic_fetch_add(&w->commits, 1);
    writer_metrics_committed(w, works->count, begun_ns);
    return WARREN_OK;
}

/* WARREN_EINVAL: nothing is written, for what handlers wrote is refused. */
static enum warren_status write_with_handlers(struct transactor *t, struct works *works,
                                              struct warren_error *error)
{
    enum warren_status status;

    transactor_guard_own(&t->guard);
    status = run_all(t->writer, works, &t->side, error);
    if (status == WARREN_OK)
        return transactor_commit(t, works->count, error);
    transactor_lose(t, error->text);
    return status;
}

static bool is_told_at_once(const struct writer_work *work)
{
    return !work->kind->retried;
}

static bool may_be_anywhere(const struct writer_work *work)
{
    return work->kind->anywhere;
}

/* Those that @stay are left in @works; the others go to the end of @others. */
static void split(struct works *works, bool (*stay)(const struct writer_work *work),
                  struct works *others)
{
    struct works all;
    struct writer_work *work;

    works_init(&all);
    works_move(&all, works);
    while ((work = works_pop(&all)))
        works_add(stay(work) ? works : others, work);
}

/* Is the file in its place? What is bound to that fails, or else is set aside. */
static void look_for_file(struct writer *w, struct works *works)
{
    struct warren_error error;
    enum warren_status status;
    struct works bound;

    if (!is_bound_to_place(works))
        return;
    status = database_in_place(w->own.database, &error);
    if (status == WARREN_OK)
        return;
    works_init(&bound);
    split(works, may_be_anywhere, &bound);
    end(w, &bound, status, &error);
}

void writer_write(struct writer *w, struct works *works)
{
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status = WARREN_EINVAL;

    if (w->abandoned) {
        w->cut_log = false;
        end(w, works, WARREN_ECLOSED, &error);
        return;
    }
    if (w->failed.count > 0) /* while the disk fails, what is tried again waits, in its order */
        split(works, is_told_at_once, &w->failed);
    look_for_file(w, works);
    if (w->transactor && w->transactor->is_open)
        status = write_with_handlers(w->transactor, works, &error);
    if (works->count > 0) {
        if (status == WARREN_EINVAL)
            status = write_alone(w, works, &error);
        end(w, works, status, &error);
    }
    if (w->cut_log) {
        w->cut_log = false;
        writer_tell_log(w);
    }
}

void writer_read(struct writer *w, struct works *works)
{
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status;

    if (works->count == 0)
        return;
    status = database_in_place(w->own.database, &error);
    for (struct writer_work *work = works->first; status == WARREN_OK && work; work = work->next)
        status = work->kind->run(work, &w->own, &error);
    end(w, works, status, &error);
}
