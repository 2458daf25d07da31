/* writer.c - see writer.h: the thread, and what is handed over to it. */
#include "store/writer/writer_private.h"

/* A group of this size means that there is load: the next one is worth waiting for. */
#define LOAD_MIN 4

/* ---- queues ---- */

void works_init(struct works *works)
{
    works->first = NULL;
    works->last = &works->first;
    works->count = 0;
}

void works_add(struct works *works, struct writer_work *work)
{
    work->next = NULL;
    *works->last = work;
    works->last = &work->next;
    works->count++;
}

struct writer_work *works_pop(struct works *works)
{
    struct writer_work *work = works->first;

    if (!work)
        return NULL;
    works->first = work->next;
    if (!works->first)
        works->last = &works->first;
    works->count--;
    return work;
}

void works_move(struct works *to, struct works *from)
{
    if (!from->first)
        return;
    *to->last = from->first;
    to->last = from->last;
    to->count += from->count;
    works_init(from);
}

/* ---- what there is to do: under the mutex ---- */

static bool is_retry_due(const struct writer *w)
{
    return w->failed.count > 0 && (w->leaving > 0 || writer_now_ms() >= w->retry.at_ms);
}

static size_t to_write(const struct writer *w)
{
    size_t count = w->writes.count + w->cut_log;

    if (w->transactor)
        count += w->transactor->group.count;
    return is_retry_due(w) ? count + w->failed.count : count;
}

/* Handlers that wait have one turn between two of the thread's. */
static bool is_own_turn(const struct writer *w)
{
    return w->visitors == 0 || w->visited || (w->transactor && w->transactor->group.count > 0);
}

/* Is it time to write, and the file free? Under load only when a group is worth its commit, or has
 * waited enough. */
static bool may_write(struct writer *w)
{
    size_t count = to_write(w);
    int64_t now_us;

    w->wants = false;
    w->wanted = 1;
    if (count == 0)
        return false;
    now_us = writer_now_us();
    if (w->ready_us == 0)
        w->ready_us = now_us + (w->last_group >= LOAD_MIN ? w->group_delay_us : 0);
    if (count < WRITER_GROUP_GOOD && now_us < w->ready_us && w->leaving == 0) {
        w->wanted = WRITER_GROUP_GOOD;
        return false;
    }
    w->wants = is_own_turn(w);
    return w->abandoned || (w->wants && !w->busy);
}

static int64_t next_us(const struct writer *w)
{
    int64_t due_ms = w->tend_ms < w->due_ms ? w->tend_ms : w->due_ms;
    int64_t due_us;

    if (w->failed.count > 0 && !is_retry_due(w) && w->retry.at_ms < due_ms)
        due_ms = w->retry.at_ms;
    due_us = due_ms > INT64_MAX / 1000 ? INT64_MAX : due_ms * 1000;
    return w->wanted > 1 && w->ready_us < due_us ? w->ready_us : due_us;
}

/* @return is there something to be written, too? */
static bool wait_for_work(struct writer *w)
{
    for (;;) {
        int64_t until_us = INT64_MAX;

        if (w->pauses == 0) {
            if (may_write(w))
                return true;
            until_us = next_us(w);
            if (w->is_kicked || w->reads.count > 0 || w->stopping ||
                writer_now_ms() * 1000 >= until_us)
                return false;
        }
        w->sleeps = true;
        condition_wait_until_us(&w->wake, &w->mutex, until_us);
        w->sleeps = false;
    }
}

/* @return it sleeps, and is to be woken: better without the mutex, which it wants then */
static bool is_to_wake(struct writer *w)
{
    bool has_to_write;

    if (!w->sleeps) /* it looks for itself */
        return false;
    has_to_write = to_write(w) >= w->wanted && !(w->wants && w->busy);
    if (!has_to_write && !w->is_kicked && w->reads.count == 0 && w->leaving == 0 && !w->stopping)
        return false;
    w->sleeps = false; /* once */
    return true;
}

void writer_wake(struct writer *w)
{
    if (is_to_wake(w))
        condition_signal(&w->wake);
}

static void unlock_and_wake(struct writer *w)
{
    bool wake = is_to_wake(w);

    pthread_mutex_unlock(&w->mutex);
    if (wake)
        condition_signal(&w->wake);
}

void writer_vacate(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    w->busy = false;
    if (w->sleeps && to_write(w) == 0) /* a handler has undone all */
        w->wants = false;
    unlock_and_wake(w);
    condition_broadcast(&w->changed);
}

/* ---- a cycle of the thread ---- */

struct cycle {
    struct works reads;
    struct works writes;
    bool may_write;
};

/* Under the mutex. */
static void begin_cycle(struct writer *w, struct cycle *cycle)
{
    works_init(&cycle->reads);
    works_init(&cycle->writes);
    works_move(&cycle->reads, &w->reads);
    w->is_kicked = false;
    for (size_t i = 0; i < w->client_count; i++) {
        struct writer_client *client = w->clients[i];

        if (client->is_kicked)
            client->due_ms = 0;
        client->is_kicked = false;
    }
    w->working = true;
    if (!cycle->may_write)
        return;
    w->last_group = to_write(w);
    if (is_retry_due(w))
        works_move(&cycle->writes, &w->failed);
    works_move(&cycle->writes, &w->writes);
    w->busy = true; /* abandoned, it is anyway, and stays so */
    w->wants = w->visited = false;
    w->ready_us = 0;
}

/* Under the mutex. */
static void end_cycle(struct writer *w, const struct cycle *cycle)
{
    w->due_ms = INT64_MAX;
    for (size_t i = 0; i < w->client_count; i++) {
        struct writer_client *client = w->clients[i];

        client->pending -= client->ended;
        client->ended = 0;
        if (client->due_ms < w->due_ms)
            w->due_ms = client->due_ms;
    }
    w->working = false;
    if (cycle->may_write && !w->abandoned)
        w->busy = false;
    condition_broadcast(&w->changed);
}

static void tend_clients(struct writer *w)
{
    int64_t now_ms = writer_now_ms();

    for (size_t i = 0; i < w->client_count; i++) {
        struct writer_client *client = w->clients[i];

        if (now_ms >= client->due_ms)
            client->due_ms = client->tend ? client->tend(client, now_ms) : INT64_MAX;
    }
}

/* The log grows by what is written, and stays large while somebody reads. */
static void look_after_log(struct writer *w, bool has_written)
{
    int64_t now_ms = writer_now_ms();

    if (has_written && w->tend_ms == INT64_MAX)
        w->tend_ms = now_ms + WRITER_TEND_MS;
    if (now_ms < w->tend_ms)
        return;
    w->tend_ms = INT64_MAX;
    if (!database_log_is_large(w->own.database)) {
        writer_tell_log(w);
        return;
    }
    writer_metrics_log_large(w);
    database_flush_log(w->own.database);
    w->cut_log = true;
    w->tend_ms = now_ms + WRITER_TEND_MS;
}

void *writer_run(void *arg)
{
    struct writer *w = arg;
    struct cycle cycle;

    pthread_mutex_lock(&w->mutex);
    for (;;) {
        cycle.may_write = wait_for_work(w);
        if (w->stopping)
            break;
        begin_cycle(w, &cycle);
        pthread_mutex_unlock(&w->mutex);
        if (cycle.may_write)
            writer_write(w, &cycle.writes);
        writer_read(w, &cycle.reads);
        tend_clients(w);
        look_after_log(w, cycle.may_write);
        pthread_mutex_lock(&w->mutex);
        end_cycle(w, &cycle);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* ---- from anywhere ---- */

void writer_submit(struct writer *w, struct writer_client *client, struct writer_work *work)
{
    work->client = client;
    pthread_mutex_lock(&w->mutex);
    client->pending++;
    works_add(work->kind->reads ? &w->reads : &w->writes, work);
    unlock_and_wake(w);
}

void writer_kick(struct writer *w, struct writer_client *client)
{
    pthread_mutex_lock(&w->mutex);
    client->is_kicked = w->is_kicked = true;
    unlock_and_wake(w);
}

void writer_stats(struct writer *w, struct writer_stats *stats)
{
    stats->commits = atomic_load(&w->commits);
    stats->failures = atomic_load(&w->failures);
}
