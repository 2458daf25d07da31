/* keys_cost.c - what it costs to remember a message, by how many are remembered already; without
 * broker and handler around it.
 *
 *   keys_cost CASE KEYS FILE COUNT
 *
 * Makes FILE with KEYS keys if it is not there, opens it, and claims and completes COUNT new keys
 * with at most as many in flight as a prefetch window has, each commit flushed to the disk. Prints
 * one JSON object: messages a second, and CPU of the process after opening (getrusage(2)).
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "stopwatch.h"
#include "store/writer/key_writer.h"

#define IN_FLIGHT 500
#define KEYS_MAX  8000000 /* no row is purged */
#define GROUP_US  1000    /* the default of store.group_delay_us */

struct flight {
    pthread_mutex_t mutex; /* guards the two below */
    struct key_writer_work *idle;
    unsigned idle_count;
    pthread_cond_t landed;
};

static struct key_writer *key_writer;
static struct flight flight = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                               .landed = PTHREAD_COND_INITIALIZER};

static void die(const char *what)
{
    fprintf(stderr, "keys_cost: %s\n", what);
    exit(1);
}

static void make_file(const char *path, uint64_t keys)
{
    struct database_options options = {.path = path, .synchronous = DATABASE_OFF};
    struct database *database = NULL;
    struct warren_error error;
    char sql[320];

    if (access(path, F_OK) == 0)
        return;
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %" PRIu64 ")"
             " INSERT INTO done SELECT i, randomblob(16), %" PRId64 ", 0, NULL FROM n",
             keys, clock_wall_ms());
    if (database_open(&options, &database, &error) != WARREN_OK ||
        database_begin(database, &error) != WARREN_OK ||
        database_run(database, sql, &error) != WARREN_OK ||
        database_commit(database, &error) != WARREN_OK)
        die(error.text);
    database_close(database);
}

static struct key_writer *open_key_writer(const char *path)
{
    struct key_writer_options options = {
        .database = {.path = path, .synchronous = DATABASE_FULL},
        .keys = {.keys_max = KEYS_MAX, .clock = clock_monotonic(), .wall_ms = clock_wall_ms},
        .group_delay_us = GROUP_US,
        .renew_ms = 1000,
    };
    struct key_writer *made = NULL;
    struct warren_error error;

    if (key_writer_new(&options, &made, &error) != WARREN_OK)
        die(error.text);
    return made;
}

/* ---- one message ---- */

static void land(struct key_writer_work *work, enum warren_status status)
{
    if (status != WARREN_OK)
        die("a completion failed");
    pthread_mutex_lock(&flight.mutex);
    work->work.next = (struct writer_work *)flight.idle;
    flight.idle = work;
    flight.idle_count++;
    pthread_mutex_unlock(&flight.mutex);
    pthread_cond_signal(&flight.landed);
}

static struct key_writer_work *take_off(void)
{
    struct key_writer_work *work;

    pthread_mutex_lock(&flight.mutex);
    while (!flight.idle)
        pthread_cond_wait(&flight.landed, &flight.mutex);
    work = flight.idle;
    flight.idle = (struct key_writer_work *)work->work.next;
    flight.idle_count--;
    pthread_mutex_unlock(&flight.mutex);
    return work;
}

static void complete(struct key_writer_work *work)
{
    work->task = KEY_COMPLETE;
    work->done = land;
    key_writer_submit(key_writer, work);
}

static void claimed(struct key_writer_work *work, enum warren_status status)
{
    if (status != WARREN_OK || work->claim.state != CLAIM_NEW)
        die("a claim failed");
    complete(work);
}

static void handle(uint64_t number)
{
    struct idempotency_store *store = key_writer_store(key_writer);
    struct key_writer_work *work = take_off();
    struct warren_bytes key = {&number, sizeof number};

    memset(&work->claim, 0, sizeof work->claim);
    idempotency_name(store, warren_text("bench"), key, &work->claim.key);
    if (idempotency_try_claim(store, &work->claim)) {
        complete(work);
        return;
    }
    work->task = KEY_CLAIM; /* a stored key looks alike: the disk has to tell */
    work->done = claimed;
    key_writer_submit(key_writer, work);
}

static void wait_for_all(void)
{
    pthread_mutex_lock(&flight.mutex);
    while (flight.idle_count < IN_FLIGHT)
        pthread_cond_wait(&flight.landed, &flight.mutex);
    pthread_mutex_unlock(&flight.mutex);
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void run(uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        handle(first + i);
    wait_for_all();
}

int main(int argc, char **argv)
{
    static struct key_writer_work works[IN_FLIGHT];
    uint64_t keys = argc == 5 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t count = argc == 5 ? strtoull(argv[4], NULL, 10) : 0;
    uint64_t first = (uint64_t)now_ns(); /* keys of an earlier run are in the file */
    double cpu;
    int64_t begun_ns;

    if (keys == 0 || count == 0)
        die("usage: keys_cost CASE KEYS FILE COUNT");
    make_file(argv[3], keys);
    key_writer = open_key_writer(argv[3]);
    for (int i = 0; i < IN_FLIGHT; i++)
        land(&works[i], WARREN_OK);
    run(first, count / 10);
    cpu = cpu_seconds();
    begun_ns = now_ns();
    run(first + count, count);
    printf("{\"case\":\"%s\",\"peer\":\"%s\",\"msgs_per_s\":%.0f,\"cpu_us_per_msg\":%.3f}\n",
           argv[1], argv[2], (double)count * 1e9 / (double)(now_ns() - begun_ns),
           (cpu_seconds() - cpu) * 1e6 / (double)count);
    key_writer_stop(key_writer);
    key_writer_free(key_writer);
    return 0;
}
