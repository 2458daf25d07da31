/* idempotency.c - a message is handled once, however often it comes: what was done is looked up
 * ahead of the workers, and noted behind them before the acknowledgement leaves.
 * Thread: see <warren/middleware.h>. Elsewhere: the store and its thread
 * (store/writer/key_writer.h).
 */
#include "middleware/builtin.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/wire/notes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/middleware_own.h"
#include "middleware/job_line.h"
#include "middleware/message_key.h"
#include "middleware/stored_reply.h"
#include "store/writer/transactor.h"

/* Longest key, in bytes. A message id has at most 255, a header may have more. */
#define KEY_MAX 1024
/* IDEMPOTENCY_RESULT_MAX. */
#define KEPT_MAX_TEXT "256 KiB"
/* After which a duplicate of a message that is being handled is looked at again. */
#define BUSY_DELAY_MS 200
/* After which a message comes again whose transaction the disk refused. */
#define REFUSED_DELAY_MS 1000
#define LEASE_MAX_MS     INT64_C(86400000)          /* a day */
#define RETAIN_MAX_MS    (INT64_C(86400000) * 3650) /* ten years */

struct idempotency {
    const struct warren_subscription_info *info;
    struct key_writer *key_writer; /* NULL: every message is handled */
    struct transactor *transactor; /* NULL: the handler is not transactional */
    struct message_key key;
    struct warren_bytes scope;
    bool needs_key;
    int64_t lease_ms;
    int64_t retention_ms;
    atomic_bool told_missing;
    struct warren_series *busy;     /* attempts that wait for another one with their key */
    struct warren_series *not_kept; /* replies that were too long */
};

/* One message from `before` to `after`. */
struct attempt {
    struct key_writer_work work; /* first: its address is the attempt's */
    struct warren_passage *passage;
    struct idempotency *idempotency;
    struct warren_job *job; /* that handles it now */
    bool has_key;           /* else it is handled once each time it comes */
    enum { NO_TRANSACTION, REFUSED, ENTERED, JOINED } part;
    struct transactor_work transaction;
    enum warren_outcome outcome; /* if it is committed */
};

/* ---- options ---- */

static const struct warren_option options[] = {
    {"key", WARREN_OPTION_STRING, "message_id", 0, 0, NULL,
     "What makes two messages the same: message_id, header NAME, or handler, which asks the "
     "handler's own function."},
    {"scope", WARREN_OPTION_STRING, "", 0, 0, NULL,
     "Subscriptions with the same scope share their keys; without one the queue has its own."},
    {"on_missing_key", WARREN_OPTION_ENUM, "process", 0, 0, "process|reject",
     "What becomes of a message without a key: it is handled without protection, or rejected."},
    {"lease", WARREN_OPTION_DURATION, "1m", 1000, LEASE_MAX_MS, NULL,
     "With store.shared: how long a process may be silent before others take over what it is at."},
    {"retention", WARREN_OPTION_DURATION, "7d", 0, RETAIN_MAX_MS, NULL,
     "How long a message is remembered; 0: until store.keys_max is reached."},
    {0}};

static enum warren_status idempotency_open(const struct warren_subscription_info *info,
                                           void **state, struct warren_error *error)
{
    struct idempotency *i = calloc(1, sizeof *i);
    const char *scope = warren_options_text(info->options, "scope");
    enum warren_status status;

    if (!i)
        return error_set(error, WARREN_ENOMEM, "no memory");
    i->info = info;
    i->key_writer = info->subscription->key_writer;
    if (i->key_writer && info->definition && info->definition->transactional)
        i->transactor = key_writer_transactor(i->key_writer);
    i->scope = warren_text(*scope                        ? scope
                           : info->subscription->keys_of ? info->subscription->keys_of
                                                         : info->queue);
    i->needs_key = strcmp(warren_options_text(info->options, "on_missing_key"), "reject") == 0;
    i->lease_ms = warren_options_int(info->options, "lease");
    i->retention_ms = warren_options_int(info->options, "retention");
    atomic_init(&i->told_missing, false);
    status = message_key_read(&i->key, warren_options_text(info->options, "key"), info, error);
    if (status != WARREN_OK) {
        free(i);
        return status;
    }
    i->busy = metric_series(METRIC_KEYS_BUSY, info->queue, info->handler);
    i->not_kept = metric_series(METRIC_REPLIES_NOT_KEPT, info->queue, info->handler);
    if (i->key_writer)
        idempotency_retain(key_writer_store(i->key_writer), i->retention_ms);
    *state = i;
    return WARREN_OK;
}

static void idempotency_close(void *state)
{
    struct idempotency *i = state;

    if (!i)
        return;
    metric_release(i->busy);
    metric_release(i->not_kept);
    free(i);
}

/* ---- ahead of the workers ---- */

static void claimed(struct key_writer_work *work, enum warren_status status)
{
    struct attempt *attempt = (struct attempt *)work;

    if (status != WARREN_OK)
        work->claim.state = CLAIM_BUSY; /* who keeps the store has said why; it comes again */
    warren_passage_go(attempt->passage);
}

static bool goes_without(const struct idempotency *i, struct warren_bytes key)
{
    return key.len > KEY_MAX || (key.len == 0 && (i->needs_key || !i->transactor));
}

static bool idempotency_before(struct warren_job *job, struct warren_passage *passage, void *state,
                               void **ret_mark)
{
    struct idempotency *i = state;
    struct warren_bytes key;
    struct idempotency_store *store;
    struct attempt *attempt;

    if (!i->key_writer)
        return true;
    key = message_key_of(&i->key, job);
    if (goes_without(i, key))
        return true; /* for `call` */
    attempt = calloc(1, sizeof *attempt);
    if (!attempt)
        return true;
    store = key_writer_store(i->key_writer);
    attempt->idempotency = i;
    attempt->passage = passage;
    attempt->has_key = key.len > 0;
    attempt->work.claim.state = CLAIM_NEW;
    attempt->work.claim.lease_ms = i->lease_ms;
    attempt->work.claim.retention_ms = i->retention_ms;
    *ret_mark = attempt;
    if (!attempt->has_key)
        return true;
    idempotency_name(store, i->scope, key, &attempt->work.claim.key);
    if (idempotency_try_claim(store, &attempt->work.claim))
        return true;
    attempt->work.task = KEY_CLAIM;
    attempt->work.done = claimed;
    key_writer_submit(i->key_writer, &attempt->work);
    return false;
}

/* ---- in the chain ---- */

static void tell(const struct idempotency *i, struct warren_job *job, const char *event,
                 const char *key, const char *text)
{
    struct log_line line;

    if (!log_enabled(WARREN_LOG_WARN))
        return;
    job_line_begin(&line, WARREN_LOG_WARN, event, job, i->info->handler);
    log_text(&line, key, text);
    log_end(&line);
}

static void keep_reply(const struct warren_message *reply, void *user)
{
    struct attempt *attempt = user;
    struct idempotency_claim *claim = &attempt->work.claim;
    enum warren_status status;

    free(claim->result);
    claim->result = NULL;
    claim->result_len = 0;
    status = stored_reply_write(attempt->job, reply, IDEMPOTENCY_RESULT_MAX, &claim->result,
                                &claim->result_len);
    if (status == WARREN_OK)
        return;
    /* It is sent all the same. That there was one is kept: the note is an empty one. */
    claim->result = malloc(1);
    warren_count(attempt->idempotency->not_kept, 1);
    tell(attempt->idempotency, attempt->job, "reply is not kept: a duplicate gets none", "reason",
         status == WARREN_ETOOBIG ? "it is larger than " KEPT_MAX_TEXT
                                  : warren_status_name(status));
}

static enum warren_outcome done_before(struct warren_job *job, const struct attempt *attempt)
{
    const struct idempotency_claim *claim = &attempt->work.claim;
    struct warren_bytes result = {claim->result, claim->result_len};
    const char *reply_to = warren_job_properties(job)->reply_to;
    /* Nothing else is kept; a damaged file says anything. */
    enum warren_outcome outcome = claim->outcome == WARREN_DISCARD ? WARREN_DISCARD : WARREN_ACK;
    enum warren_status sent = WARREN_OK;

    warren_job_duplicate(job);
    /* An operator who sends a message again wants something done. */
    if (warren_job_header(job, NOTE_REPLAYS))
        tell(attempt->idempotency, job, "replayed message is not handled again", "reason",
             "its key is done: it was handled before");
    if (!claim->result || warren_job_text(job, reply_to).len == 0)
        return outcome;
    if (claim->result_len == 0)
        tell(attempt->idempotency, job, "duplicate gets no reply", "reason",
             "that of the first time was not kept");
    else
        sent = stored_reply_send(result, job);
    if (sent == WARREN_OK)
        return outcome;
    if (sent == WARREN_EPROTOCOL) {
        tell(attempt->idempotency, job, "duplicate gets no reply", "reason",
             "that of the first time is damaged in the store");
        return outcome;
    }
    warren_job_fail(job, "it was handled before, but the reply of then was not sent");
    return WARREN_RETRY;
}

static enum warren_outcome wait_for_other(struct warren_job *job, const char *why)
{
    warren_job_fail(job, "%s", why);
    warren_job_forgive(job);
    warren_job_retry_after(job, BUSY_DELAY_MS);
    return WARREN_RETRY;
}

/* Once a subscription: every message of a queue may be without. */
static void tell_missing(struct idempotency *i, struct warren_job *job)
{
    if (!atomic_exchange(&i->told_missing, true))
        tell(i, job, "message without a key is handled unprotected", "missing",
             message_key_name(&i->key));
}

static enum warren_outcome without_mark(struct idempotency *i, struct warren_job *job,
                                        const struct warren_link *next)
{
    struct warren_bytes key = message_key_of(&i->key, job);

    if (key.len > KEY_MAX) {
        warren_job_fail(job, "its idempotency key has %zu bytes; at most %d are allowed", key.len,
                        KEY_MAX);
        return WARREN_REJECT;
    }
    if (key.len > 0)
        return i->key_writer ? wait_for_other(job, "no memory to look its key up")
                             : warren_next(job, next);
    if (i->needs_key) {
        warren_job_fail(job, "it has no %s, and on_missing_key is reject",
                        message_key_name(&i->key));
        return WARREN_REJECT;
    }
    tell_missing(i, job);
    return warren_next(job, next);
}

/* ---- the transaction ---- */

static struct sqlite3 *give_transaction(struct warren_job *job, void *user)
{
    struct attempt *attempt = user;
    struct transactor *transactor = attempt->idempotency->transactor;
    struct warren_error error = {WARREN_OK, ""};

    if (attempt->part == NO_TRANSACTION) {
        if (transactor_enter(transactor, &attempt->transaction, warren_job_time_left_ms(job),
                             &error) == WARREN_OK) {
            attempt->part = ENTERED;
            if (transactor_has_outbox(transactor))
                job_set_outbox(job, &attempt->transaction.outbox);
        } else {
            attempt->part = REFUSED;
            warren_job_fail(job, "no transaction: %s", error.text);
        }
    }
    return attempt->part == ENTERED ? transactor_handle(transactor) : NULL;
}

/* No fault of the message: `after` has it come again. */
static enum warren_outcome refuse(struct warren_job *job, struct attempt *attempt)
{
    attempt->part = REFUSED;
    warren_job_forgive(job);
    return WARREN_RETRY;
}

/* What the handler wrote joins the key, or is rolled back. */
static enum warren_outcome end_transaction(struct warren_job *job, struct attempt *attempt,
                                           enum warren_outcome outcome)
{
    struct transactor *transactor = attempt->idempotency->transactor;
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status;

    if (attempt->part == REFUSED)
        return refuse(job, attempt);
    if (attempt->part != ENTERED)
        return outcome;
    attempt->part = NO_TRANSACTION;
    if (outcome != WARREN_ACK)
        return transactor_drop(transactor) || outcome != WARREN_RETRY ? outcome
                                                                      : refuse(job, attempt);
    attempt->work.claim.outcome = (uint8_t)outcome;
    attempt->transaction.claim = attempt->has_key ? &attempt->work.claim : NULL;
    status = transactor_leave(transactor, &attempt->transaction, &error);
    if (status == WARREN_OK) {
        attempt->part = JOINED;
        return outcome;
    }
    warren_job_fail(job, "its transaction was rolled back: %s", error.text);
    return status == WARREN_EINVAL ? WARREN_RETRY : refuse(job, attempt); /* its fault, or not */
}

/* In a batch: of the whole, the transaction is had once. */
static enum warren_outcome leave_transaction(struct warren_job *job, enum warren_outcome outcome,
                                             bool more, void *user)
{
    struct attempt *attempt = user;

    transactor_stay(attempt->idempotency->transactor, more);
    return end_transaction(job, attempt, outcome);
}

static enum warren_outcome handle(struct warren_job *job, const struct warren_link *next,
                                  struct attempt *attempt)
{
    enum warren_outcome outcome;

    attempt->job = job;
    job_on_reply(job, keep_reply, attempt);
    if (attempt->idempotency->transactor)
        job_on_transaction(job, give_transaction, leave_transaction, attempt);
    outcome = warren_next(job, next);
    job_on_reply(job, NULL, NULL);
    if (!attempt->idempotency->transactor)
        return outcome;
    job_on_transaction(job, NULL, NULL, NULL);
    return end_transaction(job, attempt, outcome);
}

static enum warren_outcome idempotency_call(struct warren_job *job, const struct warren_link *next,
                                            void *state)
{
    struct attempt *attempt = warren_job_mark(job, next);

    if (!attempt)
        return without_mark(state, job, next);
    if (!attempt->has_key)
        tell_missing(state, job);
    switch (attempt->work.claim.state) {
    case CLAIM_DONE:
        return done_before(job, attempt);
    case CLAIM_BUSY:
        warren_count(((struct idempotency *)state)->busy, 1);
        return wait_for_other(job, "a duplicate of it is being handled");
    case CLAIM_NEW:
        break;
    }
    return handle(job, next, attempt);
}

/* ---- behind the workers ---- */

static void forget(struct attempt *attempt)
{
    free(attempt->work.claim.result);
    free(attempt);
}

static void released(struct key_writer_work *work, enum warren_status status)
{
    (void)status; /* it comes again in any case, and finds its own claim */
    forget((struct attempt *)work);
}

static void release(struct attempt *attempt)
{
    struct key_writer *key_writer = attempt->idempotency->key_writer;
    struct idempotency_store *store = key_writer_store(key_writer);

    if (!attempt->has_key || idempotency_try_release(store, &attempt->work.claim)) {
        forget(attempt);
        return;
    }
    attempt->work.task = KEY_RELEASE;
    attempt->work.done = released;
    key_writer_submit(key_writer, &attempt->work);
}

static void completed(struct key_writer_work *work, enum warren_status status)
{
    struct attempt *attempt = (struct attempt *)work;
    enum warren_outcome outcome = (enum warren_outcome)work->claim.outcome;

    /* It failed to the end, and the worker stops: the broker keeps the message. */
    warren_passage_settle(attempt->passage, status == WARREN_OK ? outcome : WARREN_REQUEUE);
    forget(attempt);
}

static bool is_done(enum warren_outcome outcome)
{
    return outcome == WARREN_ACK || outcome == WARREN_DISCARD;
}

/* Rolled back or refused, it has to be handled again. Without a passage nobody waits for it. */
static void undone(struct attempt *attempt)
{
    struct warren_passage *passage = attempt->passage;

    release(attempt);
    if (passage)
        warren_passage_retry(passage, REFUSED_DELAY_MS);
}

static void decided(struct transactor_work *work, enum warren_status status)
{
    struct attempt *attempt =
        (struct attempt *)(void *)((char *)work - offsetof(struct attempt, transaction));

    if (status != WARREN_OK) {
        undone(attempt);
        return;
    }
    if (attempt->passage)
        warren_passage_settle(attempt->passage, attempt->outcome);
    forget(attempt);
}

/* @return true: settle it now */
static bool after_transaction(struct attempt *attempt, struct warren_passage *passage,
                              enum warren_outcome outcome)
{
    enum warren_status status;

    attempt->passage = passage;
    attempt->outcome = outcome;
    attempt->transaction.decided = decided;
    if (!transactor_await(attempt->idempotency->transactor, &attempt->transaction, &status))
        return false;
    if (status == WARREN_OK) {
        forget(attempt);
        return true;
    }
    undone(attempt);
    return false;
}

static bool idempotency_after(struct warren_passage *passage, enum warren_outcome outcome,
                              void *mark, void *state)
{
    struct idempotency *i = state;
    struct attempt *attempt = mark;

    if (attempt->work.claim.state != CLAIM_NEW) {
        forget(attempt);
        return true;
    }
    if (attempt->part == JOINED)
        return after_transaction(attempt, passage, outcome);
    if (attempt->part == REFUSED && passage && outcome == WARREN_RETRY) {
        attempt->passage = passage;
        undone(attempt);
        return false;
    }
    if (!passage || !is_done(outcome) || !attempt->has_key) {
        release(attempt);
        return true;
    }
    attempt->passage = passage;
    attempt->work.claim.outcome = (uint8_t)outcome;
    attempt->work.task = KEY_COMPLETE;
    attempt->work.done = completed;
    key_writer_submit(i->key_writer, &attempt->work);
    return false;
}

const struct warren_middleware middleware_idempotency = {
    .name = "idempotency",
    .help = "Handles a message once, however often it comes; needs store.path.",
    .options = options,
    .open = idempotency_open,
    .call = idempotency_call,
    .close = idempotency_close,
    .before = idempotency_before,
    .after = idempotency_after,
};
