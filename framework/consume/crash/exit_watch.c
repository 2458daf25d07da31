/* exit_watch.c - see exit_watch.h. */
#include "consume/crash/exit_watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/ending.h"
#include "consume/crash/fault.h"
#include "consume/crash/flight_recorder.h"

/* Functions that are called at the end, each of them by one of the threads that call exit(3) at the
 * same time; a thread that finds none is through, with the status that it gave. So each puts itself
 * back, and there are as many as threads may be in front of that. */
#define AT_ONCE 32

static atomic_int watched; /* the process; 0: none. A child that a handler forks ends as it likes */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t first_thread;

static void watch(void);

static bool is_watched(void)
{
    return atomic_load(&watched) == getpid();
}

static void tell(const char *call)
{
    const struct flight_worker *worker = fault_exits();
    struct warren_bytes id;

    fflush_unlocked(stdout); /* another thread may have its lock for ever */
    if (!worker)
        ending_now("something in this process, such as a plugin, called %s: ending with status 1, "
                   "for warren had not finished",
                   call);
    id = flight_message_id(worker->slot->message_id, worker->slot->id_len);
    ending_tell(NULL); /* it is known who did it, so no other is suspected */
    if (worker->slot->level > 0)
        ending_now("handler %s of queue %s called %s with a batch of messages: ending with status "
                   "1, for warren had not finished",
                   worker->slot->handler, worker->slot->queue, call);
    ending_now(
        "handler %s of queue %s called %s for %s%.*s%s: ending with status 1, for warren had "
        "not finished",
        worker->slot->handler, worker->slot->queue, call,
        id.len > 0 ? "message \"" : "a message without id", (int)id.len, (const char *)id.data,
        id.len > 0 ? "\"" : "");
}

static void on_end(int status, void *user)
{
    char call[32];

    (void)user;
    if (!is_watched())
        return;
    watch();
    snprintf(call, sizeof call, "exit(%d)", status);
    tell(call);
}

static void on_quick_end(void)
{
    if (!is_watched())
        return;
    watch();
    tell("quick_exit");
}

static void watch(void)
{
    on_exit(on_end, NULL);
    at_quick_exit(on_quick_end);
}

static void on_first_thread_end(void *value)
{
    (void)value;
    if (is_watched())
        tell("pthread_exit in the first thread");
}

static void begin_once(void)
{
    pthread_key_create(&first_thread, on_first_thread_end);
    pthread_setspecific(first_thread, &watched);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
}

void exit_watch_begin(void)
{
    atomic_store(&watched, getpid());
    pthread_once(&once, begin_once);
    for (int i = 0; i < AT_ONCE; i++)
        watch();
}

void exit_watch_end(void)
{
    atomic_store(&watched, 0);
}
