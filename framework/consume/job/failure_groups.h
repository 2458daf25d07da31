/* failure_groups.h - what failed lately, grouped, for who looks: attempts of the same subscription
 * whose error says the same but for its numbers are one group, with a count and its latest example.
 * Bound: FAILURE_GROUPS; a new one takes the place of the one that failed longest ago. Texts are
 * cut. Thread: any; adding takes a mutex, which only failed attempts do. Owner: the runtime.
 * Elsewhere: the counts (meter.h), the dead letters themselves (relay/).
 */
#ifndef WARREN_CONSUME_FAILURE_GROUPS_H
#define WARREN_CONSUME_FAILURE_GROUPS_H

#include <pthread.h>
#include <stdint.h>

#include <warren/message.h>

#define FAILURE_GROUPS         128
#define FAILURE_NAME_SIZE      256
#define FAILURE_ERROR_SIZE     1025
#define FAILURE_SIGNATURE_SIZE 256
#define FAILURE_BACKTRACE_SIZE 4096

/** One failed attempt; all borrowed, NULL: not known. */
struct failure {
    const char *queue;
    const char *handler;
    const char *reason; /* as the label of metrics */
    const char *error;
    const char *signal;
    const char *backtrace;
    struct warren_bytes message_id;
    uint32_t attempt;
    int64_t at_ms; /* since 1970 */
};

struct failure_group {
    uint64_t id; /* of this group alone in this process; 0: the place is free */
    uint64_t count;
    int64_t first_ms; /* since 1970 */
    int64_t last_ms;
    uint32_t attempt; /* this and what follows of the latest one */
    char queue[FAILURE_NAME_SIZE];
    char handler[FAILURE_NAME_SIZE];
    char reason[32];
    char signature[FAILURE_SIGNATURE_SIZE]; /* the error, each number a # */
    char error[FAILURE_ERROR_SIZE];
    char signal[16];
    char message_id[FAILURE_NAME_SIZE];
    size_t message_id_len;
    char *backtrace; /* owned; NULL: none */
};

struct failure_groups {
    pthread_mutex_t lock; /* guards the rest */
    uint64_t last_id;
    uint64_t forgotten;           /* groups that made room */
    struct failure_group *groups; /* FAILURE_GROUPS, made at the first failure */
};

void failure_groups_init(struct failure_groups *groups);
void failure_groups_done(struct failure_groups *groups);

/** Without memory nothing happens. */
void failure_groups_add(struct failure_groups *groups, const struct failure *failure);

/** Show each group, the latest first, under the lock. @return how many were forgotten */
uint64_t failure_groups_read(struct failure_groups *groups,
                             void (*show)(void *user, const struct failure_group *group),
                             void *user);

/** @error without what differs from message to message: numbers, and what has digits in it, such as
 * ids, become #. */
void failure_signature(const char *error, char signature[FAILURE_SIGNATURE_SIZE]);

#endif
