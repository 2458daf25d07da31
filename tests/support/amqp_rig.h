/* amqp_rig.h - a loop, a connection and a channel, for tests of framework/amqp/ against a broker.
 * The test's thread is the loop's: it runs only inside RIG_UNTIL() and the calls that say so.
 * Failures to connect or to be answered fail the test.
 */
#ifndef TESTS_SUPPORT_AMQP_RIG_H
#define TESTS_SUPPORT_AMQP_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "amqp/connection/channel.h"
#include "support/wait.h"

struct rig {
    struct loop *loop;
    struct loop_timer tick;
    struct connection *connection;
    struct channel *channel; /* for the calls below */
    char *name;              /* of the connection, for the broker */
    int losses;
    char why[512]; /* of the last loss */
    bool closed;
    bool answered;
    uint32_t message_count;     /* of the last queue.declare-ok */
    uint16_t refused;           /* code that the channel was closed with */
    void (*opened)(void *user); /* the connection is open; may be NULL */
    void *user;
};

/** Connected, with the channel open. Runs the loop. */
struct rig *rig_new(const char *uri);
/** The same with other options of the connection; @adjust may be NULL. */
struct rig *rig_new_with(const char *uri, void (*adjust)(struct connection_options *options));
/** Closes in order. Runs the loop. NULL is fine. */
void rig_free(struct rig *rig);

/** Run the loop for about a millisecond. */
void rig_turn(struct rig *rig);

/** Run the loop until @expression holds; false after @ms (times slowness()) milliseconds. */
#define RIG_UNTIL(rig, expression, ms)                                                             \
    __extension__({                                                                                \
        int64_t rig_deadline_ = now_ms() + (int64_t)(ms)*slowness();                               \
        while (!(expression) && now_ms() < rig_deadline_)                                          \
            rig_turn(rig);                                                                         \
        (bool)(expression);                                                                        \
    })

/** Send a method and wait for its reply. @return 0, or the code that the channel was closed with */
uint16_t rig_call(struct rig *rig, uint32_t id, void *decoded);

/** A durable queue; @type is "classic" or "quorum"; messages that it rejects go to queue @dlq. */
void rig_declare_queue(struct rig *rig, const char *queue, const char *type, const char *dlq);
void rig_delete_queue(struct rig *rig, const char *queue);
/** Messages that are ready in the queue, or -1 if there is no such queue. */
int rig_messages(struct rig *rig, const char *queue);

/** Persistent, through the default exchange. Leaves with the next turn. */
void rig_publish(struct rig *rig, const char *queue, const void *body, size_t len);

amqp_bytes_t rig_text(const char *text);

#endif
