/* publisher_fixture.h - what the tests of the publisher share: a queue on the shared broker, an
 * independent client that looks into it, books, and a publisher, perhaps behind a proxy.
 */
#ifndef TESTS_INTEGRATION_PUBLISHER_FIXTURE_H
#define TESTS_INTEGRATION_PUBLISHER_FIXTURE_H

#include "support/broker.h"
#include "support/ledger.h"
#include "support/peer.h"
#include "support/proxy.h"
#include "support/test.h"
#include "support/wait.h"

static struct broker *broker;

struct fixture {
    struct peer *peer;
    char *queue;
    struct proxy *proxy;
    struct ledger *ledger;
    struct warren_publisher *publisher;
};

static int start(void **state)
{
    (void)state;
    broker = broker_shared();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    broker_free(broker);
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    f->peer = peer_new(broker->uri);
    f->queue = unique_name("publisher");
    peer_declare(f->peer, f->queue, "classic");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    warren_publisher_close(f->publisher, 0);
    proxy_free(f->proxy);
    ledger_free(f->ledger);
    peer_delete(f->peer, f->queue);
    peer_free(f->peer);
    free(f->queue);
    free(f);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
