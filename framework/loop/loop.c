/* loop.c - libevent behind a small face.
 *
 * The base has no locks: what other threads want comes as tasks, through a mutex and an eventfd.
 */
#include "loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/ending.h"
#include "base/log.h"

/* Descriptors that are asked whether libevent has made them. */
#define SEARCH_MAX 4096

struct loop {
    struct clock *clock;
    struct event_base *base;
    struct event *wakeup;
    int wakeup_fd;
    int timer_fd; /* libevent's; -1: not known */
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards the links and the waiting flag of all tasks */
    struct list tasks;
};

/* What is not said to fail by eventfd(2) is a descriptor that was taken away. */
static void expect(ssize_t done)
{
    if (done >= 0 || errno == EAGAIN || errno == EINTR)
        return;
    descriptors_check();
    ending_now("an event loop cannot be woken: %s", strerrordesc_np(errno));
}

/* Cannot fail but when the counter is near 2^64, and then the loop wakes up anyway. */
static void wake(struct loop *loop)
{
    uint64_t one = 1;

    expect(write(loop->wakeup_fd, &one, sizeof one));
}

/* Take the next task of @batch, under the lock: from then on it may be posted again, or be gone. */
static bool take_task(struct loop *loop, struct list *batch, void (**run)(void *), void **arg)
{
    struct loop_task *task = NULL;
    struct list *link;

    pthread_mutex_lock(&loop->lock);
    link = list_pop(batch);
    if (link) {
        task = list_entry(link, struct loop_task, link);
        task->waiting = false;
        *run = task->run;
        *arg = task->arg;
    }
    pthread_mutex_unlock(&loop->lock);
    return task != NULL;
}

/* A task that is posted while this runs has to wait for the next turn, so that tasks that post
 * each other cannot starve the descriptors. */
static void run_tasks(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    struct list batch;
    uint64_t count;
    void (*run)(void *);
    void *run_arg;

    (void)what;
    expect(read(fd, &count, sizeof count));
    list_init(&batch);
    pthread_mutex_lock(&loop->lock);
    list_splice(&batch, &loop->tasks);
    pthread_mutex_unlock(&loop->lock);
    while (take_task(loop, &batch, &run, &run_arg))
        run(run_arg);
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (!config)
        return NULL;
    /* Timers count from the call, not from the start of the turn, and to the microsecond. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

/* Does the epoll set @set have something of the number @fd? It is asked by reading: it may be
 * another thread's. */
static bool set_has(int set, int fd)
{
    char line[128];
    FILE *info;
    bool found = false;
    int in_set;

    snprintf(line, sizeof line, "/proc/self/fdinfo/%d", set);
    info = fopen(line, "re");
    while (info && !found && fgets(line, sizeof line, info))
        found = sscanf(line, "tfd: %d", &in_set) == 1 && in_set == fd;
    if (info)
        fclose(info);
    return found;
}

/* Is that this process's @fd? A set keeps a file whose number was closed, but not its last one, and
 * who was forked sees what its parent adds. */
static bool set_has_file(int set, int fd)
{
    struct epoll_event none = {.events = 0};

    if (!set_has(set, fd))
        return false;
    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &none) != 0)
        return errno == EEXIST;
    epoll_ctl(set, EPOLL_CTL_DEL, fd, &none);
    return false;
}

/* libevent does not say which set it made, nor which timer: the one that has our descriptor, and
 * the other one that this set has. */
static void watch_descriptors(struct loop *loop)
{
    int set = 0;
    int timer = 0;

    while (set < SEARCH_MAX && !set_has_file(set, loop->wakeup_fd))
        set++;
    if (set == SEARCH_MAX)
        return;
    descriptors_add(loop->wakeup_fd, set, "which wakes an event loop");
    while (timer < SEARCH_MAX && (timer == loop->wakeup_fd || !set_has(set, timer)))
        timer++;
    if (timer < SEARCH_MAX)
        descriptors_add(timer, set, "the timer of an event loop");
    loop->timer_fd = timer < SEARCH_MAX ? timer : -1;
}

static void forget_descriptors(struct loop *loop)
{
    if (loop->timer_fd >= 0)
        descriptors_remove(loop->timer_fd);
    if (loop->wakeup_fd >= 0)
        descriptors_remove(loop->wakeup_fd);
}

enum warren_status loop_new(struct clock *clock, struct loop **ret_loop)
{
    struct loop *loop = calloc(1, sizeof *loop);
    enum warren_status status = WARREN_ENOMEM;

    if (!loop)
        return WARREN_ENOMEM;
    loop->clock = clock;
    list_init(&loop->tasks);
    pthread_mutex_init(&loop->lock, NULL);
    loop->timer_fd = -1;
    loop->wakeup_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wakeup_fd < 0) {
        status = WARREN_EIO;
        goto fail;
    }
    loop->base = new_base();
    if (!loop->base)
        goto fail;
    loop->wakeup = event_new(loop->base, loop->wakeup_fd, EV_READ | EV_PERSIST, run_tasks, loop);
    if (!loop->wakeup || event_add(loop->wakeup, NULL) != 0)
        goto fail;
    watch_descriptors(loop);
    *ret_loop = loop;
    return WARREN_OK;

fail:
    loop_free(loop);
    return status;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    forget_descriptors(loop);
    if (loop->wakeup)
        event_free(loop->wakeup);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->wakeup_fd >= 0)
        close(loop->wakeup_fd);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

void loop_run(struct loop *loop)
{
    do
        if (event_base_loop(loop->base, EVLOOP_ONCE) < 0) {
            descriptors_check();
            ending_now("an event loop cannot go on: %s", strerrordesc_np(errno));
        }
    while (!atomic_exchange(&loop->stopping, false));
}

void loop_stop(struct loop *loop)
{
    /* The lock keeps loop_free() on the loop's thread behind the write. */
    pthread_mutex_lock(&loop->lock);
    atomic_store(&loop->stopping, true);
    wake(loop);
    pthread_mutex_unlock(&loop->lock);
}

struct clock *loop_clock(struct loop *loop)
{
    return loop->clock;
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

int64_t loop_now_ms(struct loop *loop)
{
    return clock_now_ms(loop->clock);
}

static void take_warning(int severity, const char *text)
{
    if (severity < EVENT_LOG_WARN)
        return;
    descriptors_check();
    log_warn("event loop: %s", text);
}

void loop_log_warnings(void)
{
    event_set_log_callback(take_warning);
}

/* ---- work from other threads ---- */

void loop_task_init(struct loop_task *task, void (*run)(void *arg), void *arg)
{
    *task = (struct loop_task){.run = run, .arg = arg};
    list_init(&task->link);
}

void loop_post(struct loop *loop, struct loop_task *task)
{
    pthread_mutex_lock(&loop->lock);
    if (!task->waiting) {
        bool first = list_empty(&loop->tasks);

        task->waiting = true;
        list_push(&loop->tasks, &task->link);
        /* Under the lock: the task may end the loop, and the descriptor with it. */
        if (first)
            wake(loop);
    }
    pthread_mutex_unlock(&loop->lock);
}

void loop_cancel(struct loop *loop, struct loop_task *task)
{
    pthread_mutex_lock(&loop->lock);
    if (task->waiting) {
        list_remove(&task->link);
        task->waiting = false;
    }
    pthread_mutex_unlock(&loop->lock);
}

/* ---- timers ---- */

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timer *timer = arg;

    (void)fd;
    (void)what;
    timer->fire(timer->arg);
}

enum warren_status loop_timer_init(struct loop_timer *timer, struct loop *loop,
                                   void (*fire)(void *arg), void *arg)
{
    *timer = (struct loop_timer){.fire = fire, .arg = arg};
    timer->event = event_new(loop->base, -1, 0, timer_fired, timer);
    return timer->event ? WARREN_OK : WARREN_ENOMEM;
}

void loop_timer_arm_us(struct loop_timer *timer, int64_t delay_us)
{
    struct timeval delay;

    if (delay_us < 0)
        delay_us = 0;
    delay.tv_sec = (time_t)(delay_us / 1000000);
    delay.tv_usec = (suseconds_t)(delay_us % 1000000);
    event_add(timer->event, &delay);
}

void loop_timer_arm_ms(struct loop_timer *timer, int64_t delay_ms)
{
    loop_timer_arm_us(timer, delay_ms > INT64_MAX / 1000 ? INT64_MAX : delay_ms * 1000);
}

void loop_timer_disarm(struct loop_timer *timer)
{
    if (timer->event)
        event_del(timer->event);
}

bool loop_timer_armed(const struct loop_timer *timer)
{
    return timer->event && event_pending(timer->event, EV_TIMEOUT, NULL);
}

void loop_timer_done(struct loop_timer *timer)
{
    if (!timer || !timer->event)
        return;
    event_free(timer->event);
    timer->event = NULL;
}

/* ---- descriptors ---- */

static void fd_ready(evutil_socket_t fd, short what, void *arg)
{
    struct loop_fd *watch = arg;

    (void)fd;
    watch->ready(watch->arg, what & EV_READ ? LOOP_READ : LOOP_WRITE);
}

enum warren_status loop_fd_init(struct loop_fd *watch, struct loop *loop, int fd,
                                void (*ready)(void *arg, unsigned readiness), void *arg)
{
    *watch = (struct loop_fd){.loop = loop, .ready = ready, .arg = arg};
    watch->read = event_new(loop->base, fd, EV_READ | EV_PERSIST, fd_ready, watch);
    watch->write = event_new(loop->base, fd, EV_WRITE | EV_PERSIST, fd_ready, watch);
    if (watch->read && watch->write)
        return WARREN_OK;
    loop_fd_done(watch);
    return WARREN_ENOMEM;
}

static void want(struct event *event, bool before, bool now)
{
    int failure = 0;

    if (now && !before)
        failure = event_add(event, NULL);
    else if (before && !now)
        failure = event_del(event);
    if (failure)
        descriptors_check();
}

void loop_fd_want(struct loop_fd *watch, unsigned readiness)
{
    unsigned before = watch->wanted;

    if (before == readiness)
        return;
    watch->wanted = readiness;
    want(watch->read, before & LOOP_READ, readiness & LOOP_READ);
    want(watch->write, before & LOOP_WRITE, readiness & LOOP_WRITE);
}

void loop_fd_done(struct loop_fd *watch)
{
    if (!watch)
        return;
    if (watch->read)
        event_free(watch->read);
    if (watch->write)
        event_free(watch->write);
    *watch = (struct loop_fd){0};
}

/* ---- signals ---- */

static void signal_caught(evutil_socket_t fd, short what, void *arg)
{
    struct loop_signal *signal = arg;

    (void)fd;
    (void)what;
    signal->caught(signal->arg, signal->number);
}

enum warren_status loop_signal_init(struct loop_signal *signal, struct loop *loop, int number,
                                    void (*caught)(void *arg, int signal), void *arg)
{
    *signal = (struct loop_signal){.caught = caught, .arg = arg, .number = number};
    signal->event = event_new(loop->base, number, EV_SIGNAL | EV_PERSIST, signal_caught, signal);
    if (!signal->event)
        return WARREN_ENOMEM;
    if (event_add(signal->event, NULL) == 0)
        return WARREN_OK;
    loop_signal_done(signal);
    return WARREN_EIO;
}

void loop_signal_done(struct loop_signal *signal)
{
    if (!signal || !signal->event)
        return;
    event_free(signal->event);
    signal->event = NULL;
}

const char *loop_library_version(void)
{
    return event_get_version();
}
