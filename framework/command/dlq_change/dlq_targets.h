/* dlq_targets.h - the queues that dead letters go back to, each looked up once before the first
 * message is sent there.
 * Thread: main (the session's loop).
 */
#ifndef WARREN_COMMAND_DLQ_TARGETS_H
#define WARREN_COMMAND_DLQ_TARGETS_H

#include "command/dlq/dlq_names.h"
#include "command/dlq/dlq_probe.h"

/** Queues in one run; messages for further ones stay where they are. */
#define DLQ_TARGETS_MAX 256

enum dlq_target_state { DLQ_TARGET_ASKED, DLQ_TARGET_THERE, DLQ_TARGET_MISSING };

struct dlq_target {
    char name[DLQ_NAME_SIZE];
    enum dlq_target_state state;
    uint64_t messages; /* that went there, or would */
    struct dlq_probe probe;
    struct dlq_targets *all;
};

struct dlq_targets {
    struct dlq_target *items[DLQ_TARGETS_MAX];
    size_t count;
    struct connection *connection;
    /** The state of a target is known. */
    void (*known)(void *user, struct dlq_target *target, const struct dlq_probe_found *found);
    void *user;
};

/** Zeroed but for connection, known and user is ready. Zeroed is fine here. */
void dlq_targets_done(struct dlq_targets *targets);

/** The target @name, which is asked for if it is new; NULL: too many, or no memory. */
struct dlq_target *dlq_targets_get(struct dlq_targets *targets, const char *name);

#endif
