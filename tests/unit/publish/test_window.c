/* test_window.c - the publisher's window: what is sent, and how each message ends. */
#include "base/random.h"
#include "publish/message/window.h"
#include "support/test.h"

static struct record *make(uint64_t seq, const char *exchange, const char *key, const char *id,
                           int64_t deadline_ms)
{
    struct warren_message message = {.properties.message_id = id, .body = warren_text("x")};
    struct warren_publish publish = {.exchange = exchange, .routing_key = key, .message = &message};
    struct record *record = NULL;

    assert_int_equal(record_new(&publish, NULL, RECORD_OWN, 4096, &record), WARREN_OK);
    record->seq = seq;
    record->deadline_ms = deadline_ms;
    return record;
}

static void add(struct window *w, uint64_t seq)
{
    window_add(w, make(seq, "", "q", NULL, INT64_MAX));
}

/* Send what the window offers, at most @count. @return how many it offered */
static unsigned send_up_to(struct window *w, unsigned count)
{
    unsigned sent = 0;
    struct record *record;

    while (sent < count && (record = window_next(w))) {
        assert_int_equal(window_sent(w, record), WARREN_OK);
        sent++;
    }
    return sent;
}

/* The next one that ended is @seq with @result; none if @seq is 0. */
static void expect_ended(struct window *w, uint64_t seq, enum warren_result result)
{
    struct list *link = list_pop(&w->ended);
    struct record *record;

    if (seq == 0) {
        assert_null(link);
        return;
    }
    assert_non_null(link);
    record = list_entry(link, struct record, link);
    assert_int_equal(record->seq, seq);
    assert_int_equal(record->result, result);
    record_free(record);
}

static int set_up(void **state)
{
    struct window *w = malloc(sizeof *w);

    *state = w;
    return window_init(w) == WARREN_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    window_done(*state);
    free(*state);
    return 0;
}

/* Five messages in flight with tags 1 to 5. */
static int set_up_five(void **state)
{
    if (set_up(state) != 0)
        return -1;
    for (uint64_t seq = 1; seq <= 5; seq++)
        add(*state, seq);
    return send_up_to(*state, 10) == 5 ? 0 : -1;
}

/* ---- one on trial ---- */

/* It is alone in flight: what is before it ends first, and what is behind it waits. */
static void one_on_trial_goes_alone(void **state)
{
    struct window *w = *state;

    add(w, 6);
    add(w, 7);
    window_try(w, window_next(w));
    assert_null(window_next(w));
    assert_int_equal(window_confirm(w, 5, true, false), WARREN_OK);
    assert_int_equal(send_up_to(w, 10), 1);
    assert_int_equal(window_confirm(w, 6, false, false), WARREN_OK);
    assert_int_equal(send_up_to(w, 10), 1);
    assert_int_equal(window_confirm(w, 7, false, true), WARREN_OK);
    for (uint64_t seq = 1; seq <= 7; seq++)
        expect_ended(w, seq, seq == 7 ? WARREN_NACKED : WARREN_CONFIRMED);
}

/* Nacked, it waits for the word of its owner, and keeps its place; so often as that wants. */
static void one_on_trial_is_sent_again(void **state)
{
    struct window *w = *state;

    add(w, 1);
    add(w, 2);
    window_try(w, window_next(w));
    for (uint64_t tag = 1; tag <= 3; tag++) {
        assert_int_equal(send_up_to(w, 10), 1);
        assert_int_equal(window_confirm(w, tag, false, true), WARREN_OK);
        assert_true(w->trial_refused);
        assert_null(window_next(w));
        assert_int_equal(window_ended_below(w), 1);
        expect_ended(w, 0, WARREN_NACKED);
        window_try_again(w, tag < 3);
    }
    expect_ended(w, 1, WARREN_NACKED);
    assert_int_equal(send_up_to(w, 10), 1);
    assert_int_equal(window_confirm(w, 4, false, true), WARREN_OK);
    expect_ended(w, 2, WARREN_NACKED);
}

/* A time limit and a restart end the trial, too. */
static void a_trial_ends_with_its_message(void **state)
{
    struct window *w = *state;

    window_add(w, make(1, "", "q", NULL, 100));
    add(w, 2);
    window_try(w, window_next(w));
    assert_int_equal(send_up_to(w, 10), 1);
    assert_int_equal(window_confirm(w, 1, false, true), WARREN_OK);
    window_expire(w, 100);
    expect_ended(w, 1, WARREN_TIMEOUT);
    assert_false(w->trial_refused);
    window_try(w, window_next(w));
    assert_int_equal(send_up_to(w, 10), 1);
    assert_int_equal(window_confirm(w, 2, false, true), WARREN_OK);
    window_restart(w);
    assert_int_equal(send_up_to(w, 10), 1);
}

/* ---- messages that are also on disk ---- */

static void ignore(const struct warren_receipt *receipt, void *user)
{
    (void)receipt;
    (void)user;
}

static struct record *make_spooled(uint64_t seq, int64_t leave_ms)
{
    struct record *record = make(seq, "", "q", NULL, INT64_MAX);

    record->spool_id = (int64_t)seq;
    record->on_receipt = ignore;
    record->leave_ms = leave_ms;
    return record;
}

/* The receipt of one that waits for long ends as SPOOLED; the message stays, and is sent. */
static void a_receipt_leaves_before_its_message(void **state)
{
    struct window *w = *state;

    window_add(w, make_spooled(1, 100));
    window_add(w, make_spooled(2, 200));
    assert_int_equal(w->deadline_ms, 100);
    window_expire(w, 100);
    expect_ended(w, 1, WARREN_SPOOLED);
    expect_ended(w, 0, 0);
    assert_int_equal(w->deadline_ms, 200);
    assert_int_equal(send_up_to(w, 10), 2);
    assert_int_equal(window_confirm(w, 2, true, false), WARREN_OK);
    expect_ended(w, 1, WARREN_CONFIRMED);
    expect_ended(w, 2, WARREN_CONFIRMED);
    window_expire(w, 300);
    expect_ended(w, 0, 0);
}

/* Without a connection receipts leave earlier; those of messages in memory alone do not. */
static void receipts_leave_by_a_time(void **state)
{
    struct window *w = *state;

    add(w, 1);
    window_add(w, make_spooled(2, INT64_MAX));
    window_add(w, make_spooled(3, 20));
    window_leave_by(w, 50);
    assert_int_equal(w->deadline_ms, 20);
    window_expire(w, 50);
    expect_ended(w, 2, WARREN_SPOOLED);
    expect_ended(w, 3, WARREN_SPOOLED);
    expect_ended(w, 0, 0);
}

/* One for which there is no room passes by with the result that it has. */
static void a_receipt_passes(void **state)
{
    struct window *w = *state;
    struct record *record = make_spooled(1, INT64_MAX);

    record->result = WARREN_EXPIRED;
    window_pass(w, record);
    expect_ended(w, 1, WARREN_EXPIRED);
    assert_int_equal(window_ended_below(w), 2);
    assert_int_equal(send_up_to(w, 10), 0);
}

/* At the end it stays on disk, sent or not. */
static void the_end_leaves_them_on_disk(void **state)
{
    struct window *w = *state;

    window_add(w, make_spooled(1, INT64_MAX));
    window_add(w, make_spooled(2, INT64_MAX));
    add(w, 3);
    assert_int_equal(send_up_to(w, 1), 1);
    window_end_all(w);
    expect_ended(w, 1, WARREN_SPOOLED);
    expect_ended(w, 2, WARREN_SPOOLED);
    expect_ended(w, 3, WARREN_EXPIRED);
}

/* ---- confirms ---- */

/* Single confirms end their own message whatever their order. */
static void single_confirms_out_of_order(void **state)
{
    struct window *w = *state;

    assert_int_equal(window_confirm(w, 3, false, false), WARREN_OK);
    assert_int_equal(window_confirm(w, 1, false, true), WARREN_OK);
    assert_int_equal(window_confirm(w, 5, false, false), WARREN_OK);
    expect_ended(w, 3, WARREN_CONFIRMED);
    expect_ended(w, 1, WARREN_NACKED);
    expect_ended(w, 5, WARREN_CONFIRMED);
    expect_ended(w, 0, 0);
    assert_int_equal(w->in_flight, 2);
}

/* A multiple confirm ends all up to its tag that have not ended. */
static void multiple_confirm_skips_what_was_confirmed(void **state)
{
    struct window *w = *state;

    assert_int_equal(window_confirm(w, 2, false, true), WARREN_OK);
    assert_int_equal(window_confirm(w, 4, true, false), WARREN_OK);
    expect_ended(w, 2, WARREN_NACKED);
    expect_ended(w, 1, WARREN_CONFIRMED);
    expect_ended(w, 3, WARREN_CONFIRMED);
    expect_ended(w, 4, WARREN_CONFIRMED);
    expect_ended(w, 0, 0);
}

/* Tags that were never sent, or were confirmed before, are the broker's fault and end nothing. */
static void unknown_tags_are_refused(void **state)
{
    static const struct {
        uint64_t tag;
        bool multiple;
    } rows[] = {{0, false},         {0, true},  {6, false}, {6, true},
                {UINT64_MAX, true}, {1, false}, {1, true},  {3, false}};
    struct window *w = *state;

    assert_int_equal(window_confirm(w, 1, false, false), WARREN_OK);
    assert_int_equal(window_confirm(w, 3, false, false), WARREN_OK);
    expect_ended(w, 1, WARREN_CONFIRMED);
    expect_ended(w, 3, WARREN_CONFIRMED);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(window_confirm(w, rows[i].tag, rows[i].multiple, false), WARREN_EPROTOCOL);
    expect_ended(w, 0, 0);
    assert_int_equal(w->in_flight, 3);
}

/* A queued message has no tag, so no confirm can end it. */
static void queued_messages_are_not_confirmed(void **state)
{
    struct window *w = *state;

    add(w, 1);
    assert_int_equal(window_confirm(w, 1, false, false), WARREN_EPROTOCOL);
    expect_ended(w, 0, 0);
}

/* More tags in flight than the ring first holds: all of them end, each once. */
static void the_ring_grows(void **state)
{
    struct window *w = *state;

    for (uint64_t seq = 1; seq <= 5000; seq++)
        add(w, seq);
    assert_int_equal(send_up_to(w, 10000), 5000);
    assert_int_equal(window_confirm(w, 4999, false, true), WARREN_OK);
    expect_ended(w, 4999, WARREN_NACKED);
    assert_int_equal(window_confirm(w, 5000, true, false), WARREN_OK);
    for (uint64_t seq = 1; seq <= 5000; seq++) {
        if (seq != 4999)
            expect_ended(w, seq, WARREN_CONFIRMED);
    }
    expect_ended(w, 0, 0);
}

/* ---- returns ---- */

static void return_of(struct window *w, const char *key, const char *id)
{
    struct window_return from = {.exchange = {"", 0},
                                 .routing_key = warren_text(key),
                                 .message_id = warren_text(id),
                                 .code = 312,
                                 .text = "NO_ROUTE"};

    window_returned(w, &from);
}

/* A return marks its message; the ack after it ends it as RETURNED with the broker's words. */
static void return_then_ack(void **state)
{
    struct window *w = *state;
    struct record *record;

    window_add(w, make(1, "", "q", "a", INT64_MAX));
    window_add(w, make(2, "", "q", "b", INT64_MAX));
    assert_int_equal(send_up_to(w, 2), 2);
    return_of(w, "q", "b");
    expect_ended(w, 0, 0);
    assert_int_equal(window_confirm(w, 2, true, false), WARREN_OK);
    expect_ended(w, 1, WARREN_CONFIRMED);
    record = list_entry(w->ended.next, struct record, link);
    assert_int_equal(record->reply_code, 312);
    assert_string_equal(record->reply_text, "NO_ROUTE");
    expect_ended(w, 2, WARREN_RETURNED);
}

/* Of several messages with one id the return means the oldest that it fits and has not met. */
static void returns_with_equal_ids(void **state)
{
    struct window *w = *state;

    window_add(w, make(1, "", "good", "a", INT64_MAX));
    window_add(w, make(2, "", "bad", "a", INT64_MAX));
    window_add(w, make(3, "", "bad", "a", INT64_MAX));
    assert_int_equal(send_up_to(w, 3), 3);
    return_of(w, "bad", "a");
    assert_int_equal(window_confirm(w, 2, true, false), WARREN_OK);
    return_of(w, "bad", "a");
    assert_int_equal(window_confirm(w, 3, false, false), WARREN_OK);
    expect_ended(w, 1, WARREN_CONFIRMED);
    expect_ended(w, 2, WARREN_RETURNED);
    expect_ended(w, 3, WARREN_RETURNED);
}

/* A return names the whole id: one that goes on behind a NUL is another message. */
static void a_returned_id_is_whole(void **state)
{
    struct warren_message message = {.properties.message_id = NULL, .body = warren_text("x")};
    struct warren_publish publish = {.routing_key = "q", .message = &message};
    struct window_return from = {
        .routing_key = warren_text("q"), .message_id = {"dup\0B", 5}, .code = 312, .text = "NO"};
    struct window *w = *state;
    struct record *record;
    struct arena texts;

    arena_init(&texts);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        message.properties.message_id = arena_text(&texts, seq == 1 ? "dup\0A" : "dup\0B", 5);
        assert_int_equal(record_new(&publish, &texts, RECORD_OWN, 4096, &record), WARREN_OK);
        record->seq = seq;
        window_add(w, record);
    }
    arena_done(&texts);
    assert_int_equal(send_up_to(w, 2), 2);
    window_returned(w, &from);
    assert_int_equal(window_confirm(w, 2, true, false), WARREN_OK);
    expect_ended(w, 1, WARREN_CONFIRMED);
    expect_ended(w, 2, WARREN_RETURNED);
}

/* A return that fits nothing changes nothing. */
static void a_strange_return_is_ignored(void **state)
{
    struct window *w = *state;

    window_add(w, make(1, "", "q", "a", INT64_MAX));
    assert_int_equal(send_up_to(w, 1), 1);
    return_of(w, "q", "other");
    return_of(w, "other", "a");
    assert_int_equal(window_confirm(w, 1, false, false), WARREN_OK);
    expect_ended(w, 1, WARREN_CONFIRMED);
}

/* ---- restarts ---- */

/* What was not confirmed is offered again, in order, before what was never sent; tags begin at 1.
 */
static void restart_resends_in_order(void **state)
{
    struct window *w = *state;
    static const uint64_t order[] = {2, 4, 5, 6};

    add(w, 6);
    assert_int_equal(window_confirm(w, 1, false, false), WARREN_OK);
    assert_int_equal(window_confirm(w, 3, false, false), WARREN_OK);
    expect_ended(w, 1, WARREN_CONFIRMED);
    expect_ended(w, 3, WARREN_CONFIRMED);
    window_restart(w);
    for (size_t i = 0; i < 4; i++) {
        struct record *record = window_next(w);

        assert_int_equal(record->seq, order[i]);
        assert_int_equal(window_sent(w, record), WARREN_OK);
        assert_int_equal(record->tag, i + 1);
        assert_int_equal(record->sends, order[i] == 6 ? 1 : 2);
    }
    assert_int_equal(w->resent, 3);
    expect_ended(w, 0, 0);
}

/* A message that was returned is known not to be stored: a restart ends it, and sends it no more.
 */
static void restart_ends_what_was_returned(void **state)
{
    struct window *w = *state;

    window_add(w, make(1, "", "q", "a", INT64_MAX));
    assert_int_equal(send_up_to(w, 1), 1);
    return_of(w, "q", "a");
    window_restart(w);
    expect_ended(w, 1, WARREN_RETURNED);
    assert_null(window_next(w));
}

/* ---- deadlines ---- */

/* After a restart a request that was sent ends, for its reply cannot come; one that was not is sent
 * in its turn. */
static void requests_are_sent_once(void **state)
{
    struct window *w = *state;

    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct record *record = make(seq, "", "q", NULL, INT64_MAX);

        record->once = seq != 2;
        window_add(w, record);
    }
    assert_int_equal(send_up_to(w, 2), 2);
    window_restart(w);
    window_end_once(w);
    expect_ended(w, 1, WARREN_TIMEOUT);
    expect_ended(w, 0, 0);
    assert_int_equal(window_next(w)->seq, 2);
    assert_int_equal(send_up_to(w, 10), 2);
}

/* Sent: TIMEOUT. Not sent: EXPIRED. Later deadlines stay, and the next one is known. */
static void deadlines(void **state)
{
    struct window *w = *state;

    window_add(w, make(1, "", "q", NULL, 100));
    window_add(w, make(2, "", "q", NULL, 300));
    assert_int_equal(send_up_to(w, 2), 2);
    window_add(w, make(3, "", "q", NULL, 200));
    window_add(w, make(4, "", "q", NULL, 400));
    assert_int_equal(w->deadline_ms, 100);
    window_expire(w, 99);
    expect_ended(w, 0, 0);
    window_expire(w, 200);
    expect_ended(w, 1, WARREN_TIMEOUT);
    expect_ended(w, 3, WARREN_EXPIRED);
    expect_ended(w, 0, 0);
    assert_int_equal(w->deadline_ms, 300);
    assert_int_equal(window_ended_below(w), 2);
}

/* The confirm of a message that timed out may still come, once, and ends nothing a second time. */
static void a_late_confirm_is_no_error(void **state)
{
    struct window *w = *state;

    window_add(w, make(1, "", "q", NULL, 100));
    assert_int_equal(send_up_to(w, 1), 1);
    window_expire(w, 100);
    expect_ended(w, 1, WARREN_TIMEOUT);
    assert_int_equal(window_confirm(w, 1, false, false), WARREN_OK);
    expect_ended(w, 0, 0);
    assert_int_equal(window_confirm(w, 1, false, false), WARREN_EPROTOCOL);
}

/* Half a message cannot be taken back: it does not end by its deadline. */
static void half_written_messages_do_not_expire(void **state)
{
    struct window *w = *state;
    struct record *record = make(1, "", "q", NULL, 100);

    window_add(w, record);
    assert_int_equal(send_up_to(w, 1), 1);
    record->begun = true;
    window_expire(w, 200);
    expect_ended(w, 0, 0);
    assert_int_equal(window_confirm(w, 1, false, false), WARREN_EPROTOCOL);
    window_restart(w);
    window_expire(w, 200);
    expect_ended(w, 1, WARREN_TIMEOUT);
}

/* ---- what the broker closes the channel for ---- */

/* With several in flight nobody is blamed; then they go in groups of one, two, four; the one that
 * was alone is the culprit; behind the last suspect many go at once again. */
static void the_culprit_is_found(void **state)
{
    struct window *w = *state;
    struct record *culprit;

    add(w, 6);
    window_restart(w); /* 1 to 5 were in flight */
    assert_null(window_blame(w, 406, "bad"));
    assert_int_equal(send_up_to(w, 10), 1);
    assert_int_equal(window_confirm(w, 1, false, false), WARREN_OK);
    expect_ended(w, 1, WARREN_CONFIRMED);
    assert_int_equal(send_up_to(w, 10), 2);
    window_restart(w);
    assert_null(window_blame(w, 406, "bad"));
    assert_int_equal(send_up_to(w, 10), 1);
    window_restart(w);
    culprit = window_blame(w, 406, "bad");
    assert_non_null(culprit);
    assert_true(w->narrowed);
    assert_int_equal(culprit->seq, 2);
    assert_int_equal(culprit->reply_code, 406);
    assert_string_equal(culprit->reply_text, "bad");
    expect_ended(w, 2, WARREN_RETURNED);
    expect_ended(w, 0, 0);
    assert_int_equal(send_up_to(w, 10), 1);
    assert_int_equal(window_confirm(w, 1, false, false), WARREN_OK);
    expect_ended(w, 3, WARREN_CONFIRMED);
    assert_int_equal(send_up_to(w, 10), 2); /* and not 6, which is no suspect */
    assert_int_equal(window_confirm(w, 2, false, false), WARREN_OK);
    assert_int_equal(send_up_to(w, 10), 0);
    assert_int_equal(window_confirm(w, 3, false, false), WARREN_OK);
    expect_ended(w, 4, WARREN_CONFIRMED);
    expect_ended(w, 5, WARREN_CONFIRMED);
    add(w, 7);
    assert_int_equal(send_up_to(w, 10), 2);
}

/* A broker that closes the channel at the messages whose number is a multiple of @bad, and confirms
 * the others only when it has all that it is sent: the least that it may do. @ret_losses: how often
 * it closed. @return the round trips until all have ended */
static unsigned serve(struct window *w, uint64_t bad, unsigned *ret_losses)
{
    unsigned trips = 0;

    for (*ret_losses = 0; !list_empty(&w->records); trips++) {
        const struct record *last = NULL;
        bool closed = false;
        struct record *record;

        while ((record = window_next(w))) {
            assert_int_equal(window_sent(w, record), WARREN_OK);
            closed |= record->seq % bad == 0;
            last = record;
        }
        assert_non_null(last);
        if (!closed) {
            assert_int_equal(window_confirm(w, last->tag, true, false), WARREN_OK);
            continue;
        }
        ++*ret_losses;
        window_restart(w);
        window_blame(w, 406, "bad");
        assert_true(w->narrowed);
    }
    return trips;
}

static void expect_ended_by(struct window *w, uint64_t count, uint64_t bad)
{
    uint64_t refused = 0;
    struct list *link;

    while ((link = list_pop(&w->ended))) {
        struct record *record = list_entry(link, struct record, link);

        assert_int_equal(record->result,
                         record->seq % bad == 0 ? WARREN_RETURNED : WARREN_CONFIRMED);
        refused += record->result == WARREN_RETURNED;
        record_free(record);
        count--;
    }
    assert_int_equal(count, 0);
    assert_true(refused > 0);
}

/* Of 1000 in flight one costs ten channels and few round trips, not one for each innocent; where
 * all are bad, each costs one channel. */
static void innocents_do_not_wait_one_by_one(void **state)
{
    struct window *w = *state;
    unsigned losses;

    for (uint64_t seq = 1; seq <= 1000; seq++)
        add(w, seq);
    assert_in_range(serve(w, 700, &losses), 1, 70);
    assert_in_range(losses, 2, 11);
    expect_ended_by(w, 1000, 700);
    for (uint64_t seq = 1001; seq <= 1100; seq++)
        add(w, seq);
    serve(w, 1, &losses);
    assert_int_equal(losses, 101);
    expect_ended_by(w, 100, 1);
}

/* Where nothing was in flight, or the broker has troubles of its own, nothing is known. */
static void a_blame_may_find_nobody(void **state)
{
    struct window *w = *state;

    window_restart(w);
    assert_null(window_blame(w, 406, "bad"));
    assert_false(w->narrowed);
    add(w, 1);
    add(w, 2);
    assert_int_equal(send_up_to(w, 10), 2);
    window_restart(w);
    assert_null(window_blame(w, 541, "broken"));
    assert_false(w->narrowed);
}

/* An internal error may be the broker's own: only the third one that a message meets alone is put
 * down to it, and what waits behind it is sent. */
static void internal_errors_are_counted(void **state)
{
    struct window *w = *state;

    add(w, 6);
    window_restart(w); /* 1 to 5 were in flight */
    assert_null(window_blame(w, 541, "broken"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send_up_to(w, 10), 1);
        window_restart(w);
        assert_null(window_blame(w, 541, "broken"));
    }
    assert_int_equal(send_up_to(w, 10), 1);
    window_restart(w);
    assert_non_null(window_blame(w, 541, "broken"));
    expect_ended(w, 1, WARREN_RETURNED);
    expect_ended(w, 0, 0);
    assert_int_equal(send_up_to(w, 10), 1);
    assert_int_equal(window_confirm(w, 1, false, false), WARREN_OK);
    expect_ended(w, 2, WARREN_CONFIRMED);
}

/* A missing exchange ends all suspects that were sent to it, and no other message. */
static void a_missing_exchange_ends_its_suspects(void **state)
{
    struct window *w = *state;

    window_add(w, make(1, "gone", "q", NULL, INT64_MAX));
    window_add(w, make(2, "here", "q", NULL, INT64_MAX));
    window_add(w, make(3, "gone", "q", NULL, INT64_MAX));
    assert_int_equal(send_up_to(w, 3), 3);
    window_add(w, make(4, "gone", "q", NULL, INT64_MAX));
    window_restart(w);
    assert_null(window_blame(w, 404, "no exchange"));
    assert_int_equal(send_up_to(w, 10), 1);
    window_restart(w);
    assert_non_null(window_blame(w, 404, "no exchange"));
    expect_ended(w, 1, WARREN_RETURNED);
    expect_ended(w, 3, WARREN_RETURNED);
    expect_ended(w, 0, 0);
    assert_int_equal(window_next(w)->seq, 2);
}

/* A message that timed out may have been the cause, so the other one is not blamed. */
static void an_ended_message_may_be_the_culprit(void **state)
{
    struct window *w = *state;

    window_add(w, make(1, "", "q", NULL, 100));
    window_add(w, make(2, "", "q", NULL, INT64_MAX));
    assert_int_equal(send_up_to(w, 2), 2);
    window_expire(w, 100);
    expect_ended(w, 1, WARREN_TIMEOUT);
    window_restart(w);
    assert_null(window_blame(w, 404, "no exchange"));
    expect_ended(w, 0, 0);
}

/* ---- room ---- */

/* Both bounds are exact. */
static void room_is_exact(void **state)
{
    struct room room = {.messages_max = 3, .bytes_max = 100};

    (void)state;
    assert_true(room_fits(&room, 100));
    assert_false(room_fits(&room, 101));
    room_take(&room, 60);
    assert_true(room_fits(&room, 40));
    assert_false(room_fits(&room, 41));
    room_take(&room, 0);
    room_take(&room, 0);
    assert_false(room_fits(&room, 0));
    room_give(&room, 1, 0);
    assert_true(room_fits(&room, 40));
}

/* Waiting callers are woken at a quarter of room, and in a window of any size when it is empty. */
static void room_gets_wide(void **state)
{
    (void)state;
    for (uint32_t max = 1; max < 40; max++) {
        struct room room = {.messages_max = max, .bytes_max = max};

        assert_true(room_is_wide(&room));
        for (uint32_t used = 1; used <= max; used++) {
            room_take(&room, 1);
            if (room_is_wide(&room))
                assert_true((max - used) * 4 >= max);
        }
        assert_false(room_is_wide(&room));
    }
}

/* ---- against a model ---- */

#define MODEL_MAX   400
#define MODEL_STEPS 4000

struct model_message {
    bool sent, returned, ended;
    uint64_t tag;
    uint32_t sends;
    int64_t deadline_ms;
    enum warren_result result; /* once ended */
    bool seen;                 /* the window said so too */
};

struct model {
    struct window window;
    struct random random;
    struct model_message messages[MODEL_MAX + 1]; /* by seq */
    bool confirmed[MODEL_MAX + 1];                /* by tag, of this generation */
    uint64_t last_seq;
    uint64_t last_tag;
    int64_t now_ms;
};

static uint64_t dice(struct model *m, uint64_t limit)
{
    return random_upto(&m->random, limit);
}

static void model_end(struct model_message *message, enum warren_result result)
{
    message->ended = true;
    message->result = message->returned ? WARREN_RETURNED : result;
}

static void step_add(struct model *m)
{
    char id[32];
    uint64_t seq = m->last_seq + 1;
    int64_t deadline_ms = dice(m, 3) ? INT64_MAX : m->now_ms + (int64_t)dice(m, 50);

    if (seq > MODEL_MAX)
        return;
    snprintf(id, sizeof id, "id-%u", (unsigned)seq);
    window_add(&m->window, make(seq, "", "q", id, deadline_ms));
    m->last_seq = seq;
    m->messages[seq].deadline_ms = deadline_ms;
}

static void step_send(struct model *m)
{
    struct record *record = window_next(&m->window);
    uint64_t expected = 0;

    for (uint64_t seq = m->last_seq; seq > 0; seq--) {
        if (!m->messages[seq].ended && !m->messages[seq].sent)
            expected = seq;
    }
    if (expected == 0) {
        assert_null(record);
        return;
    }
    assert_int_equal(record->seq, expected);
    assert_int_equal(window_sent(&m->window, record), WARREN_OK);
    m->messages[expected].sent = true;
    m->messages[expected].tag = ++m->last_tag;
    m->messages[expected].sends++;
    m->confirmed[m->last_tag] = false;
}

static void step_confirm(struct model *m)
{
    uint64_t tag = dice(m, m->last_tag + 1);
    bool multiple = dice(m, 1);
    bool negative = dice(m, 1);
    bool fine = tag >= 1 && tag <= m->last_tag && !m->confirmed[tag];
    bool outstanding = false;

    for (uint64_t t = 1; t <= tag && t <= m->last_tag; t++)
        outstanding |= !m->confirmed[t];
    if (multiple)
        fine = tag >= 1 && tag <= m->last_tag && outstanding;
    assert_int_equal(window_confirm(&m->window, tag, multiple, negative),
                     fine ? WARREN_OK : WARREN_EPROTOCOL);
    if (!fine)
        return;
    for (uint64_t seq = 1; seq <= m->last_seq; seq++) {
        struct model_message *message = &m->messages[seq];

        if (message->sent && !message->ended &&
            (message->tag == tag || (multiple && message->tag < tag)))
            model_end(message, negative ? WARREN_NACKED : WARREN_CONFIRMED);
    }
    for (uint64_t t = multiple ? 1 : tag; t <= tag; t++)
        m->confirmed[t] = true;
}

static void step_return(struct model *m)
{
    uint64_t seq = m->last_seq ? 1 + dice(m, m->last_seq - 1) : 0;
    struct model_message *message = &m->messages[seq];
    char id[32];

    snprintf(id, sizeof id, "id-%u", (unsigned)seq);
    return_of(&m->window, "q", id);
    if (seq && message->sent && !message->ended)
        message->returned = true;
}

static void step_expire(struct model *m)
{
    m->now_ms += (int64_t)dice(m, 20);
    window_expire(&m->window, m->now_ms);
    for (uint64_t seq = 1; seq <= m->last_seq; seq++) {
        struct model_message *message = &m->messages[seq];

        if (!message->ended && message->deadline_ms <= m->now_ms)
            model_end(message, message->sends ? WARREN_TIMEOUT : WARREN_EXPIRED);
    }
}

static void step_restart(struct model *m)
{
    window_restart(&m->window);
    for (uint64_t seq = 1; seq <= m->last_seq; seq++) {
        struct model_message *message = &m->messages[seq];

        if (message->sent && !message->ended && message->returned)
            model_end(message, WARREN_RETURNED);
        message->sent = false;
    }
    m->last_tag = 0;
}

/* Everything that the window ended ended in the model too, once and with that result. */
static void compare(struct model *m)
{
    struct list *link;
    uint64_t below = m->last_seq + 1;

    while ((link = list_pop(&m->window.ended))) {
        struct record *record = list_entry(link, struct record, link);
        struct model_message *message = &m->messages[record->seq];

        assert_true(message->ended);
        assert_false(message->seen);
        assert_int_equal(record->result, message->result);
        assert_int_equal(record->sends, message->sends);
        message->seen = true;
        record_free(record);
    }
    for (uint64_t seq = m->last_seq; seq > 0; seq--) {
        assert_int_equal(m->messages[seq].seen, m->messages[seq].ended);
        if (!m->messages[seq].ended)
            below = seq;
    }
    assert_int_equal(window_ended_below(&m->window), below);
}

/* Random lives of 400 messages, with restarts: the window and a naive model agree at each step,
 * and each message ends exactly once. */
static void random_lives_match_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model *m = calloc(1, sizeof *m);

        assert_non_null(m);
        assert_int_equal(window_init(&m->window), WARREN_OK);
        random_init(&m->random, seed);
        for (int step = 0; step < MODEL_STEPS && m->last_tag < MODEL_MAX; step++) {
            uint64_t kind = dice(m, 99);

            if (kind < 25)
                step_add(m);
            else if (kind < 55)
                step_send(m);
            else if (kind < 80)
                step_confirm(m);
            else if (kind < 90)
                step_return(m);
            else if (kind < 98)
                step_expire(m);
            else
                step_restart(m);
            compare(m);
        }
        window_end_all(&m->window);
        for (uint64_t seq = 1; seq <= m->last_seq; seq++) {
            if (!m->messages[seq].ended)
                model_end(&m->messages[seq],
                          m->messages[seq].sends ? WARREN_TIMEOUT : WARREN_EXPIRED);
        }
        compare(m);
        window_done(&m->window);
        free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_on_trial_goes_alone, set_up_five, tear_down),
        cmocka_unit_test_setup_teardown(one_on_trial_is_sent_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_trial_ends_with_its_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_receipt_leaves_before_its_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(receipts_leave_by_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_receipt_passes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_leaves_them_on_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(single_confirms_out_of_order, set_up_five, tear_down),
        cmocka_unit_test_setup_teardown(multiple_confirm_skips_what_was_confirmed, set_up_five,
                                        tear_down),
        cmocka_unit_test_setup_teardown(unknown_tags_are_refused, set_up_five, tear_down),
        cmocka_unit_test_setup_teardown(queued_messages_are_not_confirmed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_ring_grows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(return_then_ack, set_up, tear_down),
        cmocka_unit_test_setup_teardown(returns_with_equal_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_returned_id_is_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_strange_return_is_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(restart_resends_in_order, set_up_five, tear_down),
        cmocka_unit_test_setup_teardown(restart_ends_what_was_returned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_are_sent_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deadlines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_confirm_is_no_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_written_messages_do_not_expire, set_up, tear_down),
        cmocka_unit_test_setup_teardown(innocents_do_not_wait_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_blame_may_find_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_culprit_is_found, set_up_five, tear_down),
        cmocka_unit_test_setup_teardown(internal_errors_are_counted, set_up_five, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_exchange_ends_its_suspects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ended_message_may_be_the_culprit, set_up, tear_down),
        cmocka_unit_test(room_is_exact),
        cmocka_unit_test(room_gets_wide),
        cmocka_unit_test(random_lives_match_the_model),
    };

    return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
