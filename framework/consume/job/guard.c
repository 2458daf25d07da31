/* guard.c - see guard.h. */
#include "consume/job/guard.h"

#include <string.h>

#include "amqp/wire/notes.h"
#include "consume/crash/fault.h"
#include "consume/job/job_batch.h"

enum warren_status guard_init(struct guard *guard, const struct guard_options *options)
{
    *guard = (struct guard){.options = *options, .flight = options->flight};
    if (!guard->flight)
        return WARREN_OK;
    guard->seed = identity_hash(options->queue, strlen(options->queue), 0);
    guard->options.concurrency = 0;
    guard->options.batch = 1;
    return guard_grow(guard, options->concurrency, options->batch, options->ahead);
}

/* There is room. Who runs does not see them until it gets a batch that needs them. */
static void take_slots(struct guard *guard, uint32_t concurrency, uint32_t batch)
{
    struct guard_options *options = &guard->options;

    for (uint32_t i = 0; batch > options->batch && i < options->concurrency; i++)
        for (uint32_t k = options->batch; k < batch; k++)
            flight_take_member(guard_worker(guard, i));
    if (batch > options->batch)
        options->batch = batch;
    while (options->concurrency < concurrency) {
        struct flight_worker *worker =
            flight_take(guard->flight, options->queue, options->handler, false, &guard->lost);

        for (uint32_t k = 1; k < options->batch; k++)
            flight_take_member(worker);
        roster_put(&guard->workers, options->concurrency++, worker);
    }
}

enum warren_status guard_grow(struct guard *guard, uint32_t concurrency, uint32_t batch, bool ahead)
{
    const struct guard_options *options = &guard->options;
    struct flight *flight = guard->flight;
    bool needs_ahead = ahead && !guard->ahead;
    uint32_t workers = concurrency > options->concurrency ? concurrency : options->concurrency;
    uint32_t messages = batch > options->batch ? batch : options->batch;

    if (!flight)
        return WARREN_OK;
    if (!roster_reserve(&guard->workers, concurrency))
        return WARREN_ENOMEM;
    if (flight_room(flight) <
        workers * messages - options->concurrency * options->batch + needs_ahead)
        return WARREN_EFULL;
    take_slots(guard, concurrency, batch);
    if (needs_ahead)
        guard->ahead = flight_take(flight, options->queue, options->handler, true, &guard->lost);
    return WARREN_OK;
}

void guard_give_back(struct guard *guard)
{
    for (uint32_t i = 0; guard->flight && i < guard->options.concurrency; i++)
        flight_give_back(roster_at(&guard->workers, i));
    flight_give_back(guard->ahead);
    guard->ahead = NULL;
    guard->options.concurrency = 0;
}

void guard_done(struct guard *guard)
{
    roster_done(&guard->workers);
}

static void report(struct warren_job *job, const struct flight_note *suspicion,
                   enum warren_log_level level, const char *event)
{
    struct log_line line;

    if (!log_enabled(level))
        return;
    log_begin(&line, level, event);
    job_log_names(job, &line);
    log_int(&line, "crashes", suspicion->crashes);
    log_text(&line, "error", warren_job_error(job));
    log_end(&line);
}

/* ---- a delivery that comes again too soon ---- */

/* After a lost channel the broker gives again what a handler still has, also to another
 * subscription on the queue. */
static bool has_not_ended(const struct guard *guard, const struct attempt *attempt,
                          const struct identity *message)
{
    return attempt->delivery.redelivered && flight_has(guard->flight, message);
}

static enum warren_outcome wait_for_the_other(struct warren_job *job)
{
    warren_job_fail(job, "the handler still has an earlier delivery of it");
    warren_job_forgive(job);
    warren_job_retry_after(job, GUARD_AGAIN_MS);
    return WARREN_RETRY;
}

/* ---- suspects ---- */

/* The suspicion against the message of @attempt; of a held one from its last attempt. */
static void find_suspicion(struct guard *guard, struct attempt *attempt,
                           const struct identity *message, struct flight_note *suspicion)
{
    struct flight_notes *notes = &guard->flight->notes;

    *suspicion = (struct flight_note){.crashes = 0};
    if (attempt->note) {
        flight_notes_get(notes, attempt->note, suspicion);
    } else if (flight_notes_any(notes)) {
        attempt->note = flight_notes_claim(notes, message, clock_wall_ms(), suspicion);
        attempt->failed += suspicion->failed;
        attempt->suspect = flight_note_is_suspect(suspicion);
        if (attempt->first_failure_s == 0)
            attempt->first_failure_s = suspicion->first_ms / 1000;
    }
}

static enum warren_outcome quarantine(struct guard *guard, struct warren_job *job,
                                      const struct flight_note *suspicion)
{
    const struct flight_report *last =
        suspicion->report ? &guard->flight->file.reports[suspicion->report - 1] : NULL;
    enum flight_reason reason = flight_note_reason(suspicion);
    const char *times = suspicion->crashes > 1 ? "s" : "";

    if (reason == FLIGHT_LIMIT)
        warren_job_fail(job, "the handler did not return by its hard limit, %u time%s",
                        suspicion->crashes, times);
    else if (reason == FLIGHT_SIGNAL && last && !last->signal)
        warren_job_fail(job, "the handler ended its thread, or the process, %u time%s",
                        suspicion->crashes, times);
    else if (reason == FLIGHT_SIGNAL)
        warren_job_fail(job, "the handler crashed by %s, %u time%s",
                        last ? fault_signal_name(last->signal) : "a signal", suspicion->crashes,
                        times);
    else if (reason == FLIGHT_AHEAD)
        warren_job_fail(job, "`key` or `before` crashed%s%s on the event loop, %u time%s",
                        last && last->signal ? " by " : "",
                        last ? fault_signal_name(last->signal) : "", suspicion->crashes, times);
    else if (reason == FLIGHT_FALL)
        warren_job_fail(job, "the process crashed%s%s after the handler had returned, %u time%s",
                        last && last->signal ? " by " : "",
                        last ? fault_signal_name(last->signal) : "", suspicion->crashes, times);
    else
        warren_job_fail(job, "the process was killed while the handler ran, %u time%s",
                        suspicion->crashes, times);
    if (last && last->signal)
        job->signal = fault_signal_name(last->signal);
    if (last && *last->backtrace)
        job->backtrace = arena_text(&job->arena, last->backtrace, strlen(last->backtrace));
    warren_job_reason(job, REASON_CRASH);
    warren_job_forgive(job); /* it did not run now; the crashes are counted */
    report(job, suspicion, WARREN_LOG_ERROR, "message is quarantined");
    flight_found(guard->flight);
    return WARREN_REJECT;
}

/* ---- on the loop ---- */

bool guard_shows(struct guard *guard, struct attempt *attempt)
{
    struct flight_worker *worker = guard->ahead;
    struct flight_note suspicion;
    struct warren_bytes message_id;
    struct identity message;

    if (!worker)
        return true;
    message = identity_of(&attempt->delivery, guard->seed, &message_id);
    find_suspicion(guard, attempt, &message, &suspicion);
    if (suspicion.crashes > guard->flight->crashes_max)
        return false;
    fault_watch(worker);
    flight_begin(worker, &attempt->delivery, &message, message_id, false, attempt->failed,
                 suspicion.crashes);
    return true;
}

void guard_shown(struct guard *guard)
{
    struct flight_worker *worker = guard->ahead;

    if (!worker)
        return;
    flight_end(worker);
    fault_watch(NULL);
}

bool guard_suspects(struct guard *guard, struct attempt *attempt)
{
    struct flight_note suspicion;
    struct warren_bytes message_id;
    struct identity message;

    if (!guard->flight || !flight_notes_any(&guard->flight->notes))
        return attempt->suspect;
    message = identity_of(&attempt->delivery, guard->seed, &message_id);
    find_suspicion(guard, attempt, &message, &suspicion);
    return attempt->suspect;
}

/* ---- running ---- */

static void note_failure(struct guard *guard, struct warren_job *job,
                         const struct identity *message, enum warren_outcome outcome)
{
    struct attempt *attempt = job->attempt;

    if (outcome == WARREN_RETRY && !job->forgiven)
        attempt->note = flight_notes_failed(&guard->flight->notes, attempt->note, message,
                                            attempt->failed + 1, clock_wall_ms());
}

static enum warren_outcome run(struct guard *guard, struct flight_worker *worker,
                               struct warren_job *job, const struct chain *chain,
                               const struct identity *message, struct warren_bytes message_id,
                               bool alone, uint32_t crashes)
{
    struct attempt *attempt = job->attempt;
    enum warren_outcome outcome;

    atomic_store_explicit(&worker->begun_ns, job->begun_ns, memory_order_relaxed);
    flight_begin(worker, &attempt->delivery, message, message_id, alone, attempt->failed, crashes);
    outcome = chain_run(chain, job);
    /* Noted before the end is: who is killed in between has failed all the same. */
    note_failure(guard, job, message, outcome);
    if (!flight_end(worker))
        fault_given_up(worker);
    return outcome;
}

static enum exclusive_gate_way way_of(struct flight *flight, const struct flight_note *suspicion)
{
    if (flight_is_narrow(flight))
        flight_look_for_calm(flight, clock_now_ms(clock_monotonic()));
    if (flight_note_is_suspect(suspicion) && flight_note_reason(suspicion) != FLIGHT_LIMIT)
        return EXCLUSIVE_GATE_SUSPECT;
    return flight_is_narrow(flight) ? EXCLUSIVE_GATE_ALONE : EXCLUSIVE_GATE_BESIDE;
}

/* @return false: nobody is let in any more */
static bool enter(struct guard *guard, struct flight_worker *worker, struct warren_job *job,
                  enum exclusive_gate_way way)
{
    job_put_down_uses(job);
    if (!exclusive_gate_enter(&guard->flight->exclusive_gate, way))
        return false;
    worker->inside = true;
    if (way == EXCLUSIVE_GATE_BESIDE) /* else nobody runs who could have any of it */
        job_take_up_uses(job);
    else if (guard->options.wait_for_acks)
        guard->options.wait_for_acks(guard->options.user);
    return true;
}

enum warren_outcome guard_run(struct guard *guard, uint32_t index, struct warren_job *job,
                              const struct chain *chain)
{
    struct flight *flight = guard->flight;
    struct flight_worker *worker = guard_worker(guard, index);
    struct flight_note suspicion;
    struct warren_bytes message_id;
    struct identity message;
    enum exclusive_gate_way way;

    if (!flight)
        return chain_run(chain, job);
    message = identity_of(&job->attempt->delivery, guard->seed, &message_id);
    find_suspicion(guard, job->attempt, &message, &suspicion);
    if (suspicion.crashes > flight->crashes_max)
        return quarantine(guard, job, &suspicion);
    if (has_not_ended(guard, job->attempt, &message))
        return wait_for_the_other(job);
    if (flight_suspects(flight) == 0 && !flight_is_narrow(flight))
        return run(guard, worker, job, chain, &message, message_id, false, suspicion.crashes);
    way = way_of(flight, &suspicion);
    if (!enter(guard, worker, job, way))
        return WARREN_REQUEUE;
    if (way == EXCLUSIVE_GATE_SUSPECT)
        report(job, &suspicion, WARREN_LOG_WARN, "suspected message runs alone");
    return run(guard, worker, job, chain, &message, message_id, way != EXCLUSIVE_GATE_BESIDE,
               suspicion.crashes);
}

/* ---- batches ---- */

enum guard_company guard_look(struct guard *guard, struct guard_message *message)
{
    struct attempt *attempt = message->attempt;
    struct flight_batch_item *item = &message->item;
    struct flight_note suspicion;

    if (!guard->flight)
        return GUARD_ANYBODY;
    item->delivery = &attempt->delivery;
    item->message = identity_of(&attempt->delivery, guard->seed, &item->message_id);
    find_suspicion(guard, attempt, &item->message, &suspicion);
    item->failed = attempt->failed;
    item->crashes = suspicion.crashes;
    message->most = flight_note_most(&suspicion);
    if (suspicion.crashes > 0 || message->most == 1 || flight_is_narrow(guard->flight) ||
        has_not_ended(guard, attempt, &item->message))
        return GUARD_NOBODY;
    return message->most > 0 ? GUARD_FEW : GUARD_ANYBODY;
}

uint32_t guard_batch_max(const struct guard *guard, uint32_t index)
{
    uint32_t count = 0;

    if (!guard->flight)
        return UINT32_MAX;
    for (struct flight_worker *w = guard_worker(guard, index); w; w = w->next_member)
        count++;
    return count;
}

static void tell_few(struct warren_job *job, uint32_t count)
{
    struct log_line line;

    if (!log_enabled(WARREN_LOG_WARN))
        return;
    log_begin(&line, WARREN_LOG_WARN, "batch with a suspected message runs alone");
    log_text(&line, "queue", job->source->queue);
    log_text(&line, "handler", job->source->handler);
    log_int(&line, "messages", count);
    log_end(&line);
}

static void begin_flight(struct flight_worker *worker, const struct guard_message *messages,
                         uint32_t count)
{
    struct flight_worker *w = worker->next_member;
    uint8_t level = flight_level(count);

    for (uint32_t i = 1; i < count; i++, w = w->next_member)
        flight_begin_member(w, &messages[i].item, level);
    flight_begin_member(worker, &messages[0].item, level);
}

void guard_run_batch(struct guard *guard, uint32_t index, const struct guard_message *messages,
                     uint32_t count, bool few, struct warren_batch *batch)
{
    struct flight *flight = guard->flight;
    struct flight_worker *worker = guard_worker(guard, index);
    struct warren_job *first = batch->jobs[0];

    if (!flight) {
        job_batch_run(batch);
        return;
    }
    if ((few || flight_suspects(flight) > 0) &&
        !enter(guard, worker, first, few ? EXCLUSIVE_GATE_SUSPECT : EXCLUSIVE_GATE_BESIDE)) {
        for (uint32_t i = 0; i < count; i++)
            batch->jobs[i]->answer = WARREN_REQUEUE;
        return;
    }
    if (few)
        tell_few(first, count);
    atomic_store_explicit(&worker->begun_ns, first->begun_ns, memory_order_relaxed);
    begin_flight(worker, messages, count);
    job_batch_run(batch);
    for (uint32_t i = 0; i < count; i++)
        note_failure(guard, batch->jobs[i], &messages[i].item.message, batch->jobs[i]->answer);
    if (!flight_end(worker))
        fault_given_up(worker);
}

void guard_ended(struct guard *guard, uint32_t index)
{
    struct flight_worker *worker = guard_worker(guard, index);

    if (!worker || !worker->inside)
        return;
    worker->inside = false;
    exclusive_gate_leave(&guard->flight->exclusive_gate);
}

void guard_judged(struct guard *guard, struct warren_job *job, enum warren_outcome outcome)
{
    struct warren_bytes message_id;
    struct identity message;

    if (!guard->flight)
        return;
    message = identity_of(&job->attempt->delivery, guard->seed, &message_id);
    note_failure(guard, job, &message, outcome);
}

void guard_left(struct guard *guard, struct attempt *attempt, enum guard_end end)
{
    struct flight_notes *notes = guard->flight ? &guard->flight->notes : NULL;

    if (!notes || attempt->note == 0)
        return;
    if (end == GUARD_RETURNED)
        flight_notes_await(notes, attempt->note, false);
    else if (end == GUARD_COPIED && attempt->suspect)
        flight_notes_await(notes, attempt->note, true);
    else
        flight_notes_forget(notes, attempt->note);
    attempt->note = 0;
}
