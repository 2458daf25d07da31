/* writer_life.c - a writer's begin and end, and who has one. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/forked.h"
#include "base/thread.h"
#include "store/writer/writer_private.h"

/* One for each file that this process has. */
static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct writer *all;

static void free_writer(struct writer *w)
{
    if (w->started) {
        pthread_mutex_lock(&w->mutex);
        w->stopping = true;
        condition_signal(&w->wake);
        pthread_mutex_unlock(&w->mutex);
        pthread_join(w->thread, NULL);
    }
    writer_metrics_done(w);
    if (w->abandoned) /* it is left to the lost thread */
        return;
    writer_side_done(&w->own);
    condition_done(&w->wake);
    condition_done(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

static enum warren_status open_file(struct writer *w, const struct database_options *options,
                                    struct warren_error *error)
{
    struct stat file;
    enum warren_status status = database_open(options, &w->own.database, error);

    if (status == WARREN_OK)
        status = writer_side_prepare(&w->own, error);
    if (status == WARREN_OK && stat(options->path, &file) != 0)
        status = error_set(error, WARREN_EIO, "%s: it is gone", options->path);
    if (status == WARREN_OK) {
        w->device = file.st_dev;
        w->inode = file.st_ino;
        writer_metrics_init(w);
        status = thread_start(&w->thread, "warren-writer", writer_run, w, error);
    }
    w->started = status == WARREN_OK;
    return status;
}

static enum warren_status make(const struct database_options *options, struct writer **ret_writer,
                               struct warren_error *error)
{
    struct writer *w = calloc(1, sizeof *w);
    enum warren_status status;

    if (!w)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    w->forks = forked_begin();
    pthread_mutex_init(&w->mutex, NULL);
    condition_init(&w->wake);
    condition_init(&w->changed);
    works_init(&w->reads);
    works_init(&w->writes);
    works_init(&w->failed);
    w->due_ms = INT64_MAX;
    w->tend_ms = writer_now_ms() + WRITER_TEND_MS;
    status = open_file(w, options, error);
    if (status != WARREN_OK) {
        free_writer(w);
        return status;
    }
    w->next = all;
    all = w;
    *ret_writer = w;
    return WARREN_OK;
}

static struct writer *find(const char *path)
{
    struct writer *w = all;
    struct stat file;

    if (stat(path, &file) != 0)
        return NULL;
    while (w && (w->device != file.st_dev || w->inode != file.st_ino))
        w = w->next;
    return w;
}

enum warren_status writer_get(const struct database_options *options, struct writer **ret_writer,
                              struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    struct writer *w;

    *ret_writer = NULL;
    pthread_mutex_lock(&all_mutex);
    w = find(options->path);
    if (!w)
        status = make(options, &w, error);
    else if (forked_since(w->forks)) /* SQLite's rule; and the thread is not here */
        status = error_set(error, WARREN_EIO,
                           "%s: this process was forked while its parent had the file open: it is "
                           "the parent's",
                           options->path);
    if (status == WARREN_OK) {
        w->users++;
        *ret_writer = w;
    }
    pthread_mutex_unlock(&all_mutex);
    return status;
}

void writer_put(struct writer *w)
{
    struct writer **place = &all;

    if (!w)
        return;
    pthread_mutex_lock(&all_mutex);
    if (--w->users == 0) {
        while (*place != w)
            place = &(*place)->next;
        *place = w->next;
        free_writer(w);
    }
    pthread_mutex_unlock(&all_mutex);
}

/* ---- those who have it ---- */

void writer_pause(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    w->pauses++;
    while (w->working || (w->busy && !w->abandoned))
        condition_wait(&w->changed, &w->mutex);
    w->working = w->busy = true;
    pthread_mutex_unlock(&w->mutex);
}

void writer_resume(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    w->pauses--;
    w->working = false;
    if (!w->abandoned)
        w->busy = false;
    condition_signal(&w->wake);
    condition_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

struct writer_side *writer_own(struct writer *w)
{
    return &w->own;
}

void writer_join(struct writer *w, struct writer_client *client)
{
    pthread_mutex_lock(&w->mutex);
    client->is_kicked = w->is_kicked = true;
    assert(w->client_count < WRITER_CLIENTS);
    w->clients[w->client_count++] = client;
    if (client->group_delay_us > w->group_delay_us)
        w->group_delay_us = client->group_delay_us;
    pthread_mutex_unlock(&w->mutex);
}

/* Under the mutex: until all that it handed over is done. */
static bool is_at_rest(const struct writer_client *client)
{
    return client->pending == 0 && !client->is_kicked;
}

/* Under the mutex. */
static void remove_client(struct writer *w, const struct writer_client *client)
{
    size_t place = 0;

    while (w->clients[place] != client)
        place++;
    memmove(&w->clients[place], &w->clients[place + 1],
            (--w->client_count - place) * sizeof(struct writer_client *));
}

/* While it is paused nothing new can come of a kick, and others cannot keep it from resting. */
void writer_leave(struct writer *w, struct writer_client *client)
{
    bool has_left = false;

    client->is_leaving = true;
    while (!has_left) {
        pthread_mutex_lock(&w->mutex);
        w->leaving++;
        writer_wake(w);
        while (!is_at_rest(client))
            condition_wait(&w->changed, &w->mutex);
        w->leaving--;
        pthread_mutex_unlock(&w->mutex);
        writer_pause(w);
        pthread_mutex_lock(&w->mutex);
        has_left = is_at_rest(client);
        if (has_left)
            remove_client(w, client);
        pthread_mutex_unlock(&w->mutex);
        writer_resume(w);
    }
}
