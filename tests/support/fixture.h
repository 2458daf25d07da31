/* fixture.h - what most integration tests stand on: a broker, a peer of it, a queue, and whatever
 * of the rest a test makes. The teardown ends all of it in order, also after a test that failed.
 * Thread: the test's.
 */
#ifndef TESTS_SUPPORT_FIXTURE_H
#define TESTS_SUPPORT_FIXTURE_H

#include <warren/publisher.h>

#include "support/broker.h"
#include "support/ledger.h"
#include "support/mock.h"
#include "support/peer.h"
#include "support/proxy.h"
#include "support/tally.h"
#include "support/test.h"
#include "support/wait.h"
#include "support/worker.h"

struct fixture {
    struct broker *broker; /* the shared node, or this program's own */
    struct peer *peer;
    char *queue;     /* a name that no other test has; removed at the end, if it is there */
    char *dlq;       /* QUEUE.dlq, where a worker puts dead letters; the same */
    char *other;     /* another name, for a second queue; the same */
    char *directory; /* empty */
    char *spool;     /* DIRECTORY/spool.db, which is not there yet */
    char *gate;      /* a file; removed by fixture_open_gate() */

    /* NULL until the test makes them. */
    struct worker *worker;
    struct worker *second;
    char *record; /* a file that the worker writes */
    struct tally *tally;
    struct proxy *proxy;
    struct mock *mock;
    struct warren_publisher *publisher;
    struct ledger *ledger;
    char *vhost; /* see fixture_own_vhost() */
    char *uri;
    void *own; /* what else the test program needs, by free() */
};

/** A test with a fixture. Its queue is declared as @type ("classic"), or not yet: NULL. */
#define FIXTURE_TEST(name, type)                                                                   \
    cmocka_unit_test_prestate_setup_teardown(name, fixture_setup, fixture_teardown,                \
                                             (void *)(uintptr_t)(const char *)(type))

/** For those who add to it: before, *state is the type of the queue; then it is the fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/** Setup and teardown of a group whose fixtures stand on a node of this program alone. */
int fixture_own_node(void **state);
/** The same of one with the exchange type x-consistent-hash. */
int fixture_own_hash_node(void **state);
int fixture_end_node(void **state);

/** A new connection in place of `peer`, which may have been lost with the node. @return it */
struct peer *fixture_new_peer(struct fixture *fixture);

/** What waits for the file @gate goes on. */
void fixture_open_gate(struct fixture *fixture);

/** From now on the peer is one of a virtual host of this test alone, at `uri`, in which the queue
 * is not declared. */
void fixture_own_vhost(struct fixture *fixture);

/** To the queue, persistent and confirmed; @id NULL: without a message id. */
void fixture_publish(struct fixture *fixture, const char *id, const char *body);

/** A queue whose rejected messages go to `dlq`, a classic one, which is declared, too. */
void fixture_declare_with_dlq(struct fixture *fixture, const char *type);

/** The worker has written so many lines to `record` within PATIENCE_MS. */
bool fixture_recorded(struct fixture *fixture, size_t lines);

/** The worker ends well; what is neither ready nor unacked after that is gone for good: so many
 * messages are left in the queue, and in `dlq`; -1: there is no such queue. */
void fixture_stop_and_expect(struct fixture *fixture, int left, int dead);

#endif
