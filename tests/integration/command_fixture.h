/* command_fixture.h - a broker with a queue, and a directory, for tests of commands that publish.
 */
#ifndef TESTS_INTEGRATION_COMMAND_FIXTURE_H
#define TESTS_INTEGRATION_COMMAND_FIXTURE_H

#include "support/fixture.h"

static inline int setup(void **state)
{
    *state = "classic";
    fixture_setup(state);
    setenv("WARREN_BROKER_URI", ((struct fixture *)*state)->broker->uri, 1);
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
