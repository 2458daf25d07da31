/* loop.h - one event loop: descriptors, timers, signals, and work posted from other threads.
 * The home of libevent; its bufferevents are in http/.
 * Thread: everything on the loop's own thread, but loop_post() and loop_stop(), which any may call.
 */
#ifndef WARREN_LOOP_LOOP_H
#define WARREN_LOOP_LOOP_H

#include <warren/status.h>

#include "base/clock.h"
#include "base/list.h"

struct loop;
struct event;
struct event_base;

/**
 * A loop with microsecond timers. Run it on any one thread.
 *
 * @clock  borrowed; everything on the loop reads the time from it, but not the timers: these count
 *         by clock_monotonic() from when they were armed
 */
enum warren_status loop_new(struct clock *clock, struct loop **ret_loop);
/** After loop_run() returned and everything on it is done. NULL is fine. */
void loop_free(struct loop *loop);
/** Run until loop_stop(). */
void loop_run(struct loop *loop);
/** Make loop_run() return after the current turn. Thread: any. */
void loop_stop(struct loop *loop);
/** The clock that it was given. Thread: as that clock. */
struct clock *loop_clock(struct loop *loop);
/** libevent's side of it, for who needs more of libevent than this has: http/. */
struct event_base *loop_base(struct loop *loop);
/** What it says. Thread: as that clock. */
int64_t loop_now_ms(struct loop *loop);

/**
 * What libevent warns of goes into the log, and has all descriptors looked at (base/descriptors.h).
 * For a process that is warren's alone: there is one such function for all who use libevent in it.
 */
void loop_log_warnings(void);

/** The version of libevent that runs. Static storage. Thread: any. */
const char *loop_library_version(void);

/* ---- work from other threads ---- */

/**
 * A function that other threads can ask the loop to run. Posting one that is already waiting does
 * nothing, so posting cannot fail and needs no memory; the eventfd is written only when no task
 * was waiting.
 */
struct loop_task {
    struct list link;
    bool waiting;
    void (*run)(void *arg);
    void *arg;
};

void loop_task_init(struct loop_task *task, void (*run)(void *arg), void *arg);
/** Thread: any. @task must live until it ran or was cancelled. */
void loop_post(struct loop *loop, struct loop_task *task);
/** Take a waiting task back. Thread: the loop's. */
void loop_cancel(struct loop *loop, struct loop_task *task);

/* ---- timers ---- */

struct loop_timer {
    struct event *event;
    void (*fire)(void *arg);
    void *arg;
};

enum warren_status loop_timer_init(struct loop_timer *timer, struct loop *loop,
                                   void (*fire)(void *arg), void *arg);
/** Fire once, after @delay_us microseconds; an armed timer is armed anew. */
void loop_timer_arm_us(struct loop_timer *timer, int64_t delay_us);
void loop_timer_arm_ms(struct loop_timer *timer, int64_t delay_ms);
/** An unarmed or zeroed timer is fine. */
void loop_timer_disarm(struct loop_timer *timer);
bool loop_timer_armed(const struct loop_timer *timer);
/** A zeroed timer is fine. */
void loop_timer_done(struct loop_timer *timer);

/* ---- descriptors ---- */

enum loop_readiness { LOOP_READ = 1, LOOP_WRITE = 2 };

/** A descriptor, level-triggered. */
struct loop_fd {
    struct loop *loop;
    struct event *read;
    struct event *write;
    unsigned wanted; /* of enum loop_readiness */
    void (*ready)(void *arg, unsigned readiness);
    void *arg;
};

/** Watch @fd (borrowed) for nothing yet. */
enum warren_status loop_fd_init(struct loop_fd *watch, struct loop *loop, int fd,
                                void (*ready)(void *arg, unsigned readiness), void *arg);
/** The readiness to report from now on. */
void loop_fd_want(struct loop_fd *watch, unsigned readiness);
/** Before the descriptor is closed; a zeroed watch is fine. */
void loop_fd_done(struct loop_fd *watch);

/* ---- signals ---- */

struct loop_signal {
    struct event *event;
    void (*caught)(void *arg, int signal);
    void *arg;
    int number;
};

enum warren_status loop_signal_init(struct loop_signal *signal, struct loop *loop, int number,
                                    void (*caught)(void *arg, int signal), void *arg);
void loop_signal_done(struct loop_signal *signal);

#endif
