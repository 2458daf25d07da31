/* flight_recorder.c - see flight_recorder.h. Here: life, slots and reports. */
#include "consume/flight_recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "amqp/annotations.h"
#include "amqp/property_spans.h"
#include "base/error.h"
#include "consume/fault.h"

/* Restarts that are this far apart have nothing to do with each other. */
#define RESTART_SOON_MS 60000
/* So many in a row are free; then the waiting begins, and doubles. */
#define RESTARTS_FREE        5
#define RESTART_DELAY_MS     1000
#define RESTART_DELAY_MAX_MS 10000

/* How long after the limit it may be found out: this part of the shortest limit. */
#define WATCH_SHARE  8
#define WATCH_MIN_MS 10
#define WATCH_MAX_MS 1000

/* Async-signal-safe, unlike what base/clock.h promises. */
static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what an earlier process left ---- */

/* A text of a file that may be damaged. */
static void copy_text(char *to, const char *from, size_t size)
{
    size_t len = strnlen(from, size - 1);

    memcpy(to, from, len);
    to[len] = '\0';
}

static bool is_free(const struct flight_report *report)
{
    return report->reason == FLIGHT_NO_REASON;
}

/* Keep a copy of report @number of @from. @return its number here; 0: none */
static uint32_t keep_report(struct flight *f, const struct flight_file *from, uint32_t number)
{
    const struct flight_report *old;

    if (number == 0 || number > FLIGHT_REPORTS)
        return 0;
    old = &from->reports[number - 1];
    if (is_free(old) || old->reason > FLIGHT_KILLED)
        return 0;
    for (uint32_t i = FLIGHT_REPORTS_OWN; i < FLIGHT_REPORTS; i++) {
        struct flight_report *report = &f->file.reports[i];

        if (!is_free(report))
            continue;
        report->signal = old->signal;
        report->code = old->code;
        report->attempt = old->attempt;
        report->address = old->address;
        report->at_ms = old->at_ms;
        copy_text(report->queue, old->queue, sizeof report->queue);
        copy_text(report->handler, old->handler, sizeof report->handler);
        copy_text(report->message_id, old->message_id, sizeof report->message_id);
        copy_text(report->backtrace, old->backtrace, sizeof report->backtrace);
        atomic_store(&report->done, 1);
        report->reason = old->reason;
        return i + 1;
    }
    return 0;
}

static void load_notes(struct flight *f, const struct flight_file *from, int64_t now_ms)
{
    for (uint32_t i = 0; i < from->head->note_count; i++) {
        struct flight_note note = from->notes[i];

        if (note.check == 0 || !flight_note_is_sound(&note) ||
            now_ms - note.noted_ms > FLIGHT_NOTE_KEPT_MS)
            continue;
        note.report = keep_report(f, from, note.report);
        flight_notes_load(&f->notes, &note);
    }
}

static enum flight_state state_of(const struct flight_slot *slot)
{
    return (enum flight_state)(atomic_load(&slot->state) & FLIGHT_STATE_MASK);
}

/* If one of them is known to have done it, those that merely ran have not. */
static bool culprit_is_known(const struct flight_file *from)
{
    for (uint32_t i = 0; i < from->head->slot_count; i++)
        if (state_of(&from->slots[i]) >= FLIGHT_CRASHED)
            return true;
    return atomic_load(&from->head->landed) != 0;
}

static void load_slot(struct flight *f, const struct flight_file *from,
                      const struct flight_slot *slot, int64_t now_ms)
{
    enum flight_state state = state_of(slot);
    struct flight_note note = {
        .message = slot->message, .crashes = 1, .first_ms = now_ms, .noted_ms = now_ms};

    note.reason = state == FLIGHT_CRASHED ? FLIGHT_SIGNAL
                  : state == FLIGHT_STUCK ? FLIGHT_LIMIT
                                          : FLIGHT_KILLED;
    note.report = keep_report(f, from, atomic_load(&slot->report));
    /* Who was only near has not failed. */
    note.failed = state != FLIGHT_RUNNING || slot->alone;
    flight_notes_load(&f->notes, &note);
}

static void load(void *user, const struct flight_file *from)
{
    struct flight *f = user;
    int64_t now_ms = wall_ms();
    bool known = culprit_is_known(from);

    if (!f->notes.file && flight_notes_init(&f->notes, &f->file) != WARREN_OK)
        return;
    load_notes(f, from, now_ms);
    for (uint32_t i = 0; i < from->head->slot_count; i++) {
        enum flight_state state = state_of(&from->slots[i]);

        if (state >= FLIGHT_CRASHED || (state == FLIGHT_RUNNING && !known))
            load_slot(f, from, &from->slots[i], now_ms);
    }
    if (from->head->restarts.last_ms >= f->file.head->restarts.last_ms)
        f->file.head->restarts = from->head->restarts;
}

/* ---- life ---- */

static enum warren_status open_memory(struct flight *f, const struct flight_shape *shape,
                                      uint64_t key, int inherited, struct warren_error *error)
{
    enum warren_status status = flight_file_memory(shape, key, &f->file, error);
    struct flight_file earlier;

    if (status != WARREN_OK)
        return status;
    if (inherited >= 0 && flight_file_read(inherited, key, &earlier) == WARREN_OK) {
        load(f, &earlier);
        flight_file_close(&earlier, false);
    } else if (inherited >= 0) {
        close(inherited);
    }
    return WARREN_OK;
}

static enum warren_status open_parts(struct flight *f, const struct flight_options *options,
                                     struct warren_error *error)
{
    struct flight_shape shape = {.slots = options->slots,
                                 .notes = options->notes + 2 * options->slots};
    uint64_t key = identity_hash(options->key, strlen(options->key), 0);
    enum warren_status status;

    f->workers = calloc((size_t)options->slots + 1, sizeof *f->workers);
    f->taint_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!f->workers || f->taint_fd < 0)
        return error_set(error, WARREN_EIO, "flight recorder: %s", strerror(errno));
    if (options->directory)
        status = flight_file_create(options->directory, &shape, key, &f->file, load, f, error);
    else
        status = open_memory(f, &shape, key, options->inherited, error);
    if (status != WARREN_OK)
        return status;
    if (!f->notes.file && flight_notes_init(&f->notes, &f->file) != WARREN_OK)
        return error_set(error, WARREN_ENOMEM, "no memory for the flight recorder");
    return WARREN_OK;
}

enum warren_status flight_open(const struct flight_options *options, struct flight **ret_flight,
                               struct warren_error *error)
{
    struct flight *f = calloc(1, sizeof *f);
    enum warren_status status;

    if (!f)
        return error_set(error, WARREN_ENOMEM, "no memory for the flight recorder");
    f->file.fd = f->taint_fd = -1;
    f->crashes_max = options->crashes_max;
    f->pid = getpid();
    atomic_store(&f->hard_least_ms, INT64_MAX);
    turnstile_init(&f->turnstile);
    status = open_parts(f, options, error);
    if (status != WARREN_OK) {
        flight_close(f, false);
        return status;
    }
    *ret_flight = f;
    return WARREN_OK;
}

void flight_close(struct flight *f, bool landed)
{
    bool remove;

    if (!f)
        return;
    if (landed && f->file.head)
        atomic_store(&f->file.head->landed, 1);
    remove = !f->notes.file || (landed && flight_notes_count(&f->notes) == 0);
    flight_notes_done(&f->notes);
    flight_file_close(&f->file, remove);
    turnstile_done(&f->turnstile);
    if (f->taint_fd >= 0)
        close(f->taint_fd);
    free(f->workers);
    free(f);
}

struct flight_worker *flight_workers(struct flight *f, const char *queue, const char *handler,
                                     uint32_t count, _Atomic uint32_t *lost)
{
    struct flight_worker *first = &f->workers[f->worker_count];

    if (count > f->file.head->slot_count - f->worker_count)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct flight_slot *slot = &f->file.slots[f->worker_count + i];

        first[i] = (struct flight_worker){.flight = f, .slot = slot, .lost = lost};
        atomic_store(&first[i].hard_ms, INT64_MAX);
        strncpy(slot->queue, queue, sizeof slot->queue - 1);
        strncpy(slot->handler, handler, sizeof slot->handler - 1);
    }
    f->worker_count += count;
    return first;
}

/* ---- a worker thread ---- */

void flight_begin(struct flight_worker *w, struct delivery *delivery,
                  const struct identity *message, struct warren_bytes message_id, bool alone)
{
    struct flight_slot *slot = w->slot;
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);

    w->delivery = delivery;
    slot->message = *message;
    slot->failed = delivery->failed;
    slot->alone = alone;
    slot->id_len = (uint8_t)message_id.len; /* a short string */
    memcpy(slot->message_id, message_id.data, message_id.len);
    slot->message_id[message_id.len] = '\0';
    atomic_store_explicit(&slot->state,
                          (state & ~FLIGHT_STATE_MASK) + FLIGHT_STATE_STEP + FLIGHT_RUNNING,
                          memory_order_release);
    if (alone)
        flight_file_sync(&w->flight->file);
}

bool flight_end(struct flight_worker *w)
{
    uint64_t state = atomic_load_explicit(&w->slot->state, memory_order_relaxed);

    if (atomic_load_explicit(&w->hard_ms, memory_order_relaxed) != INT64_MAX)
        atomic_store_explicit(&w->hard_ms, INT64_MAX, memory_order_relaxed);
    return (state & FLIGHT_STATE_MASK) == FLIGHT_RUNNING &&
           atomic_compare_exchange_strong(&w->slot->state, &state, state - FLIGHT_RUNNING);
}

/* ---- threads that are lost ---- */

/* Async-signal-safe, as all that follows up to the main thread's part. */
static void tell(struct flight *f)
{
    uint64_t one = 1;
    ssize_t written = write(f->taint_fd, &one, sizeof one);

    (void)written; /* it fails only if the counter is full, and then the reader is awake */
}

/* As warren_job_attempt() has it, but without decoding what takes memory to decode. */
static uint32_t attempt_of(const struct flight_worker *w)
{
    struct property_spans spans;
    struct warren_bytes queue;
    enum warren_type type;
    uint64_t failed = w->slot->failed;
    bool about_us;

    property_spans_find(delivery_properties(w->delivery), &spans);
    about_us =
        !property_spans_header(spans.headers, NOTE_QUEUE, &type, &queue) || type != WARREN_STRING ||
        (queue.len == strlen(w->slot->queue) && memcmp(queue.data, w->slot->queue, queue.len) == 0);
    if (about_us)
        failed += property_spans_count(spans.headers, NOTE_ATTEMPTS, 0);
    return failed < UINT32_MAX ? (uint32_t)failed + 1 : UINT32_MAX;
}

static struct flight_report *new_report(struct flight_worker *w, enum flight_reason reason)
{
    struct flight *f = w->flight;
    uint32_t number = atomic_fetch_add(&f->file.head->own_reports, 1) + 1;
    struct flight_report *report;

    if (number > FLIGHT_REPORTS_OWN)
        return NULL;
    report = &f->file.reports[number - 1];
    memcpy(report->queue, w->slot->queue, sizeof report->queue);
    memcpy(report->handler, w->slot->handler, sizeof report->handler);
    memcpy(report->message_id, w->slot->message_id, sizeof report->message_id);
    report->at_ms = wall_ms();
    report->attempt = attempt_of(w);
    report->reason = reason;
    atomic_store(&w->slot->report, number);
    return report;
}

static void lose(struct flight_worker *w)
{
    atomic_fetch_add(w->lost, 1);
    atomic_store(&w->flight->tainted, true);
    tell(w->flight);
}

struct flight_report *flight_crashed(struct flight_worker *w, int signal, int code,
                                     const void *address)
{
    uint64_t state = atomic_load(&w->slot->state);
    struct flight_report *report;

    if ((state & FLIGHT_STATE_MASK) != FLIGHT_RUNNING ||
        !atomic_compare_exchange_strong(&w->slot->state, &state,
                                        state - FLIGHT_RUNNING + FLIGHT_CRASHED))
        return flight_report_of(w); /* the main thread has given it up in this moment */
    report = new_report(w, FLIGHT_SIGNAL);
    if (report) {
        report->signal = signal;
        report->code = code;
        report->address = (uintptr_t)address;
    }
    lose(w);
    return report;
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
    tell(w->flight);
}

/* ---- the main thread ---- */

void flight_limit(struct flight_worker *w, int64_t until_ms, int64_t limit_ms)
{
    struct flight *f = w->flight;
    int64_t least_ms = atomic_load_explicit(&f->hard_least_ms, memory_order_relaxed);

    if (until_ms >= atomic_load_explicit(&w->hard_ms, memory_order_relaxed))
        return;
    atomic_store_explicit(&w->hard_ms, until_ms, memory_order_relaxed);
    if (limit_ms < 1)
        limit_ms = 1;
    while (limit_ms < least_ms)
        if (atomic_compare_exchange_weak(&f->hard_least_ms, &least_ms, limit_ms)) {
            tell(f); /* from now on there is something to watch */
            break;
        }
}

static void give_up(struct flight_worker *w, int64_t now_ms)
{
    uint64_t state = atomic_load(&w->slot->state);

    /* In this order: a handler that begins meanwhile has another state. */
    if ((state & FLIGHT_STATE_MASK) != FLIGHT_RUNNING || atomic_load(&w->hard_ms) > now_ms)
        return;
    if (!atomic_compare_exchange_strong(&w->slot->state, &state,
                                        state - FLIGHT_RUNNING + FLIGHT_STUCK))
        return;
    new_report(w, FLIGHT_LIMIT);
    lose(w);
    syscall(SYS_tgkill, getpid(), atomic_load(&w->thread), FAULT_TELL_SIGNAL);
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
    int64_t now_ms = wall_ms();

    if (now_ms - restarts->last_ms > RESTART_SOON_MS || restarts->count == UINT32_MAX)
        restarts->count = 0;
    restarts->count++;
    restarts->last_ms = now_ms;
}

int64_t flight_restart_delay_ms(const struct flight *f)
{
    const struct flight_restarts *restarts = &f->file.head->restarts;
    int64_t age_ms = wall_ms() - restarts->last_ms;

    if (age_ms < 0 || age_ms > RESTART_SOON_MS)
        return 0;
    return flight_delay_ms(restarts->count);
}

uint32_t flight_suspects(const struct flight *f)
{
    return atomic_load_explicit(&f->notes.suspects, memory_order_relaxed);
}
