/* The end of an attempt in vain: what is held, what is published in the message's place and with
 * which notes, and what the receipt of that means. The publisher is the test's.
 */
#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "consume/job/job.h"
#include "support/attempt.h"
#include "support/fake_clock.h"
#include "support/test.h"

#define START_MS       5000
#define PROPERTIES_MAX 131052

struct rig {
    struct clock_fake clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct relay relay;
    struct warren_job *job;
    struct attempt *attempt;
    struct attempt *settled_late;
    unsigned places; /* for held messages */

    /* the publisher */
    enum warren_status answer;
    unsigned published;
    char exchange[256];
    char routing_key[256];
    size_t key_len;
    char to_queue[256];
    char body[64];
    int64_t delay_ms;
    int64_t most_ms;
    uint32_t timeout_ms;
    struct warren_properties properties;
    struct arena arena; /* of these */
    warren_receipt_fn *on_receipt;
    void *user;
};

static enum warren_status take_published(struct warren_publisher *publisher,
                                         const struct warren_publish *what,
                                         const struct arena *texts, const char *to_queue,
                                         int64_t delay_ms, int64_t most_ms,
                                         warren_receipt_fn *receipt, void *user)
{
    struct rig *rig = (struct rig *)(void *)publisher;
    struct warren_bytes encoded;
    struct arena scratch;
    struct buffer out;

    rig->published++;
    rig->key_len = arena_bytes(texts, what->routing_key).len;
    snprintf(rig->exchange, sizeof rig->exchange, "%s", what->exchange ? what->exchange : "");
    snprintf(rig->routing_key, sizeof rig->routing_key, "%s",
             what->routing_key ? what->routing_key : "");
    snprintf(rig->to_queue, sizeof rig->to_queue, "%s", to_queue ? to_queue : "");
    snprintf(rig->body, sizeof rig->body, "%.*s", (int)what->message->body.len,
             (const char *)what->message->body.data);
    assert_false(what->optional);
    rig->delay_ms = delay_ms;
    rig->most_ms = most_ms;
    rig->timeout_ms = what->timeout_ms;
    rig->on_receipt = receipt;
    rig->user = user;
    /* The properties live only during the call. */
    arena_init(&scratch);
    buffer_init(&out, 1 << 20);
    assert_int_equal(
        properties_encode(&what->message->properties, texts, PROPERTIES_MAX, &scratch, &out, NULL),
        WARREN_OK);
    encoded = (struct warren_bytes){buffer_front(&out), buffer_len(&out)};
    assert_int_equal(properties_decode(encoded, &rig->arena, &rig->properties), WARREN_OK);
    buffer_done(&out);
    arena_done(&scratch);
    return rig->answer;
}

static size_t properties_max(struct warren_publisher *publisher)
{
    (void)publisher;
    return PROPERTIES_MAX;
}

static bool reserve(void *user)
{
    struct rig *rig = user;

    if (rig->places == 0)
        return false;
    rig->places--;
    return true;
}

static void settled_late(void *user, struct attempt *attempt)
{
    struct rig *rig = user;

    rig->settled_late = attempt;
}

static void deliver_whole(struct rig *rig, const struct warren_properties *properties,
                          const struct arena *texts, const char *exchange, struct warren_bytes key)
{
    struct warren_bytes encoded;
    struct arena scratch;
    struct buffer out;

    arena_init(&scratch);
    buffer_init(&out, PROPERTIES_MAX);
    assert_int_equal(properties_encode(properties, texts, PROPERTIES_MAX, &scratch, &out, NULL),
                     WARREN_OK);
    encoded = (struct warren_bytes){buffer_front(&out), buffer_len(&out)};
    attempt_free(rig->attempt);
    rig->attempt = attempt_new(warren_text(exchange), key, encoded, 4);
    assert_non_null(rig->attempt);
    memcpy(delivery_body(&rig->attempt->delivery), "body", 4);
    buffer_done(&out);
    arena_done(&scratch);
    job_begin(rig->job, rig->attempt, clock_now_ns(&rig->clock.clock));
}

static void deliver(struct rig *rig, const struct warren_properties *properties)
{
    deliver_whole(rig, properties, NULL, "shop", warren_text("eu.de"));
}

/* A copy of warren's, first published to "first" with "key.1", with these notes further. */
static void deliver_copy(struct rig *rig, const struct warren_field *notes, size_t count)
{
    struct warren_field headers[8] = {warren_field_text(NOTE_QUEUE, "payments"),
                                      warren_field_text(NOTE_EXCHANGE, "first"),
                                      warren_field_text(NOTE_ROUTING_KEY, "key.1")};
    struct warren_properties properties = {.message_id = "m-1", .headers = {headers, 3 + count}};

    for (size_t i = 0; i < count; i++)
        headers[3 + i] = notes[i];
    deliver_whole(rig, &properties, NULL, "", warren_text("payments"));
}

static void again(struct rig *rig)
{
    job_begin(rig->job, rig->attempt, clock_now_ns(&rig->clock.clock));
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        return -1;
    clock_fake_init(&rig->clock, START_MS);
    atomic_store(&rig->deadline_ms, INT64_MAX);
    arena_init(&rig->arena);
    rig->places = 1;
    rig->relay = (struct relay){.outlet = {take_published, properties_max, (void *)rig},
                                .queue = "payments",
                                .handler = "p.charge",
                                .dead_exchange = "payments.dlx",
                                .into_queue = true,
                                .broker_counts = true,
                                .host = "host-1"};
    rig->source = (struct job_source){.queue = "payments",
                                      .handler = "p.charge",
                                      .clock = &rig->clock.clock,
                                      .deadline_ms = &rig->deadline_ms,
                                      .settled = settled_late,
                                      .reserve = reserve,
                                      .user = rig,
                                      .relay = &rig->relay,
                                      .broker_counts = true};
    rig->job = job_new(&rig->source);
    *state = rig;
    if (!rig->job)
        return -1;
    deliver(rig, &(struct warren_properties){.message_id = "m-1"});
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    job_free(rig->job);
    attempt_free(rig->attempt);
    arena_done(&rig->arena);
    free(rig);
    return 0;
}

static void receipt(struct rig *rig, enum warren_result result, uint16_t code)
{
    const struct warren_receipt end = {.result = result, .message_id = "m-1", .reply_code = code};

    assert_null(rig->settled_late);
    rig->on_receipt(&end, rig->user);
    assert_ptr_equal(rig->settled_late, rig->attempt);
    rig->settled_late = NULL;
}

static int64_t noted_attempts(struct rig *rig)
{
    const struct warren_value *value = warren_table_get(&rig->properties.headers, NOTE_ATTEMPTS);

    assert_non_null(value);
    return value->as.integer;
}

static const char *noted(struct rig *rig, const char *name)
{
    static char text[256];
    const struct warren_value *value = warren_table_get(&rig->properties.headers, name);

    if (!value)
        return "(none)";
    snprintf(text, sizeof text, "%.*s", (int)value->as.bytes.len,
             (const char *)value->as.bytes.data);
    return text;
}

static enum warren_outcome outcome(const struct rig *rig)
{
    return (enum warren_outcome)rig->attempt->outcome;
}

/* ---- the slow lane ---- */

/* In the fast lane a failed attempt that counts is not held, though there is a place: its copy goes
 * to the slow queue, which its notes name. */
static void what_has_failed_goes_to_the_slow_lane(void **state)
{
    struct rig *rig = *state;

    rig->relay.slow_queue = "payments.slow";
    warren_job_retry_after(rig->job, 700);
    assert_false(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->places, 1);
    assert_string_equal(rig->to_queue, "payments.slow");
    assert_int_equal(rig->delay_ms, 700);
    assert_string_equal(noted(rig, NOTE_QUEUE), "payments.slow");
    assert_string_equal(noted(rig, NOTE_EXCHANGE), "shop");
    assert_int_equal(noted_attempts(rig), 1);
    assert_string_equal(rig->attempt->owed->facts.to_queue, "payments.slow");
    receipt(rig, WARREN_CONFIRMED, 0);
    assert_int_equal(rig->attempt->relay, RELAY_CONFIRMED);
}

/* What is not the message's fault, what is handed back, and what is given up, do not. */
static void nothing_else_goes_there(void **state)
{
    struct rig *rig = *state;

    rig->relay.slow_queue = "payments.slow";
    warren_job_forgive(rig->job);
    warren_job_retry_after(rig->job, 700);
    assert_true(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->published, 0);
    assert_int_equal(rig->places, 0);
    again(rig);
    assert_true(job_end(rig->job, WARREN_REQUEUE));
    assert_int_equal(rig->published, 0);
    again(rig);
    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_string_equal(rig->exchange, "payments.dlx");
    assert_string_equal(noted(rig, NOTE_QUEUE), "payments");
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* ---- dead letters ---- */

/* Rejecting publishes the message into the dead-letter exchange, with its own routing key; only the
 * confirm settles it. */
static void rejected_is_published_and_then_settled(void **state)
{
    struct rig *rig = *state;

    warren_job_fail(rig->job, "no such account");
    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_int_equal(rig->published, 1);
    assert_string_equal(rig->exchange, "payments.dlx");
    assert_string_equal(rig->routing_key, "eu.de");
    assert_string_equal(rig->to_queue, "");
    assert_string_equal(rig->body, "body");
    assert_string_equal(rig->properties.message_id, "m-1");
    assert_int_equal(noted_attempts(rig), 1);
    assert_string_equal(noted(rig, NOTE_REASON), "rejected");
    assert_string_equal(noted(rig, NOTE_ERROR), "no such account");
    assert_string_equal(noted(rig, NOTE_EXCHANGE), "shop");
    assert_string_equal(noted(rig, NOTE_HANDLER), "p.charge");
    assert_int_equal(rig->attempt->relay, RELAY_SENT);
    receipt(rig, WARREN_CONFIRMED, 0);
    assert_int_equal(rig->attempt->relay, RELAY_CONFIRMED);
    assert_int_equal(outcome(rig), WARREN_REJECT);
}

/* Whoever gave it up says why; a reason that is too long is cut. */
static void the_reason_is_told(void **state)
{
    struct rig *rig = *state;

    warren_job_reason(rig->job, "a reason of more than thirty-one bytes");
    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_string_equal(noted(rig, NOTE_REASON), "a reason of more than thirty-on");
    receipt(rig, WARREN_CONFIRMED, 0);
    again(rig);
    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_string_equal(noted(rig, NOTE_REASON), "rejected");
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* An attempt that was none is not counted in the letter either. */
static void a_forgiven_reject_counts_no_attempt(void **state)
{
    struct rig *rig = *state;

    warren_job_forgive(rig->job);
    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_int_equal(noted_attempts(rig), 0);
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* No confirm, whatever the reason: the copy has failed, and the message is still there. */
static void without_a_confirm_it_has_failed(void **state)
{
    static const enum warren_result results[] = {WARREN_NACKED, WARREN_RETURNED, WARREN_TIMEOUT,
                                                 WARREN_EXPIRED};
    struct rig *rig = *state;

    for (size_t i = 0; i < 4; i++) {
        assert_false(job_end(rig->job, WARREN_REJECT));
        receipt(rig, results[i], 312);
        assert_int_equal(rig->attempt->relay, RELAY_FAILED);
        assert_int_equal(rig->attempt->relay_result, results[i]);
        assert_int_equal(rig->attempt->relay_code, 312);
        assert_int_equal(rig->attempt->failed, 0);
        again(rig);
        assert_int_equal(rig->attempt->relay, RELAY_NONE);
    }
}

/* Headers that fill a frame have no room for notes: there is no copy for a later attempt, which
 * would lack one, and the failure counts. A dead letter leaves one out. */
static void a_retry_that_would_lose_headers_is_no_copy(void **state)
{
    struct rig *rig = *state;
    char *big = malloc(PROPERTIES_MAX);
    struct warren_field header = {"big", {.type = WARREN_STRING}};
    struct warren_properties properties = {.headers = {&header, 1}, .message_id = "m-1"};

    assert_non_null(big);
    memset(big, 'x', PROPERTIES_MAX);
    header.value.as.bytes = (struct warren_bytes){big, PROPERTIES_MAX - 700};
    deliver(rig, &properties);
    warren_job_retry_after(rig->job, 3600000);
    assert_true(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->published, 0);
    assert_int_equal(rig->attempt->relay, RELAY_FAILED);
    assert_int_equal(rig->attempt->relay_status, WARREN_ETOOBIG);
    assert_int_equal(rig->attempt->failed, 1);
    again(rig);
    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_string_equal(noted(rig, NOTE_LEFT_OUT), "big");
    receipt(rig, WARREN_CONFIRMED, 0);
    free(big);
}

/* What the publisher does not even take has failed at once. */
static void not_accepted_is_failed_at_once(void **state)
{
    struct rig *rig = *state;

    rig->answer = WARREN_EFULL;
    assert_true(job_end(rig->job, WARREN_REJECT));
    assert_int_equal(rig->attempt->relay, RELAY_FAILED);
    assert_int_equal(rig->attempt->relay_status, WARREN_EFULL);
    assert_null(rig->settled_late);
}

/* Without dead letters, or without a publisher, rejecting is left to the broker. */
static void switched_off_nothing_is_published(void **state)
{
    struct rig *rig = *state;

    rig->relay.dead_exchange = NULL;
    assert_true(job_end(rig->job, WARREN_REJECT));
    rig->source.relay = NULL;
    again(rig);
    assert_true(job_end(rig->job, WARREN_REJECT));
    assert_int_equal(rig->published, 0);
    assert_int_equal(rig->attempt->relay, RELAY_NONE);
}

/* What else the job published may fail: a confirmed dead letter stands for the message. */
static void other_receipts_do_not_matter(void **state)
{
    struct rig *rig = *state;
    const struct warren_receipt nacked = {.result = WARREN_NACKED};

    rig->job->settlement = settlement_new(rig->attempt, settled_late, rig);
    assert_non_null(rig->job->settlement);
    settlement_hold(rig->job->settlement);
    settlement_receipt(&nacked, rig->job->settlement);
    assert_false(job_end(rig->job, WARREN_REJECT));
    receipt(rig, WARREN_CONFIRMED, 0);
    assert_int_equal(outcome(rig), WARREN_REJECT);
    assert_int_equal(rig->attempt->relay, RELAY_CONFIRMED);
}

/* What the signal was, and where, stands in the letter. */
static void a_crash_is_described(void **state)
{
    struct rig *rig = *state;

    rig->job->signal = "SIGSEGV";
    rig->job->backtrace = "#0 charge";
    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_string_equal(noted(rig, NOTE_SIGNAL), "SIGSEGV");
    assert_string_equal(noted(rig, NOTE_BACKTRACE), "#0 charge");
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* ---- retries ---- */

/* A short delay takes a place, and nothing is published. */
static void a_short_delay_is_waited_for_here(void **state)
{
    struct rig *rig = *state;

    warren_job_hold_max(rig->job, 1000);
    warren_job_retry_after(rig->job, 1000);
    assert_true(job_end(rig->job, WARREN_RETRY));
    assert_true(rig->attempt->reserved);
    assert_int_equal(rig->attempt->retry_at_ms, START_MS + 1000);
    assert_int_equal(rig->attempt->failed, 1);
    assert_int_equal(rig->published, 0);
    assert_int_equal(rig->places, 0);
}

/* A longer one goes through the delay queues with the count. */
static void a_long_delay_is_relayed(void **state)
{
    struct rig *rig = *state;

    warren_job_hold_max(rig->job, 1000);
    warren_job_retry_after(rig->job, 1001);
    assert_false(job_end(rig->job, WARREN_RETRY));
    assert_false(rig->attempt->reserved);
    assert_int_equal(rig->places, 1);
    assert_string_equal(rig->to_queue, "payments");
    assert_int_equal(rig->delay_ms, 1001);
    assert_int_equal(noted_attempts(rig), 1);
    assert_string_equal(noted(rig, NOTE_QUEUE), "payments");
    assert_string_equal(noted(rig, NOTE_EXCHANGE), "shop");
    assert_string_equal(noted(rig, NOTE_ROUTING_KEY), "eu.de");
    assert_string_equal(noted(rig, NOTE_REASON), "(none)");
    assert_non_null(warren_table_get(&rig->properties.headers, NOTE_FIRST_FAILURE));
    receipt(rig, WARREN_CONFIRMED, 0);
    assert_int_equal(outcome(rig), WARREN_RETRY);
    assert_int_equal(rig->attempt->relay, RELAY_CONFIRMED);
}

/* So does a short one when there is no place, or nobody said when. */
static void without_a_place_it_is_relayed(void **state)
{
    struct rig *rig = *state;

    rig->places = 0;
    warren_job_retry_after(rig->job, 10);
    assert_false(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->delay_ms, 10);
    receipt(rig, WARREN_NACKED, 0);
    assert_int_equal(rig->attempt->relay, RELAY_FAILED);
    assert_int_equal(rig->attempt->retry_at_ms, START_MS + 10);
    again(rig);
    rig->places = 1;
    assert_false(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->delay_ms, 0);
    assert_int_equal(noted_attempts(rig), 2);
    receipt(rig, WARREN_CONFIRMED, 0);
    assert_int_equal(rig->places, 1);
}

/* Attempts add up: of earlier copies, of the broker, and of this process. */
static void attempts_add_up(void **state)
{
    struct rig *rig = *state;
    struct warren_field headers[] = {
        warren_field_i64(NOTE_ATTEMPTS, 4),
        warren_field_i64("x-delivery-count", 2),
        {NOTE_FIRST_FAILURE, {.type = WARREN_TIMESTAMP, .as = {.timestamp = 1700000000}}}};

    deliver_copy(rig, headers, 3);
    rig->attempt->delivery.redelivered = true;
    assert_int_equal(warren_job_attempt(rig->job), 7);
    warren_job_retry_after(rig->job, 0);
    assert_true(job_end(rig->job, WARREN_RETRY));
    again(rig);
    assert_int_equal(warren_job_attempt(rig->job), 8);
    warren_job_retry_after(rig->job, 60000);
    assert_false(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(noted_attempts(rig), 8);
    receipt(rig, WARREN_CONFIRMED, 0);
    again(rig);
    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_int_equal(noted_attempts(rig), 9);
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* The copy of a copy still tells where the message was published first. */
static void origins_outlive_copies(void **state)
{
    struct rig *rig = *state;

    deliver_copy(rig, NULL, 0);
    assert_string_equal(warren_job_exchange(rig->job), "first");
    assert_string_equal(warren_job_routing_key(rig->job), "key.1");
    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_string_equal(noted(rig, NOTE_EXCHANGE), "first");
    assert_string_equal(rig->routing_key, "key.1");
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* A sender's notes make no copy fail, give the message no attempts, and are not passed on. */
static void notes_of_a_sender_do_not_count(void **state)
{
    struct rig *rig = *state;
    char name[300];
    struct warren_field headers[] = {
        {NOTE_ROUTING_KEY, {.type = WARREN_STRING, .as.bytes = {name, 256}}},
        {NOTE_EXCHANGE, {.type = WARREN_STRING, .as.bytes = {name, 300}}},
        warren_field_i64(NOTE_ATTEMPTS, 1000),
        warren_field_i64(NOTE_REPLAYS, -1),
        warren_field_text(NOTE_REASON, REASON_CRASH)};

    memset(name, 'n', sizeof name);
    for (int direct = 0; direct < 2; direct++) {
        const struct warren_properties properties = {.headers = {headers, 5}};

        deliver_whole(rig, &properties, NULL, direct ? "" : "shop",
                      warren_text(direct ? "payments" : "eu.de"));
        assert_int_equal(warren_job_attempt(rig->job), 1);
        assert_string_equal(warren_job_exchange(rig->job), direct ? "" : "shop");
        assert_false(job_end(rig->job, WARREN_REJECT));
        assert_string_equal(rig->routing_key, direct ? "payments" : "eu.de");
        assert_string_equal(noted(rig, NOTE_REASON), REASON_REJECTED);
        assert_string_equal(noted(rig, NOTE_REPLAYS), "(none)");
        assert_int_equal(noted_attempts(rig), 1);
        receipt(rig, WARREN_CONFIRMED, 0);
    }
}

/* Handing back is enough where no attempt counts and none has to wait. */
static void what_does_not_count_is_handed_back(void **state)
{
    struct rig *rig = *state;

    rig->places = 0;
    warren_job_forgive(rig->job);
    warren_job_retry_after(rig->job, 0);
    assert_true(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->attempt->retry_at_ms, -1);
    again(rig);
    assert_true(job_end(rig->job, WARREN_REQUEUE));
    assert_int_equal(rig->published, 0);
}

/* But what failed here before takes its count along, also when it is handed back. */
static void a_count_is_not_handed_back(void **state)
{
    struct rig *rig = *state;

    warren_job_retry_after(rig->job, 10);
    assert_true(job_end(rig->job, WARREN_RETRY));
    again(rig);
    assert_false(job_end(rig->job, WARREN_REQUEUE));
    assert_string_equal(rig->to_queue, "payments");
    assert_int_equal(noted_attempts(rig), 1);
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* A forgiven attempt that has to wait long is no attempt after the wait. */
static void a_forgiven_wait_counts_no_attempt(void **state)
{
    struct rig *rig = *state;

    warren_job_forgive(rig->job);
    warren_job_retry_after(rig->job, 600000);
    assert_false(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->delay_ms, 600000);
    assert_int_equal(noted_attempts(rig), 0);
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* A draining worker holds nothing any more; its copies may take as long as it has. */
static void draining_nothing_is_held(void **state)
{
    struct rig *rig = *state;

    atomic_store(&rig->deadline_ms, START_MS + 700);
    warren_job_retry_after(rig->job, 10);
    assert_false(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->most_ms, 700);
    assert_int_equal(rig->timeout_ms, 700);
    receipt(rig, WARREN_CONFIRMED, 0);
    again(rig);
    clock_fake_advance_ms(&rig->clock, 700);
    assert_true(job_end(rig->job, WARREN_REJECT));
    assert_int_equal(rig->published, 1);
    assert_int_equal(rig->attempt->relay_status, WARREN_ETIMEOUT);
}

/* The wait for room in the publisher's window is bounded also without a deadline. */
static void waiting_for_room_is_bounded(void **state)
{
    struct rig *rig = *state;

    assert_false(job_end(rig->job, WARREN_REJECT));
    assert_in_range(rig->most_ms, 1, 10000);
    assert_int_equal(rig->timeout_ms, 0);
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* Nothing is put back into a stream: it waits here, with a place or without one. */
static void a_stream_gets_nothing_back(void **state)
{
    struct rig *rig = *state;

    rig->relay.into_queue = false;
    rig->places = 0;
    warren_job_retry_after(rig->job, 600000);
    assert_true(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->attempt->retry_at_ms, START_MS + 600000);
    assert_false(rig->attempt->reserved);
    again(rig);
    assert_true(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->attempt->retry_at_ms, START_MS);
    assert_int_equal(rig->published, 0);
    again(rig);
    assert_false(job_end(rig->job, WARREN_REJECT));
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* Nor what is handed back: it is run again after a second, as if it had not been; unless the
 * process ends, when the next one gets it. */
static void a_stream_gets_nothing_handed_back(void **state)
{
    struct rig *rig = *state;

    rig->relay.into_queue = false;
    assert_true(job_end(rig->job, WARREN_REQUEUE));
    assert_int_equal(rig->attempt->outcome, WARREN_RETRY);
    assert_true(rig->attempt->forgiven);
    assert_int_equal(rig->attempt->failed, 0);
    assert_int_equal(rig->attempt->retry_at_ms, START_MS + 1000);
    again(rig);
    rig->deadline_ms = START_MS + 30000;
    assert_true(job_end(rig->job, WARREN_REQUEUE));
    assert_int_equal(rig->attempt->outcome, WARREN_REQUEUE);
    assert_int_equal(rig->published, 0);
}

/* ---- when it began ---- */

/* The first failure of an earlier process is older than anything here, and moves but once. */
static void the_first_failure_is_remembered(void **state)
{
    struct rig *rig = *state;
    uint64_t first_s = (uint64_t)(clock_wall_ms() / 1000) - 3;
    struct warren_field header = {NOTE_FIRST_FAILURE,
                                  {.type = WARREN_TIMESTAMP, .as = {.timestamp = first_s}}};
    int64_t first_ms;

    deliver_copy(rig, &header, 1);
    first_ms = warren_job_first_ms(rig->job);
    assert_in_range(START_MS - first_ms, 3000, 60000);
    job_end(rig->job, WARREN_ACK);
    again(rig);
    assert_int_equal(warren_job_first_ms(rig->job), first_ms);
    warren_job_retry_after(rig->job, 60000);
    assert_false(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(warren_table_get(&rig->properties.headers, NOTE_FIRST_FAILURE)->as.timestamp,
                     first_s);
    receipt(rig, WARREN_CONFIRMED, 0);
}

/* A time that cannot be, or lies ahead, moves nothing. */
static void a_first_failure_that_cannot_be(void **state)
{
    struct rig *rig = *state;
    const uint64_t times[] = {UINT64_MAX, INT64_MAX, (uint64_t)(clock_wall_ms() / 1000) + 3600};

    for (size_t i = 0; i < 3; i++) {
        struct warren_field header = {NOTE_FIRST_FAILURE,
                                      {.type = WARREN_TIMESTAMP, .as = {.timestamp = times[i]}}};

        deliver_copy(rig, &header, 1);
        assert_int_equal(warren_job_first_ms(rig->job), START_MS);
        job_end(rig->job, WARREN_ACK);
    }
}

/* Copies have the message's texts to their ends, and so the next process reads them. */
static void a_nul_is_copied(void **state)
{
    struct rig *rig = *state;
    struct warren_field header = warren_field_text("h", "v");
    struct warren_properties properties = {.headers = {&header, 1}};
    const struct warren_value *key;
    struct warren_bytes encoded;
    struct arena texts;

    arena_init(&texts);
    properties.message_id = arena_text(&texts, "dup\0A", 5);
    header.name = arena_text(&texts, "h\0", 2);
    deliver_whole(rig, &properties, &texts, "shop", (struct warren_bytes){"eu\0de", 5});
    arena_done(&texts);
    job_end(rig->job, WARREN_REJECT);
    assert_int_equal(rig->published, 1);
    assert_int_equal(rig->key_len, 5);
    assert_int_equal(arena_bytes(&rig->arena, rig->properties.message_id).len, 5);
    assert_int_equal(arena_bytes(&rig->arena, rig->properties.headers.fields[0].name).len, 2);
    key = warren_table_get(&rig->properties.headers, NOTE_ROUTING_KEY);
    assert_int_equal(key->as.bytes.len, 5);
    assert_memory_equal(key->as.bytes.data, "eu\0de", 5);
    receipt(rig, WARREN_CONFIRMED, 0);

    /* What was noted is what the job has, when the copy comes. */
    deliver_whole(rig, &rig->properties, &rig->arena, "", warren_text("payments"));
    encoded = warren_job_text(rig->job, warren_job_routing_key(rig->job));
    assert_int_equal(encoded.len, 5);
    assert_memory_equal(encoded.data, "eu\0de", 5);
    job_end(rig->job, WARREN_ACK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* With a tracer a copy names the attempt that it follows, without one nothing. */
static void a_copy_names_its_attempt(void **state)
{
    static const char parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const struct warren_properties none = {0};
    struct rig *rig = *state;
    static struct tracer tracer;

    for (int traces = 0; traces < 2; traces++) {
        const struct warren_value *note;

        rig->source.tracer = traces ? &tracer : NULL;
        deliver(rig, &none);
        warren_job_set_trace(rig->job, parent, NULL);
        assert_false(job_end(rig->job, WARREN_REJECT));
        note = warren_table_get(&rig->properties.headers, NOTE_TRACE);
        assert_int_equal(note != NULL, traces);
        if (note)
            assert_memory_equal(note->as.bytes.data, parent, sizeof parent - 1);
        receipt(rig, WARREN_CONFIRMED, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_has_failed_goes_to_the_slow_lane),
        T(nothing_else_goes_there),
        T(rejected_is_published_and_then_settled),
        T(a_nul_is_copied),
        T(the_reason_is_told),
        T(a_forgiven_reject_counts_no_attempt),
        T(without_a_confirm_it_has_failed),
        T(a_copy_names_its_attempt),
        T(a_retry_that_would_lose_headers_is_no_copy),
        T(not_accepted_is_failed_at_once),
        T(switched_off_nothing_is_published),
        T(other_receipts_do_not_matter),
        T(a_crash_is_described),
        T(a_short_delay_is_waited_for_here),
        T(a_long_delay_is_relayed),
        T(without_a_place_it_is_relayed),
        T(attempts_add_up),
        T(origins_outlive_copies),
        T(notes_of_a_sender_do_not_count),
        T(what_does_not_count_is_handed_back),
        T(a_count_is_not_handed_back),
        T(a_forgiven_wait_counts_no_attempt),
        T(draining_nothing_is_held),
        T(waiting_for_room_is_bounded),
        T(a_stream_gets_nothing_back),
        T(a_stream_gets_nothing_handed_back),
        T(the_first_failure_is_remembered),
        T(a_first_failure_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
