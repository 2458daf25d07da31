/* dlq_fixture.h - a queue and its dead-letter queue, a quorum queue, for tests of `warren dlq`. */
#ifndef TESTS_INTEGRATION_DLQ_FIXTURE_H
#define TESTS_INTEGRATION_DLQ_FIXTURE_H

#include "support/command.h"
#include "support/fixture.h"
#include "support/letters.h"

static inline int setup(void **state)
{
    struct fixture *f;

    *state = "classic";
    fixture_setup(state);
    f = *state;
    peer_declare(f->peer, f->dlq, "quorum");
    setenv("WARREN_BROKER_URI", f->broker->uri, 1);
    return 0;
}

/* A quorum queue tells its count a moment late. */
static inline void expect_count(struct fixture *f, const char *queue, int count)
{
    if (!WAIT_FOR(peer_count(f->peer, queue) == count, 10000 * slowness()))
        fail_msg("'%s' has %d messages, not %d", queue, peer_count(f->peer, queue), count);
}

/* Dead letters ID-0, ID-1, ... of this queue. */
static inline void put_letters(struct fixture *f, const char *id, int count,
                               const struct letter *like)
{
    struct letter letter = *like;

    if (!letter.queue)
        letter.queue = f->queue;
    for (int i = 0; i < count; i++) {
        char *name = text("%s-%d", id, i);

        letter.id = name;
        letter_put(f->peer, f->dlq, &letter);
        free(name);
    }
}

#endif
