/* flight_lost.c - threads that do not come back, what they report, and the restarts that follow.
 * All up to the main thread's part is async-signal-safe.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "amqp/wire/notes.h"
#include "base/clock.h"
#include "base/log.h"
#include "consume/crash/crash_private.h"
#include "consume/crash/fault_signals.h"

/* Restarts that are this far apart have nothing to do with each other. */
#define RESTART_SOON_MS 60000
/* This many in a row are free; then the waiting begins, and doubles. */
#define RESTARTS_FREE        5
#define RESTART_DELAY_MS     1000
#define RESTART_DELAY_MAX_MS 10000

_Static_assert(TALLY_SIGNAL + FAULT_SIGNALS == TALLY_EXIT, "the place of no signal is an exit");

/* How long after the limit it may be found out: this part of the shortest limit. */
#define WATCH_SHARE  8
#define WATCH_MIN_MS 10
#define WATCH_MAX_MS 1000

void flight_tell(struct flight *f)
{
    atomic_store(&f->told, true);
    if (f->wake)
        sem_post(f->wake);
}

/* As warren_job_attempt() has it, but without decoding what takes memory to decode. */
static uint32_t attempt_of(const struct flight_worker *w)
{
    uint64_t failed = w->slot->failed;
    struct notes notes;

    if (notes_of_copy(w->delivery, w->slot->queue, &notes))
        failed += notes.attempts;
    return failed < UINT32_MAX ? (uint32_t)failed + 1 : UINT32_MAX;
}

/* @signal 0: none. @return its number; 0: there is no room */
static uint32_t take_report(struct flight *f, enum flight_reason reason, int signal, int code,
                            const void *address)
{
    uint32_t number = atomic_fetch_add(&f->file.head->own_reports, 1) + 1;
    struct flight_report *report;

    if (number > FLIGHT_REPORTS_OWN)
        return 0;
    report = &f->file.reports[number - 1];
    report->signal = signal;
    report->code = code;
    report->address = (uintptr_t)address;
    report->at_ms = clock_wall_ms();
    report->reason = reason;
    return number;
}

static void report_loss(struct flight_worker *w, enum flight_reason reason, int signal, int code,
                        const void *address)
{
    uint32_t number = take_report(w->flight, reason, signal, code, address);
    struct flight_report *report;

    if (number == 0)
        return;
    report = &w->flight->file.reports[number - 1];
    memcpy(report->queue, w->slot->queue, sizeof report->queue);
    memcpy(report->handler, w->slot->handler, sizeof report->handler);
    if (w->slot->level == 0) { /* of a batch nobody knows which message it was */
        memcpy(report->message_id, w->slot->message_id, sizeof report->message_id);
        report->id_len = w->slot->id_len;
        report->attempt = attempt_of(w);
    }
    atomic_store(&w->slot->report, number);
}

/* For good: no recorder of the process can undo it. */
static atomic_bool process_tainted;

bool flight_process_tainted(void)
{
    return atomic_load(&process_tainted);
}

/* The rest of its batch is lost with it. */
static void mark_members(struct flight_worker *w, enum flight_state how)
{
    for (struct flight_worker *m = w->next_member; m && flight_is_up(m); m = m->next_member)
        atomic_fetch_add(&m->slot->state, (uint64_t)(how - FLIGHT_RUNNING));
}

static void lose(struct flight_worker *w)
{
    uint32_t messages = 1;

    for (struct flight_worker *m = w->next_member; m && flight_is_up(m); m = m->next_member)
        messages++;
    atomic_fetch_add(w->lost, messages);
    atomic_store(&process_tainted, true);
    atomic_store(&w->flight->tainted, true);
    flight_tell(w->flight);
}

/* @return false: the main thread has given it up in this moment */
static bool crash(struct flight_worker *w, int signal, int code, const void *address)
{
    uint64_t state = atomic_load(&w->slot->state);

    if ((state & FLIGHT_STATE_MASK) != FLIGHT_RUNNING ||
        !atomic_compare_exchange_strong(&w->slot->state, &state,
                                        state - FLIGHT_RUNNING + FLIGHT_CRASHED))
        return false;
    mark_members(w, FLIGHT_CRASHED);
    flight_count(w->flight, TALLY_SIGNAL + fault_signal_place(signal));
    report_loss(w, w->slot->ahead ? FLIGHT_AHEAD : FLIGHT_SIGNAL, signal, code, address);
    return true;
}

struct flight_report *flight_crashed(struct flight_worker *w, int signal, int code,
                                     const void *address)
{
    if (crash(w, signal, code, address))
        lose(w);
    return flight_report_of(w);
}

void flight_ends(struct flight_worker *w, int signal, int code, const void *address)
{
    crash(w, signal, code, address);
}

struct flight_report *flight_report_of(const struct flight_worker *w)
{
    uint32_t number = atomic_load(&w->slot->report);

    return number ? &w->flight->file.reports[number - 1] : NULL;
}

void flight_reported(struct flight_worker *w)
{
    struct flight_report *report = flight_report_of(w);

    if (report)
        atomic_store(&report->done, 1);
    flight_tell(w->flight);
}

/* ---- the main thread ---- */

static void give_up(struct flight_worker *w, int64_t now_ms)
{
    uint64_t state = atomic_load(&w->slot->state);
    pid_t thread;

    /* In this order: a handler that begins meanwhile has another state. */
    if ((state & FLIGHT_STATE_MASK) != FLIGHT_RUNNING || atomic_load(&w->hard_ms) > now_ms)
        return;
    if (!atomic_compare_exchange_strong(&w->slot->state, &state,
                                        state - FLIGHT_RUNNING + FLIGHT_STUCK))
        return;
    mark_members(w, FLIGHT_STUCK);
    flight_count(w->flight, TALLY_LIMIT);
    report_loss(w, FLIGHT_LIMIT, 0, 0, NULL);
    lose(w);
    thread = atomic_load(&w->waits_for);
    syscall(SYS_tgkill, getpid(), thread ? thread : atomic_load(&w->thread), FAULT_TELL_SIGNAL);
}

int64_t flight_watch(struct flight *f, int64_t now_ms)
{
    int64_t least_ms = atomic_load(&f->hard_least_ms);
    int64_t again_ms;

    if (least_ms == INT64_MAX)
        return -1;
    for (uint32_t i = 0; i < f->worker_count; i++)
        give_up(&f->workers[i], now_ms);
    again_ms = least_ms / WATCH_SHARE;
    if (again_ms < WATCH_MIN_MS)
        return WATCH_MIN_MS;
    return again_ms < WATCH_MAX_MS ? again_ms : WATCH_MAX_MS;
}

bool flight_has_lost(const struct flight *f, pid_t thread)
{
    for (uint32_t i = 0; i < f->worker_count; i++)
        if (atomic_load(&f->workers[i].thread) == thread &&
            (atomic_load(&f->workers[i].slot->state) & FLIGHT_STATE_MASK) >= FLIGHT_CRASHED)
            return true;
    return false;
}

struct flight_report *flight_next_report(struct flight *f)
{
    uint32_t taken = atomic_load(&f->file.head->own_reports);

    if (f->reported >= taken || f->reported >= FLIGHT_REPORTS_OWN)
        return NULL;
    return &f->file.reports[f->reported++];
}

/* ---- restarts ---- */

int64_t flight_delay_ms(uint32_t restarts)
{
    int64_t delay_ms = RESTART_DELAY_MS;

    if (restarts <= RESTARTS_FREE)
        return 0;
    for (uint32_t i = RESTARTS_FREE + 1; i < restarts && delay_ms < RESTART_DELAY_MAX_MS; i++)
        delay_ms *= 2;
    return delay_ms < RESTART_DELAY_MAX_MS ? delay_ms : RESTART_DELAY_MAX_MS;
}

void flight_count_restart(struct flight *f)
{
    struct flight_restarts *restarts = &f->file.head->restarts;
    int64_t now_ms = clock_wall_ms();

    if (now_ms - restarts->last_ms > RESTART_SOON_MS || restarts->count == UINT32_MAX)
        restarts->count = 0;
    restarts->count++;
    restarts->last_ms = now_ms;
    flight_count(f, TALLY_RESTARTS);
}

int64_t flight_restart_delay_ms(const struct flight *f)
{
    const struct flight_restarts *restarts = &f->file.head->restarts;
    int64_t age_ms = clock_wall_ms() - restarts->last_ms;

    if (age_ms < 0 || age_ms > RESTART_SOON_MS)
        return 0;
    return flight_delay_ms(restarts->count);
}

uint32_t flight_suspects(const struct flight *f)
{
    return atomic_load_explicit(&f->notes.suspects, memory_order_relaxed);
}

/* ---- a process that falls ---- */

struct flight_report *flight_fell(struct flight *f, int signal, int code, const void *address)
{
    struct flight_head *head = f->file.head;
    int64_t lived_ms = clock_now_ms(clock_monotonic()) - f->started_ms;
    uint32_t number;

    if (atomic_exchange(&head->fallen, 1))
        return NULL;
    atomic_store(&head->falls, lived_ms < FLIGHT_CALM_MS ? atomic_load(&head->falls) + 1 : 1);
    head->fallen_ms = clock_wall_ms();
    flight_count(f, TALLY_FALLS);
    number = take_report(f, FLIGHT_FALL, signal, code, address);
    if (number == 0)
        return NULL;
    atomic_store(&head->fall_report, number);
    return &f->file.reports[number - 1];
}

void flight_found(struct flight *f)
{
    atomic_store(&f->file.head->falls, 0);
    if (atomic_exchange(&f->narrow, false))
        log_info("messages run side by side again");
}

void flight_look_for_calm(struct flight *f, int64_t now_ms)
{
    if (now_ms - f->started_ms >= FLIGHT_CALM_MS)
        flight_found(f);
}
