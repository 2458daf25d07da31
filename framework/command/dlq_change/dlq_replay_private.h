/* dlq_replay_private.h - the inside of a replay, for dlq_replay.c (its life, and what the scan
 * shows) and dlq_replay_flow.c (how each message goes).
 */
#ifndef WARREN_COMMAND_DLQ_REPLAY_PRIVATE_H
#define WARREN_COMMAND_DLQ_REPLAY_PRIVATE_H

#include "command/cli/pacer.h"
#include "command/cli/progress.h"
#include "command/dlq_change/dlq_courier.h"
#include "command/dlq_change/dlq_replay.h"

/** Queues in one run that messages go back to; messages for further ones stay where they are. */
#define REPLAY_TARGETS_MAX 256

/* A queue that dead letters go back to, looked up once before the first message is sent there. */
struct replay_target {
    char name[DLQ_NAME_SIZE];
    enum { TARGET_ASKED, TARGET_THERE, TARGET_MISSING } state;
    uint64_t messages; /* that went there, or would */
    struct dlq_probe probe;
    struct replay *replay;
};

/* One message on its way. */
struct replay_parcel {
    struct dlq_parcel courier; /* first */
    struct list link;          /* waiting, or under way */
    struct delivery *delivery; /* NULL: given up */
    struct replay_target *target;
    int64_t replays; /* with this one */
    size_t id_len;
    char id[255];
};

struct replay {
    const struct dlq_request *request;
    const struct dlq_replay_job *job;
    struct dlq_session *session;
    struct dlq_scan *scan; /* NULL: it is over, or not begun */
    struct dlq_courier *courier;
    struct replay_target *targets[REPLAY_TARGETS_MAX];
    size_t target_count;
    struct dlq_replay_tally tally;
    struct progress progress;
    struct pacer pacer;
    struct loop_timer pause;   /* until the rate lets the next one go */
    struct loop_timer give_up; /* after a signal */
    struct arena arena;        /* of the message at hand */
    struct list waiting;
    struct list under_way;
    uint32_t unproven; /* acked, not proven */
    uint32_t flying;   /* in under_way */
    bool begun;
    bool may_go;    /* the rate has let the first waiting one go */
    bool explained; /* one failure was reported with its reason */
};

static inline int64_t replay_now_ns(const struct replay *r)
{
    return clock_now_ns(loop_clock(dlq_session_loop(r->session)));
}

/* dlq_replay_flow.c */
/** Draw the progress. */
void replay_draw(struct replay *r);
/** Let as many of the waiting go as may go now. */
void replay_pump(struct replay *r);
/** Say why the message @id stays; only of the first, for thousands may follow. */
void replay_explain(struct replay *r, struct warren_bytes id, const char *why);
/** It stays where it is; frees @parcel. */
void replay_release(struct replay *r, struct replay_parcel *parcel);
/** The target @name, which is asked for if it is new; NULL: too many, or no memory. */
struct replay_target *replay_target(struct replay *r, const char *name);
void replay_targets_done(struct replay *r);
/** The events of the courier and the timer of the rate; @user is the replay. */
void replay_ended(void *user, struct dlq_parcel *parcel);
void replay_turn(void *user);
void replay_rate_over(void *user);

#endif
