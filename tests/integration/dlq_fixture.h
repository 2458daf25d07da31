/* dlq_fixture.h - a queue and its dead-letter queue, for tests of `warren dlq`. With
 * DLQ_FIXTURE_OWN they are on a node of that name, else on the shared one.
 */
#ifndef TESTS_INTEGRATION_DLQ_FIXTURE_H
#define TESTS_INTEGRATION_DLQ_FIXTURE_H

#include "support/broker.h"
#include "support/command.h"
#include "support/letters.h"
#include "support/test.h"
#include "support/wait.h"

struct fixture {
    struct broker *broker;
    struct peer *peer;
    char *queue; /* new for each test, as is */
    char *dlq;   /* QUEUE.dlq, a quorum queue */
    char *directory;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
#ifdef DLQ_FIXTURE_OWN
    f->broker = broker_own(DLQ_FIXTURE_OWN, false);
#else
    f->broker = broker_shared();
#endif
    f->peer = peer_new(f->broker->uri);
    f->queue = unique_name("dlq");
    f->dlq = text("%s.dlq", f->queue);
    f->directory = scratch_new();
    peer_declare(f->peer, f->queue, "classic");
    peer_declare(f->peer, f->dlq, "quorum");
    setenv("WARREN_BROKER_URI", f->broker->uri, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    peer_delete(f->peer, f->queue);
    peer_delete(f->peer, f->dlq);
    peer_free(f->peer);
    broker_free(f->broker);
    scratch_free(f->directory);
    free(f->queue);
    free(f->dlq);
    free(f);
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
