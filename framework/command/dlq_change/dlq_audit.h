/* dlq_audit.h - one log line for each message that an operator moved or threw away: what, which,
 * from where, to where, by whom.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_DLQ_AUDIT_H
#define WARREN_COMMAND_DLQ_AUDIT_H

#include <warren/message.h>

struct dlq_audit {
    const char *action;     /* "replayed", "discarded", "not replayed" */
    const char *queue;      /* the dead-letter queue */
    struct warren_bytes id; /* the message's; length 0: it has none */
    const char *target;     /* NULL: none */
    int64_t replays;        /* with this one; 0: none */
    const char *why;        /* it failed; NULL: it did not */
};

/** Write it, at level info, or warn if it failed; above a progress line if stderr is a terminal. */
void dlq_audit(const struct dlq_audit *audit);

#endif
