/* spooler_private.h - the inside of a spooler, for the files that make it: spooler.c (callers and
 * the sender), spooler_thread.c (when to do what), spooler_write.c (transactions), spooler_feed.c
 * (offering, and reading back), spooler_look.c (what others did), spooler_trouble.c (what is told).
 */
#ifndef WARREN_PUBLISH_SPOOLER_PRIVATE_H
#define WARREN_PUBLISH_SPOOLER_PRIVATE_H

#include "base/condition.h"
#include "publish/spool/fed_ring.h"
#include "publish/spool/spooler.h"

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
};

struct spooler {
    pthread_mutex_t lock;
    struct condition work_cond; /* kick */
    struct condition room_cond;

    /* Guarded by the lock. */
    bool kick; /* the thread shall look what there is to do */
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

    /* Set once. */
    struct spooler_options options;
    struct spooler_events events;
    void *user;
    pthread_t thread;
    bool started;

    /* The thread's. */
    struct spool *spool;
    struct fed_ring fed; /* what was offered since spooler_go_back() */
    size_t fed_open;     /* of these the sender has not ended */
    int64_t fed_bytes;   /* of these that have not left the disk */
    int64_t fed_id;      /* the last one that was offered */
    bool backlog;        /* there may be messages behind fed_id */
    int64_t nacked;      /* the lowest id that a queue refused; 0: none */
    bool progress;       /* something was confirmed since the last rest */
    int64_t rest_ms;     /* the next one's length */
    int64_t resume_ms;
    int64_t ended_due_ms; /* when what was ended is written at the latest; INT64_MAX: nothing is */
    int64_t retry_ms;     /* the disk failed: not before this again, but for callers */
    int64_t age_ms;       /* when to look for what is too old */
    int64_t tend_ms;      /* when to look after the file's log; INT64_MAX: no need */
    int64_t look_ms;      /* when to look for what was done to refused ones, if there are some */
    int64_t crowded_ms; /* tickets found no room: when they are tried again; INT64_MAX: none did */
    bool trouble;       /* the disk failed, and that was told */
    bool displaced;     /* the file is not in its place, and that was told */
    int64_t done_below; /* as was told */
    uint64_t untold_dropped;
    uint64_t untold_expired;
    int64_t tell_ms; /* when that may be told */
};

/* spooler_write.c */

/** What one transaction does. */
struct spool_round {
    struct list tickets;
    size_t ended_count; /* of the first entries of `ended` */
    bool age;
};

/** All of the round in one transaction; the tickets' status is written. */
void spooler_write(struct spooler *spooler, struct spool_round *round);
/** Say what was removed since it was said last, if it is time for that or @at_any_rate. */
void spooler_tell_removed(struct spooler *spooler, bool at_any_rate);

/* spooler_feed.c */

/** Offer what is on disk, a few messages. @return there is more, and perhaps room */
bool spooler_feed(struct spooler *spooler);
/**
 * Offer what was just committed, or have it pass.
 *
 * @return false: it is neither's, for nobody waits for its receipt
 */
bool spooler_hand_over(struct spooler *spooler, struct spool_ticket *ticket);
/** Everything from @id on that is on disk is to be offered again. Nothing is open. */
void spooler_go_back(struct spooler *spooler, int64_t id);
/** Say how far everything has left the disk, if that is news. */
void spooler_report_done(struct spooler *spooler);

/* spooler_look.c */

/** How much there is was counted on disk. */
void spooler_take_totals(struct spooler *spooler, const struct spool_totals *totals);
/** See what others, such as `warren spool`, did to the refused ones. A failure is told by what is
 * written or read next. */
void spooler_look(struct spooler *spooler);

/* spooler_trouble.c */

void spooler_tell(struct spooler *spooler, bool trouble, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** The disk failed: said once, and it is tried again later. */
void spooler_begin_trouble(struct spooler *spooler, const struct warren_error *error);
/** It did not fail; harmless without trouble. */
void spooler_end_trouble(struct spooler *spooler);

/* spooler_thread.c */

void *spooler_run(void *spooler);

#endif
