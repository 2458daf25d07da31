/* limit_probe.h - how often does a queue take a message back, before the broker gives it up?
 *
 * AMQP has no method that names the arguments of a queue. But RabbitMQ compares those of a declare
 * with those of the queue that is there, and its refusal names the first one that differs, and its
 * value. So the queue is declared with a limit that no queue can have; arguments that the refusal
 * names before that one are added, and it is declared again. Nothing can come into being: if there
 * is no queue of that name (any more), another argument, which is compared later, has it refused.
 *
 * Not seen: a limit by policy, and one that this user may not see, for the declare needs the
 * permission to configure the queue. Each declare costs a channel, and a line of the broker's log.
 * Thread: the loop's. Owner: who asks embeds one.
 */
#ifndef WARREN_AMQP_LIMIT_PROBE_H
#define WARREN_AMQP_LIMIT_PROBE_H

#include "amqp/connection/channel.h"
#include "base/arena.h"

/** Answers, besides a limit: there is none, or one that is never reached; nobody knows. */
#define LIMIT_NONE    (-1)
#define LIMIT_UNKNOWN (-2)

/** Arguments that are added, one for each refusal; with more the limit is LIMIT_UNKNOWN. */
#define LIMIT_PROBE_ADDED_MAX 12

/** Told once, unless the connection is lost first: then when there is another one. */
typedef void limit_probe_fn(void *user, int64_t limit);

struct limit_probe {
    struct connection *connection;
    struct channel *channel; /* NULL: nothing is asked */
    const char *queue;
    limit_probe_fn *answer;
    void *user;
    struct arena arena; /* of what was added */
    struct warren_field added[LIMIT_PROBE_ADDED_MAX];
    size_t added_count;
};

/** Ask. @queue is borrowed until the answer. WARREN_OK or WARREN_ENOMEM. */
enum warren_status limit_probe_start(struct limit_probe *probe, struct connection *connection,
                                     const char *queue, limit_probe_fn *answer, void *user);
/** Forget the question, if there is one; a zeroed probe is fine. */
void limit_probe_done(struct limit_probe *probe);

/**
 * Read a refusal.
 *
 * @text        what the broker said
 * @standing    what a queue without the argument has: a limit, or LIMIT_NONE
 * @arena       of the next
 * @ret_added   an argument that is to be added: ask again; its name is NULL if there is none
 * @return      a limit, LIMIT_NONE or LIMIT_UNKNOWN
 */
int64_t limit_probe_read(const char *text, int64_t standing, struct arena *arena,
                         struct warren_field *ret_added);

#endif
