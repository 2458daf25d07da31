/* letters.h - dead letters as a worker would leave them, and what is in a queue.
 * Thread: the test's.
 */
#ifndef TESTS_SUPPORT_LETTERS_H
#define TESTS_SUPPORT_LETTERS_H

#include "support/peer.h"

/** One dead letter. @queue NULL: it has no envelope. Else reason and died_s, where they are NULL
 * and 0, are "rejected" and now; of the rest NULL and 0: that note is left out. */
struct letter {
    const char *id;
    const char *queue;
    const char *reason;
    const char *handler;
    const char *error;
    const char *tenant; /* a header of the publisher's */
    const char *body;   /* NULL: the id */
    int64_t attempts;
    int64_t replays;
    uint64_t died_s;
};

/** Publish it to the dead-letter queue @dlq, confirmed. */
void letter_put(struct peer *peer, const char *dlq, const struct letter *letter);

/** The same with the message id @id, and headers that are nested deeper than warren reads. */
void letter_put_deep(struct peer *peer, const char *dlq, const char *id);

/** The header @name of a message, or NULL. */
const amqp_field_value_t *letter_header(const struct peer_message *message, const char *name);
/** The same as a number, or -1. */
int64_t letter_number(const struct peer_message *message, const char *name);
/** The same as a text is @text. */
bool letter_says(const struct peer_message *message, const char *name, const char *text);

/** Copies of PREFIX-0 to PREFIX-(count - 1) by their message ids. */
struct letter_census {
    const char *prefix;
    unsigned count;
    unsigned *copies;    /* by number; the caller's */
    unsigned unexpected; /* other ids, or another body than the id */
};

/** Take all messages off @queue and count them. */
void letter_census(struct peer *peer, const char *queue, struct letter_census *census);

#endif
