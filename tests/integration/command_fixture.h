/* command_fixture.h - a broker with a queue, and a directory, for tests of commands that publish.
 */
#ifndef TESTS_INTEGRATION_COMMAND_FIXTURE_H
#define TESTS_INTEGRATION_COMMAND_FIXTURE_H

#include "support/broker.h"
#include "support/peer.h"
#include "support/test.h"
#include "support/wait.h"

struct fixture {
    struct broker *broker; /* the shared one; WARREN_BROKER_URI names it */
    struct peer *peer;
    char *queue; /* new for each test, as is */
    char *directory;
    char *spool; /* a file in it that is not there yet */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->broker = broker_shared();
    f->peer = peer_new(f->broker->uri);
    f->queue = unique_name("command");
    f->directory = scratch_new();
    f->spool = text("%s/spool.db", f->directory);
    peer_declare(f->peer, f->queue, "classic");
    setenv("WARREN_BROKER_URI", f->broker->uri, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    peer_delete(f->peer, f->queue);
    peer_free(f->peer);
    broker_free(f->broker);
    scratch_free(f->directory);
    free(f->spool);
    free(f->queue);
    free(f);
    return 0;
}

/* The next message of the queue has this body. */
static inline void expect_body(struct fixture *f, const void *body, size_t length)
{
    struct peer_message message;

    assert_true(peer_get(f->peer, f->queue, &message));
    assert_int_equal(message.length, length);
    assert_memory_equal(message.body, body, length);
    peer_message_done(&message);
}

static inline void expect_next(struct fixture *f, const char *body)
{
    expect_body(f, body, strlen(body));
}

#endif
