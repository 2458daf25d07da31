/* spooler_private.h - the inside of a spooler, for the files that make it: spooler.c (callers and
 * the sender), spooler_tend.c (when to do what), spooler_write.c (what one transaction does),
 * spooler_offer.c (offering, and reading back).
 */
#ifndef WARREN_PUBLISH_SPOOLER_PRIVATE_H
#define WARREN_PUBLISH_SPOOLER_PRIVATE_H

#include <pthread.h>

#include "base/condition.h"
#include "publish/spool/offered.h"
#include "publish/spool/spooler.h"
#include "store/writer/writer.h"

/* This many rows with numbers that are none are reported; the others are passed over. */
#define SPOOLER_MISNUMBERED_MAX 64

/** A caller that waits for its group's commit. It lives on the caller's stack. */
struct spool_ticket {
    struct list link;
    struct record *record;
    struct spool_message message; /* borrows from the record */
    int64_t bytes;
    int64_t deadline_ms; /* it waits for room no longer */
    struct condition cond;
    bool done;
    enum warren_status status;
};

/** What the sender is done with. */
struct spool_ended {
    int64_t id;
    enum warren_result result;
    char *refused; /* why; to be kept on disk */
    bool unsound;  /* by warren, which cannot make a message of the row */
};

/* What one transaction does. */
struct spool_round {
    bool begun;
    struct list tickets;
    size_t ended_count; /* of the first entries of `ended` */
    bool age;
    struct list gone; /* receipts of what is removed unsent */
    /* what it changes */
    int64_t bytes;
    int64_t messages;
    int64_t refused;
    uint64_t dropped;
    uint64_t expired;
};

struct spooler {
    struct writer_client client; /* first */
    pthread_mutex_t lock;
    struct condition room_cond;

    /* Guarded by the lock. */
    bool is_writing; /* a round is asked for, or under way */
    struct list tickets;
    struct spool_ended *ended; /* with room for all that were offered: adding cannot fail */
    size_t ended_count;
    size_t ended_capacity;
    int64_t bytes; /* on disk, and of tickets */
    uint64_t room_waits;
    int64_t last_id;
    int64_t others_id;  /* the last one that others appended */
    int64_t counted_id; /* all up to it were counted on disk */
    bool hungry;        /* it has more to offer, and found no room */
    bool closing;
    bool halted;
    bool stopping;
    int64_t messages; /* on disk, to be sent */
    int64_t refused;
    uint64_t spooled;
    uint64_t dropped;
    uint64_t expired;
    int64_t oldest_ms; /* since 1970, as was found last; 0: there is none */
    bool oldest_moved; /* perhaps, since */

    /* Set once. */
    struct spooler_options options;
    struct spooler_events events;
    void *user;
    struct writer *writer;
    struct spool *spool; /* to be read on the writer's thread */
    bool claimed;
    bool joined;

    /* The writer's thread's. */
    struct writer_work write;
    struct spool_round round;
    struct offered offered;                       /* what was offered since spooler_go_back() */
    size_t offered_open;                          /* of these the sender has not ended */
    int64_t offered_bytes;                        /* of these that have not left the disk */
    int64_t offered_id;                           /* the last one that was offered */
    int64_t misnumbered[SPOOLER_MISNUMBERED_MAX]; /* rows that were refused for their numbers */
    size_t misnumbered_count;
    bool backlog;    /* there may be messages behind offered_id */
    int64_t nacked;  /* the lowest id that a queue refused; 0: none */
    bool progress;   /* something was confirmed since the last rest */
    int64_t rest_ms; /* the next one's length */
    int64_t resume_ms;
    int64_t ended_due_ms; /* when what was ended is written at the latest; INT64_MAX: nothing is */
    bool is_at_once;      /* before the end there is one more try, however the disk is, */
    bool has_tried;       /* and that was it */
    int64_t age_ms;       /* when to look for what is too old */
    int64_t look_ms;      /* when to look for what was done to refused ones, if there are some */
    int64_t oldest_at_ms; /* when to look for the oldest one, if it has moved */
    int64_t crowded_ms; /* tickets found no room: when they are tried again; INT64_MAX: none did */
    bool displaced;     /* the file is not in its place, and that was reported */
    int64_t done_below; /* as was reported */
    uint64_t unreported_dropped;
    uint64_t unreported_expired;
    int64_t report_ms; /* when these may be */
};

/** Under the lock: a round is to be written. @return true: hand `write` over */
static inline bool spooler_asks_to_write(struct spooler *spooler)
{
    bool ask = !spooler->is_writing;

    spooler->is_writing = true;
    return ask;
}

/** The disk failed: not before this again, but for callers. On the writer's thread. */
static inline int64_t spooler_retry_ms(const struct spooler *spooler)
{
    return spooler->is_at_once ? 0 : spooler->client.retry.at_ms;
}

/* spooler_write.c */

/** A round, in one transaction. */
extern const struct writer_kind spooler_writes;
/** Is there something to be written that waits for nobody? Under the lock. */
bool spooler_ended_are_due(const struct spooler *spooler, int64_t now_ms);
/** Report to the operator; @trouble: else it is over, or it is news. */
void spooler_report(struct spooler *spooler, bool trouble, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Report what was removed since the last report, if it is time for one or @at_any_rate. */
void spooler_report_removed(struct spooler *spooler, bool at_any_rate);

/* spooler_offer.c */

/** Offer what is on disk, a few messages. @return there is more, and perhaps room */
bool spooler_read_back(struct spooler *spooler);
/**
 * Offer what was just committed, or have it pass.
 *
 * @return false: it is neither's, for nobody waits for its receipt
 */
bool spooler_hand_over(struct spooler *spooler, struct spool_ticket *ticket);
/** Everything from @id on that is on disk is to be offered again. Nothing is open. */
void spooler_go_back(struct spooler *spooler, int64_t id);
/**
 * The record that was written as @message, with its delay: all of the row is proven.
 *
 * @ret_why  with WARREN_EINVAL: what is wrong with it; static storage
 * @return   WARREN_OK, WARREN_EINVAL, WARREN_ENOMEM
 */
enum warren_status spooler_restore(const struct spool_message *message, struct record **ret_record,
                                   const char **ret_why);
/** Say how far everything has left the disk, if that is news. */
void spooler_report_done(struct spooler *spooler);

/* spooler_tend.c */

/** How much there is was counted on disk. */
void spooler_take_totals(struct spooler *spooler, const struct spool_totals *totals);
/** See to all that is due: of struct writer_client. */
int64_t spooler_tend(struct writer_client *client, int64_t now_ms);

#endif
