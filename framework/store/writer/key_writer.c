/* key_writer.c - see key_writer.h. */
#include "store/writer/key_writer.h"

#include <stdlib.h>

#include "base/error.h"
#include "store/writer/transactor.h"
#include "store/writer/writer_metrics.h"

/* How often it looks for what is too old. */
#define PURGE_MS 1000
/* Rows that are removed at once. */
#define PURGE_ROWS 256
/* How often it reports that messages are forgotten before their time. */
#define FORGOT_MS (60 * 60 * 1000)

struct key_writer {
    struct writer_client client; /* first */
    struct writer *writer;
    struct idempotency_store *store;
    struct transactor *transactor;
    void (*forgot)(void *user, int64_t age_ms);
    bool joined;
    struct key_writer_metrics metrics;

    /* the writer's thread's */
    struct writer_work care;
    bool is_cared_for; /* it is under way */
    int64_t purged;
    size_t completed; /* in this transaction */
    int64_t renew_ms;
    int64_t renew_at_ms;
    int64_t purge_at_ms;
    int64_t forgot_at_ms; /* not reported before that again */
};

static struct key_writer *key_writer_of(struct writer_client *client)
{
    return (struct key_writer *)(void *)client;
}

static bool has_to_renew(const struct key_writer *k)
{
    return idempotency_is_shared(k->store) && idempotency_has_claims(k->store);
}

/* ---- works: on the writer's thread ---- */

static enum warren_status claim(struct writer_work *writer_work, struct writer_side *side,
                                struct warren_error *error)
{
    struct key_writer_work *work = (struct key_writer_work *)(void *)writer_work;
    struct key_writer *k = key_writer_of(writer_work->client);

    if (work->has_run) /* and was undone */
        idempotency_unclaim(k->store, &work->claim);
    work->has_run = true;
    return idempotency_claim(&side->keys, &work->claim, error);
}

/* What was taken before the failure is given back; a result that was read is dropped. */
static void claimed(struct writer_work *writer_work, enum warren_status status)
{
    struct key_writer_work *work = (struct key_writer_work *)(void *)writer_work;

    if (status != WARREN_OK && work->has_run)
        idempotency_unclaim(key_writer_of(writer_work->client)->store, &work->claim);
    work->done(work, status); /* frees it, perhaps */
}

static enum warren_status complete(struct writer_work *writer_work, struct writer_side *side,
                                   struct warren_error *error)
{
    struct key_writer_work *work = (struct key_writer_work *)(void *)writer_work;
    struct key_writer *k = key_writer_of(writer_work->client);

    k->completed++;
    return idempotency_add(&side->keys, &work->claim, false, &work->row, error);
}

static enum warren_status release(struct writer_work *writer_work, struct writer_side *side,
                                  struct warren_error *error)
{
    struct key_writer_work *work = (struct key_writer_work *)(void *)writer_work;

    work->row = 0;
    return idempotency_release(&side->keys, &work->claim, error);
}

static void ended(struct writer_work *writer_work, enum warren_status status)
{
    struct key_writer_work *work = (struct key_writer_work *)(void *)writer_work;

    if (status == WARREN_OK)
        idempotency_added(key_writer_of(writer_work->client)->store, &work->claim, work->row);
    work->done(work, status);
}

static const struct writer_kind looks_up = {.run = claim, .done = claimed, .reads = true};
/* A claim need not survive a loss of power: neither does who made it. */
static const struct writer_kind claims = {.run = claim, .done = claimed, .relaxed = true};
static const struct writer_kind completes = {.run = complete, .done = ended, .retried = true};
static const struct writer_kind releases = {.run = release, .done = ended, .retried = true};

/* Claims are renewed, and what is too old goes, a few at a time. */
static enum warren_status look_after(struct writer_work *work, struct writer_side *side,
                                     struct warren_error *error)
{
    struct key_writer *k = key_writer_of(work->client);
    enum warren_status status = WARREN_OK;

    if (has_to_renew(k))
        status = idempotency_renew(&side->keys, error);
    return status == WARREN_OK ? idempotency_purge(&side->keys, PURGE_ROWS, &k->purged, error)
                               : status;
}

static void looked_after(struct writer_work *work, enum warren_status status)
{
    struct key_writer *k = key_writer_of(work->client);

    k->is_cared_for = false;
    if (status == WARREN_OK && k->purged >= PURGE_ROWS / 2) /* there are more */
        k->purge_at_ms = k->client.due_ms = 0;
}

static const struct writer_kind looks_after = {.run = look_after, .done = looked_after};

/* ---- what the writer asks ---- */

static enum warren_status begin(struct writer_client *client, struct writer_side *side,
                                struct warren_error *error)
{
    struct key_writer *k = key_writer_of(client);

    k->completed = 0;
    return idempotency_begin(&side->keys, error);
}

/* So that at full speed as many go as come. */
static enum warren_status finish(struct writer_client *client, struct writer_side *side,
                                 struct warren_error *error)
{
    struct key_writer *k = key_writer_of(client);
    int64_t gone;

    if (k->completed == 0)
        return WARREN_OK;
    return idempotency_purge(&side->keys, 2 * (int64_t)k->completed, &gone, error);
}

static void look_what_is_forgotten(struct key_writer *k, int64_t now_ms)
{
    int64_t age_ms;

    if (now_ms < k->forgot_at_ms || !idempotency_forgot(k->store, &age_ms))
        return;
    k->forgot_at_ms = now_ms + FORGOT_MS;
    if (k->forgot)
        k->forgot(k->client.events.user, age_ms);
}

static bool has_to_purge(struct key_writer *k)
{
    struct warren_error error = {WARREN_OK, ""};
    bool wants = false;

    if (idempotency_wants_purge(&writer_own(k->writer)->keys, &wants, &error) != WARREN_OK)
        writer_failed(k->writer, &k->client, &error);
    return wants;
}

static int64_t tend(struct writer_client *client, int64_t now_ms)
{
    struct key_writer *k = key_writer_of(client);
    bool has_to = false;

    if (now_ms >= k->renew_at_ms) {
        k->renew_at_ms = now_ms + k->renew_ms;
        has_to = has_to_renew(k);
    }
    if (now_ms >= k->purge_at_ms) {
        k->purge_at_ms = now_ms + PURGE_MS;
        has_to = has_to_purge(k) || has_to;
        look_what_is_forgotten(k, now_ms);
    }
    if (has_to && !k->is_cared_for) {
        k->is_cared_for = true;
        writer_submit(k->writer, client, &k->care);
    }
    return k->purge_at_ms < k->renew_at_ms ? k->purge_at_ms : k->renew_at_ms;
}

/* ---- life ---- */

static enum warren_status open_store(struct key_writer *k, const struct key_writer_options *options,
                                     struct warren_error *error)
{
    enum warren_status status;

    writer_pause(k->writer);
    /* Its rows are written by way of one store; see struct writer_side. */
    if (writer_own(k->writer)->keys.store)
        status = error_set(error, WARREN_EIO,
                           "%s: another worker of this process has this store already: give each "
                           "a store.path of its own, or a process",
                           options->database.path);
    else
        status = idempotency_store_open(&options->keys, writer_own(k->writer)->database, &k->store,
                                        error);
    if (status == WARREN_OK) {
        writer_own(k->writer)->keys.store = k->store;
        writer_join(k->writer, &k->client);
        k->joined = true;
    }
    if (status == WARREN_OK && options->transactional)
        status = transactor_new(options, k->writer, &k->client, k->store, &k->transactor, error);
    writer_resume(k->writer);
    return status;
}

enum warren_status key_writer_new(const struct key_writer_options *options,
                                  struct key_writer **ret_keys, struct warren_error *error)
{
    struct key_writer *k = calloc(1, sizeof *k);
    enum warren_status status;

    if (!k)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    k->client = (struct writer_client){.synchronous = options->database.synchronous,
                                       .group_delay_us = options->group_delay_us,
                                       .begin = begin,
                                       .finish = finish,
                                       .tend = tend,
                                       .events = options->events};
    k->forgot = options->forgot;
    k->care.kind = &looks_after;
    k->renew_ms = options->renew_ms;
    status = writer_get(&options->database, &k->writer, error);
    if (status == WARREN_OK)
        status = open_store(k, options, error);
    if (status != WARREN_OK) {
        key_writer_free(k);
        return status;
    }
    key_writer_metrics_init(&k->metrics, k->store, options->database.path);
    *ret_keys = k;
    return WARREN_OK;
}

struct idempotency_store *key_writer_store(struct key_writer *k)
{
    return k->store;
}

struct transactor *key_writer_transactor(struct key_writer *k)
{
    return k->transactor;
}

void key_writer_submit(struct key_writer *k, struct key_writer_work *work)
{
    switch (work->task) {
    case KEY_CLAIM:
        work->has_run = false;
        work->work.kind = idempotency_is_shared(k->store) ? &claims : &looks_up;
        break;
    case KEY_COMPLETE:
        work->work.kind = &completes;
        break;
    case KEY_RELEASE:
        work->work.kind = &releases;
        break;
    }
    writer_submit(k->writer, &k->client, &work->work);
}

void key_writer_stop(struct key_writer *k)
{
    if (!k || !k->joined)
        return;
    transactor_stop(k->transactor); /* what it could not commit is released */
    writer_leave(k->writer, &k->client);
    k->joined = false;
}

void key_writer_free(struct key_writer *k)
{
    if (!k)
        return;
    key_writer_stop(k);
    key_writer_metrics_done(&k->metrics);
    transactor_free(k->transactor);
    if (k->store) {
        writer_pause(k->writer); /* others may have the file */
        writer_own(k->writer)->keys.store = NULL;
        idempotency_store_close(k->store);
        writer_resume(k->writer);
    }
    writer_put(k->writer);
    free(k);
}
