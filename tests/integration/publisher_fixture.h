/* publisher_fixture.h - what the tests of the publisher share: a queue on the shared broker, an
 * independent client that looks into it, books, and a publisher, perhaps behind a proxy.
 */
#ifndef TESTS_INTEGRATION_PUBLISHER_FIXTURE_H
#define TESTS_INTEGRATION_PUBLISHER_FIXTURE_H

#include "support/fixture.h"

static struct broker *broker;

static int setup(void **state)
{
    *state = "classic";
    fixture_setup(state);
    broker = ((struct fixture *)*state)->broker;
    return 0;
}

static inline void new_ledger(struct fixture *f, unsigned capacity)
{
    f->ledger = ledger_new(capacity, &(struct ledger_plan){.routing_key = f->queue});
}

static void flush(struct fixture *f)
{
    uint32_t timeout_ms = (uint32_t)PATIENCE_MS;

    assert_int_equal(warren_publisher_flush(f->publisher, timeout_ms), WARREN_OK);
}

static inline void drain_and_check(struct fixture *f)
{
    ledger_drain(f->ledger, f->peer, f->queue);
    ledger_check(f->ledger);
}

static inline char *pattern(size_t length)
{
    char *body = malloc(length + 1);

    assert_non_null(body);
    for (size_t i = 0; i < length; i++)
        body[i] = (char)(i * 31 + i / 251);
    return body;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

#endif
