/* noop_handler.c - the handlers of the benchmark. noop.noop acks, counts, and ends the worker after
 * `count`. With `latency` it also notes how old each message is. noop.row inserts a row before, as
 * a transactional handler.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include <warren/batch.h>
#include <warren/sqlite.h>

#include "stopwatch.h"

struct noop {
    atomic_uint_fast64_t handled;
    uint64_t count;
    int64_t first_ns;
    struct latencies *latencies;
    sqlite3_stmt *insert; /* noop.row */
};

static const struct warren_option options[] = {
    {"count", WARREN_OPTION_INT, NULL, 1, 1000000000, NULL, "Ends the worker after so many."},
    {"latency", WARREN_OPTION_BOOL, "false", 0, 0, NULL, "Measures how old each message is."},
    {0}};

static enum warren_status noop_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    struct noop *noop = calloc(1, sizeof *noop);

    (void)error;
    if (!noop)
        return WARREN_ENOMEM;
    noop->count = (uint64_t)warren_options_int(info->options, "count");
    if (warren_options_bool(info->options, "latency"))
        noop->latencies = calloc(1, sizeof *noop->latencies);
    *state = noop;
    return WARREN_OK;
}

static enum warren_outcome noop_handle(struct warren_job *job, void *state)
{
    struct noop *noop = state;
    struct warren_bytes body;
    uint64_t number;

    if (noop->latencies) {
        body = warren_job_body(job);
        latencies_add(noop->latencies, body.data, body.len);
    }
    number = atomic_fetch_add_explicit(&noop->handled, 1, memory_order_relaxed);
    if (number == 0)
        noop->first_ns = now_ns();
    if (number + 1 == noop->count) {
        print_result(noop->count, noop->first_ns, now_ns(), noop->latencies);
        kill(getpid(), SIGTERM);
    }
    return WARREN_ACK;
}

static enum warren_status row_open(const struct warren_subscription_info *info, void **state,
                                   struct warren_error *error)
{
    struct sqlite3 *database = warren_subscription_sqlite(info);
    struct noop *noop;
    enum warren_status status = noop_open(info, state, error);

    if (status != WARREN_OK)
        return status;
    noop = *state;
    if (sqlite3_exec(database, "CREATE TABLE row (body BLOB)", NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(database, "INSERT INTO row VALUES (?)", -1, &noop->insert, NULL) ==
            SQLITE_OK)
        return WARREN_OK;
    snprintf(error->text, sizeof error->text, "%s", sqlite3_errmsg(database));
    return WARREN_EIO;
}

static enum warren_outcome row_handle(struct warren_job *job, void *state)
{
    struct noop *noop = state;
    struct warren_bytes body = warren_job_body(job);
    int code;

    if (!warren_job_sqlite(job))
        return WARREN_RETRY;
    sqlite3_bind_blob(noop->insert, 1, body.data, (int)body.len, SQLITE_STATIC);
    code = sqlite3_step(noop->insert);
    sqlite3_reset(noop->insert);
    return code == SQLITE_DONE ? noop_handle(job, state) : WARREN_RETRY;
}

static enum warren_outcome row_handle_batch(struct warren_batch *batch, void *state)
{
    for (size_t i = 0; i < warren_batch_count(batch); i++)
        warren_batch_set(batch, i, row_handle(warren_batch_job(batch, i), state));
    return WARREN_ACK;
}

static void noop_close(void *state)
{
    struct noop *noop = state;

    sqlite3_finalize(noop->insert);
    free(noop->latencies);
    free(noop);
}

static const struct warren_handler handlers[] = {{.name = "noop",
                                                  .help = "Acks each message and does nothing.",
                                                  .options = options,
                                                  .open = noop_open,
                                                  .handle = noop_handle,
                                                  .close = noop_close},
                                                 {.name = "row",
                                                  .help = "The same, and inserts a row.",
                                                  .options = options,
                                                  .open = row_open,
                                                  .handle = row_handle,
                                                  .handle_batch = row_handle_batch,
                                                  .close = noop_close,
                                                  .transactional = true},
                                                 {0}};

WARREN_PLUGIN(.name = "noop", .version = "1.0.0", .handlers = handlers)
