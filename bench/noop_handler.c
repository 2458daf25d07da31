/* noop_handler.c - the handlers of the benchmark. noop.noop acks, counts, and ends the worker after
 * `count`. With `latency` it also notes how old each message is. noop.row inserts a row before, as
 * a transactional handler. noop.step takes 10 ms a message, counts what comes `after` the first
 * one, and ends the worker when there are `threads` of it again; on the way it says how long that
 * took.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
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
    int64_t after_ns;     /* noop.step, as the next three */
    int threads;
    atomic_uint_fast64_t late; /* messages */
    pthread_t watcher;
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

/* ---- noop.step ---- */

#define STEP_TAKES_NS 10000000
#define LOOK_NS       20000000

static const struct warren_option step_options[] = {
    {"count", WARREN_OPTION_INT, NULL, 1, 1000000000, NULL, "Ends the worker after so many."},
    {"latency", WARREN_OPTION_BOOL, "false", 0, 0, NULL, "Not measured."},
    {"after", WARREN_OPTION_DURATION, "2s", 0, 60000, NULL,
     "Messages count from so long after the first one."},
    {"threads", WARREN_OPTION_INT, "2", 1, 256, NULL, "As many there are to be in the end."},
    {0}};

static enum warren_status step_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    enum warren_status status = noop_open(info, state, error);
    struct noop *noop = *state;

    if (status != WARREN_OK)
        return status;
    noop->after_ns = warren_options_int(info->options, "after") * 1000000;
    noop->threads = (int)warren_options_int(info->options, "threads");
    return WARREN_OK;
}

/* Worker threads are named "wNUMBER QUEUE". */
static int worker_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int count = 0;

    while (tasks && (task = readdir(tasks))) {
        char path[300];
        char name[16] = "";
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        file = fopen(path, "re");
        if (file && fgets(name, sizeof name, file))
            count += name[0] == 'w' && name[1] >= '0' && name[1] <= '9';
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return count;
}

static void *wait_for_threads(void *arg)
{
    const struct timespec rest = {.tv_nsec = LOOK_NS};
    struct noop *noop = arg;
    int64_t ended_ns = now_ns();

    prctl(PR_SET_NAME, "watcher"); /* not one of them: it has the name of who made it */
    print_result(atomic_load(&noop->late), noop->first_ns + noop->after_ns, ended_ns, NULL);
    while (worker_threads() > noop->threads)
        nanosleep(&rest, NULL);
    printf("shrunk %.3f\n", (double)(now_ns() - ended_ns) / 1e9);
    fflush(stdout);
    kill(getpid(), SIGTERM);
    return NULL;
}

static enum warren_outcome step_handle(struct warren_job *job, void *state)
{
    const struct timespec takes = {.tv_nsec = STEP_TAKES_NS};
    struct noop *noop = state;
    uint64_t number = atomic_fetch_add(&noop->handled, 1);

    (void)job;
    if (number == 0)
        noop->first_ns = now_ns();
    nanosleep(&takes, NULL);
    if (now_ns() - noop->first_ns >= noop->after_ns)
        atomic_fetch_add(&noop->late, 1);
    if (number + 1 == noop->count)
        pthread_create(&noop->watcher, NULL, wait_for_threads, noop);
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
                                                 {.name = "step",
                                                  .help = "Takes 10 ms a message.",
                                                  .options = step_options,
                                                  .open = step_open,
                                                  .handle = step_handle,
                                                  .close = noop_close},
                                                 {0}};

WARREN_PLUGIN(.name = "noop", .version = "1.0.0", .handlers = handlers)
