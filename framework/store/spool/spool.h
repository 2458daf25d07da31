/* spool.h - messages on disk that wait for the broker: appended in groups, read in their order,
 * removed when the broker has them.
 *
 * One process at a time sends what is in the spool of a file; others may look at it, and decide
 * what becomes of refused messages: those that the broker refused, and whose refusal nobody heard,
 * stay until a person decides. Thread: one at a time for each struct spool. Elsewhere: sending them
 * (publish/spool/spooler.h).
 */
#ifndef WARREN_STORE_SPOOL_H
#define WARREN_STORE_SPOOL_H

#include <warren/message.h>

#include "store/db/database.h"

struct spool;

enum spool_flags {
    SPOOL_OPTIONAL = 1, /* not mandatory */
    SPOOL_TO_QUEUE = 2  /* delay_to names a queue */
};

/** One message. Texts and bytes are borrowed: from the caller, or until the next call. */
struct spool_message {
    int64_t id;    /* ascending in the order of commits; of what is appended: written */
    int64_t at_ms; /* when it was appended, since 1970 */
    struct warren_bytes message_id;
    struct warren_bytes exchange;
    struct warren_bytes routing_key;
    uint32_t flags;
    uint32_t delay_s; /* it goes to the delay queues; 0: it does not */
    struct warren_bytes delay_to;
    struct warren_bytes properties; /* as on the wire */
    struct warren_bytes body;
    const char *refused; /* why the broker will not have it; NULL: it is to be sent */
    /* Of what was read: why it is not as spool_append() wrote it; static storage. NULL: nothing is
     * wrong, but nobody has looked into properties and body yet. */
    const char *unsound;
    bool misnumbered; /* its id is at fault: reading behind it would leave others out */
};

/** What a sound one has: names as in AMQP, a delay as publish/delay/delay.h can express it, a time
 * up to the year 9999. */
#define SPOOL_NAME_MAX    255
#define SPOOL_DELAY_MAX_S ((INT64_C(1) << 29) - 1)
#define SPOOL_AT_MAX_MS   INT64_C(253402300799999)

/** What each row counts against the bound, in SQL: the file's word, within what its parts allow. */
#define SPOOL_ROW_BYTES                                                                            \
    "max(min(bytes, length(properties) + length(body) + 1200), length(properties) + length(body))"

/** What @message counts against a bound by bytes: its parts, and what a row costs. */
int64_t spool_message_bytes(const struct spool_message *message);

/**
 * Open the spool of a database file. Who has not claimed it may remove refused messages and
 * unrefuse them, and nothing else.
 *
 * @return WARREN_OK; as database_open(), with @error
 */
enum warren_status spool_open(const struct database_options *options, struct spool **ret_spool,
                              struct warren_error *error);
/**
 * Become its only sender, until it is closed.
 *
 * @ret_taken  another publisher has it
 * @return     WARREN_OK; WARREN_EIO, also if it is taken, or WARREN_EFULL, with @error
 */
enum warren_status spool_claim(struct spool *spool, bool *ret_taken, struct warren_error *error);
/** It is its sender no more; harmless if it was not. */
void spool_disclaim(struct spool *spool);
/** NULL is fine. */
void spool_close(struct spool *spool);

/** For care and measures; its owner is the spool. */
struct database *spool_database(struct spool *spool);

/** How much there is. */
struct spool_totals {
    int64_t messages; /* to be sent */
    int64_t refused;
    int64_t bytes;     /* of both */
    int64_t oldest_ms; /* since 1970; 0: there is none */
    int64_t last_id;   /* of all that ever were */
};

/** Count it all, as it is at one moment: reads the whole table once, bodies aside. */
enum warren_status spool_count(struct spool *spool, struct spool_totals *totals,
                               struct warren_error *error);

/** Count the refused ones: quick, if there are few. */
enum warren_status spool_count_refused(struct spool *spool, int64_t *ret_refused,
                                       struct warren_error *error);

/**
 * When the first one above @after that is to be sent was appended: quick, if there are few refused
 * ones between.
 *
 * @ret_at_ms  since 1970; 0: there is none
 */
enum warren_status spool_oldest_to_send(struct spool *spool, int64_t after, int64_t *ret_at_ms,
                                        struct warren_error *error);

enum spool_which { SPOOL_TO_SEND = 1, SPOOL_REFUSED = 2, SPOOL_ALL = 3 };

/**
 * The same through @database, which is the caller's: it closes it, after the spool.
 */
enum warren_status spool_join(struct database *database, struct spool **ret_spool,
                              struct warren_error *error);

/** What a transaction appends for one of those who share it. */
struct warren_outbox {
    /** @return as database_step(): then nothing was appended */
    enum warren_status (*append)(struct warren_outbox *outbox, struct spool_message *message,
                                 struct warren_error *error);
    int64_t messages;
    int64_t bytes;
    int64_t last_id;
};

/* ---- writing: in a transaction of its database ---- */

enum warren_status spool_append(struct spool *spool, struct spool_message *message,
                                struct warren_error *error);
/** It need not be there any more. @ret_done: it was; NULL: that does not matter */
enum warren_status spool_remove(struct spool *spool, int64_t id, bool *ret_done,
                                struct warren_error *error);
enum warren_status spool_refuse(struct spool *spool, int64_t id, const char *why,
                                struct warren_error *error);
/**
 * A refused one is to be sent again: as if it had been appended now, behind all others, with a new
 * id and the same message id. It need not be there any more, nor be refused. @ret_done: it was
 */
enum warren_status spool_unrefuse(struct spool *spool, int64_t id, bool *ret_done,
                                  struct warren_error *error);

/** What was removed. */
struct spool_removed {
    int64_t messages; /* all of them */
    int64_t refused;  /* and how many of these were */
    int64_t bytes;
};

/** @return false: no more */
typedef bool spool_message_fn(void *user, const struct spool_message *message);

/** What is to be removed from the oldest on, of what is refused or has an id above @after. */
struct spool_removal {
    int64_t after;
    int64_t bytes; /* until so much is gone, at least */
    /* Only as long as the oldest was appended before that, and those whose time is not sound are
     * passed over; INT64_MAX: whenever it was. */
    int64_t before_ms;
    /** Told id, message_id and refused of each, which is all that is set; NULL: nobody is. */
    spool_message_fn *each;
    void *user;
};

enum warren_status spool_remove_oldest(struct spool *spool, const struct spool_removal *removal,
                                       struct spool_removed *removed, struct warren_error *error);

/* ---- reading ---- */

/**
 * Each message above @after, in the order of ids. What is not sound is shown as well: see
 * `unsound`.
 *
 * @after   INT64_MIN: also those with ids below 1, which are not sound
 * @bodies  else properties and body are left out: their lengths are right, their data is NULL
 */
enum warren_status spool_read(struct spool *spool, int64_t after, enum spool_which which,
                              bool bodies, spool_message_fn *each, void *user,
                              struct warren_error *error);

#endif
