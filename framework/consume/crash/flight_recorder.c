/* flight_recorder.c - see flight_recorder.h. Here: life, and what worker threads do; what earlier
 * processes left: flight_earlier.c; threads that are lost: flight_lost.c; series: flight_metrics.c.
 */
#include "consume/crash/flight_recorder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/log_event.h"
#include "consume/crash/crash_private.h"

/* ---- life ---- */

static enum warren_status open_memory(struct flight *f, const struct flight_shape *shape,
                                      uint64_t key, int inherited, struct warren_error *error)
{
    enum warren_status status = flight_file_memory(shape, key, &f->file, error);
    struct flight_file earlier;
    const char *wrong;

    if (status != WARREN_OK || inherited < 0)
        return status;
    wrong = flight_file_read(inherited, key, &earlier);
    if (wrong) {
        flight_refuse(f, "memory", wrong);
        close(inherited);
        return WARREN_OK;
    }
    flight_load(f, &earlier);
    flight_file_close(&earlier, false);
    return WARREN_OK;
}

static uint64_t hash_of(const char *key)
{
    return identity_hash(key, strlen(key), 0);
}

static enum warren_status open_parts(struct flight *f, const struct flight_options *options,
                                     struct warren_error *error)
{
    struct flight_shape shape = {.slots = options->slots,
                                 .notes = options->notes + 2 * options->slots};
    const struct flight_heir heir = {flight_load, flight_refuse, flight_bury, f};
    uint64_t key = hash_of(options->key);
    enum warren_status status;

    f->workers_size = ((size_t)options->slots + 1) * sizeof *f->workers;
    f->workers = guarded_alloc(f->workers_size);
    if (!f->workers)
        return error_set(error, WARREN_ENOMEM, "no memory for the flight recorder");
    if (options->directory)
        status = flight_file_create(options->directory, &shape, key, &heir, &f->file, error);
    else
        status = open_memory(f, &shape, key, options->inherited, error);
    if (status != WARREN_OK)
        return status;
    if (!f->notes.file && flight_notes_init(&f->notes, &f->file) != WARREN_OK)
        return error_set(error, WARREN_ENOMEM, "no memory for the flight recorder");
    return WARREN_OK;
}

static void begin_narrow(struct flight *f)
{
    atomic_store(&f->narrow, true);
    log_event(WARREN_LOG_WARN,
              "processes fell in a row: one message at a time, until the one is found that does it",
              LOG_INT("falls", atomic_load(&f->file.head->falls)));
}

enum warren_status flight_open(const struct flight_options *options, struct flight **ret_flight,
                               struct warren_error *error)
{
    struct flight *f = guarded_alloc(sizeof *f);
    enum warren_status status;

    if (!f)
        return error_set(error, WARREN_ENOMEM, "no memory for the flight recorder");
    f->file.fd = -1;
    f->wake = options->wake;
    f->crashes_max = options->crashes_max;
    f->pid = getpid();
    f->started_ms = clock_now_ms(clock_monotonic());
    atomic_store(&f->hard_least_ms, INT64_MAX);
    exclusive_gate_init(&f->exclusive_gate);
    status = open_parts(f, options, error);
    if (status != WARREN_OK) {
        flight_close(f, false);
        return status;
    }
    if (flight_suspects(f) > 0 && atomic_load(&f->file.head->falls) > 0)
        exclusive_gate_expect(&f->exclusive_gate);
    if (atomic_load(&f->file.head->falls) >= FLIGHT_FALLS_MAX)
        begin_narrow(f);
    flight_metrics_init(f);
    *ret_flight = f;
    return WARREN_OK;
}

enum warren_status flight_rekey(struct flight *f, const char *key, struct warren_error *error)
{
    uint64_t hash = hash_of(key);

    return hash == f->file.head->key ? WARREN_OK : flight_file_rekey(&f->file, hash, error);
}

void flight_close(struct flight *f, bool landed)
{
    bool remove;

    if (!f)
        return;
    if (landed && f->file.head)
        atomic_store(&f->file.head->landed, 1);
    flight_metrics_done(f);
    remove = !f->notes.file || (landed && flight_notes_count(&f->notes) == 0);
    flight_notes_done(&f->notes);
    flight_file_close(&f->file, remove);
    exclusive_gate_done(&f->exclusive_gate);
    guarded_free(f->workers, f->workers_size);
    guarded_free(f, sizeof *f);
}

uint32_t flight_room(const struct flight *f)
{
    uint32_t room = f->file.head->slot_count - f->worker_count;

    for (uint32_t i = 0; i < f->worker_count; i++)
        room += !atomic_load(&f->workers[i].taken);
    return room;
}

/* One that came back, else the next one. */
static uint32_t find_free(const struct flight *f)
{
    uint32_t i = 0;

    while (i < f->worker_count && atomic_load(&f->workers[i].taken))
        i++;
    return i;
}

struct flight_worker *flight_take(struct flight *f, const char *queue, const char *handler,
                                  bool ahead, _Atomic uint32_t *lost)
{
    uint32_t index = find_free(f);
    struct flight_worker *w = &f->workers[index];
    struct flight_slot *slot = &f->file.slots[index];

    if (index == f->file.head->slot_count)
        return NULL;
    w->flight = f;
    w->slot = slot;
    w->lost = lost;
    w->next_member = NULL;
    atomic_store(&w->hard_ms, INT64_MAX);
    strncpy(slot->queue, queue, sizeof slot->queue - 1);
    strncpy(slot->handler, handler, sizeof slot->handler - 1);
    slot->ahead = ahead;
    atomic_store(&w->taken, true);
    if (index == f->worker_count)
        f->worker_count++;
    return w;
}

struct flight_worker *flight_take_member(struct flight_worker *w)
{
    struct flight_worker *last = w;
    struct flight_worker *member =
        flight_take(w->flight, w->slot->queue, w->slot->handler, false, w->lost);

    while (last->next_member)
        last = last->next_member;
    last->next_member = member;
    return member;
}

void flight_give_back(struct flight_worker *w)
{
    while (w) {
        struct flight_worker *next = w->next_member;

        atomic_store(&w->taken, false);
        w = next;
    }
}

/* ---- a worker thread ---- */

uint64_t flight_begun(const struct flight *f)
{
    uint64_t begun = 0;

    for (uint32_t i = 0; i < f->worker_count; i++)
        begun += atomic_load(&f->file.slots[i].state) / FLIGHT_STATE_STEP;
    return begun;
}

/* Nobody else begins meanwhile. */
static void note_alone(struct flight *f, const struct flight_slot *slot)
{
    f->file.head->alone_slot = (uint32_t)(slot - f->file.slots);
    atomic_store(&f->file.head->alone_begun, flight_begun(f) + 1);
}

static void begin(struct flight_worker *w, const struct flight_batch_item *item, bool alone,
                  uint8_t level)
{
    struct flight_slot *slot = w->slot;
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    uint64_t step = slot->ahead ? 0 : FLIGHT_STATE_STEP;

    w->delivery = item->delivery;
    __atomic_store_n(&slot->message.low, item->message.low, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->message.high, item->message.high, __ATOMIC_RELAXED);
    slot->failed = item->failed;
    slot->crashes = item->crashes;
    slot->alone = alone;
    slot->level = level;
    if (alone)
        note_alone(w->flight, slot);
    slot->id_len = (uint8_t)item->message_id.len; /* a short string */
    memcpy(slot->message_id, item->message_id.data, item->message_id.len);
    slot->message_id[item->message_id.len] = '\0';
    atomic_store_explicit(&slot->state, (state & ~FLIGHT_STATE_MASK) + step + FLIGHT_RUNNING,
                          memory_order_release);
    if (alone)
        flight_file_sync(&w->flight->file);
}

void flight_begin(struct flight_worker *w, const struct delivery *delivery,
                  const struct identity *message, struct warren_bytes message_id, bool alone,
                  uint32_t failed, uint32_t crashes)
{
    const struct flight_batch_item item = {delivery, *message, message_id, failed, crashes};

    begin(w, &item, alone, 0);
}

void flight_begin_member(struct flight_worker *w, const struct flight_batch_item *item,
                         uint8_t level)
{
    begin(w, item, false, level);
}

/* Its state is written last, so what was read belongs to it if it is the same afterwards. */
static bool slot_has(const struct flight_slot *slot, const struct identity *message)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    struct identity has;

    if ((state & FLIGHT_STATE_MASK) == FLIGHT_IDLE)
        return false;
    has.low = __atomic_load_n(&slot->message.low, __ATOMIC_ACQUIRE);
    has.high = __atomic_load_n(&slot->message.high, __ATOMIC_ACQUIRE);
    return identity_equal(&has, message) &&
           atomic_load_explicit(&slot->state, memory_order_relaxed) == state;
}

bool flight_has(const struct flight *f, const struct identity *message)
{
    bool has = false;

    for (uint32_t i = 0; !has && i < f->worker_count; i++)
        has = slot_has(&f->file.slots[i], message);
    return has;
}

bool flight_end(struct flight_worker *w)
{
    uint64_t state = atomic_load_explicit(&w->slot->state, memory_order_relaxed);

    if (atomic_load_explicit(&w->hard_ms, memory_order_relaxed) != INT64_MAX)
        atomic_store_explicit(&w->hard_ms, INT64_MAX, memory_order_relaxed);
    if ((state & FLIGHT_STATE_MASK) != FLIGHT_RUNNING ||
        !atomic_compare_exchange_strong(&w->slot->state, &state, state - FLIGHT_RUNNING))
        return false;
    for (struct flight_worker *m = w->next_member; m && flight_is_up(m); m = m->next_member)
        atomic_fetch_sub(&m->slot->state, FLIGHT_RUNNING); /* from now on nobody else's */
    return true;
}

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
            flight_tell(f); /* from now on there is something to watch */
            break;
        }
}
