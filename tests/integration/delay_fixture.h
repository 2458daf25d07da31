/* delay_fixture.h - what the tests of the delay queues share: a virtual host, so that their queues
 * are nobody else's; delayed messages with books kept; and taking them off a queue.
 */
#ifndef TESTS_INTEGRATION_DELAY_FIXTURE_H
#define TESTS_INTEGRATION_DELAY_FIXTURE_H

#include <stdatomic.h>

#include "support/due.h"
#include "support/fixture.h"

/* One delayed message; its body is its place in an array of these. */
struct sent {
    int64_t delay_ms;
    int64_t published_ms;
    int64_t confirmed_ms;
    enum warren_result result;
    uint16_t code;
    char text[256];
    char target[320]; /* exchange, /, routing key */
    atomic_uint receipts;
    int64_t arrived_ms; /* the first time */
    unsigned arrivals;
};

static int setup(void **state)
{
    struct fixture *f;

    fixture_setup(state);
    f = *state;
    fixture_own_vhost(f);
    peer_declare(f->peer, f->queue, "quorum");
    f->publisher = publisher_open(f->uri, NULL);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

static void on_receipt(const struct warren_receipt *receipt, void *user)
{
    struct sent *sent = user;

    sent->confirmed_ms = now_ms();
    sent->result = receipt->result;
    sent->code = receipt->reply_code;
    snprintf(sent->text, sizeof sent->text, "%s", receipt->reply_text);
    snprintf(sent->target, sizeof sent->target, "%s/%s", receipt->exchange, receipt->routing_key);
    atomic_fetch_add(&sent->receipts, 1);
}

/* To @exchange, or with "" to the queue @routing_key. */
static void send_later(struct warren_publisher *publisher, struct sent *sent, const char *exchange,
                       const char *routing_key, const char *body, int64_t delay_ms)
{
    struct warren_message message = {.body = warren_text(body)};
    struct warren_publish publish = {
        .exchange = exchange, .routing_key = routing_key, .message = &message};

    sent->delay_ms = delay_ms;
    sent->published_ms = now_ms();
    assert_int_equal(
        warren_publisher_publish_after(publisher, &publish, delay_ms, on_receipt, sent, NULL),
        WARREN_OK);
}

static bool has_ended(struct sent *sent)
{
    return WAIT_FOR(atomic_load(&sent->receipts) > 0, PATIENCE_MS);
}

/* The same, and wait for its end. */
static enum warren_result send_and_wait(struct fixture *f, const char *exchange,
                                        const char *routing_key, const char *body, int64_t delay_ms,
                                        struct sent *sent)
{
    *sent = (struct sent){.result = WARREN_TIMEOUT};
    send_later(f->publisher, sent, exchange, routing_key, body, delay_ms);
    assert_true(has_ended(sent));
    return sent->result;
}

#endif
