/* tally.h - counts what `probe.record` wrote against what was published. Thread: the test's.
 * The messages are those of peer_publish_many(): PREFIX-0 to PREFIX-(COUNT-1), each with its id as
 * its body.
 */
#ifndef TESTS_SUPPORT_TALLY_H
#define TESTS_SUPPORT_TALLY_H

#include <stdint.h>
#include <stdio.h>

#include "support/broker.h"

struct tally {
    char *path;
    char *prefix;
    unsigned count;      /* published and confirmed */
    unsigned lines;      /* runs of the handler */
    unsigned ok;         /* messages that were handled and acked, at least once */
    unsigned unexpected; /* lines of a message that nobody published, or with another body */
    unsigned duplicates; /* lines of a message that was handled and acked before */
    unsigned unmarked;   /* deliveries without the mark "redelivered", but for the first one */
    int64_t stall_ms;    /* the longest time without a line, as far as tally_update() saw */

    FILE *file;
    uint8_t *seen; /* by number */
    int64_t changed_ms;
};

struct tally *tally_new(const char *path, const char *prefix, unsigned count);
void tally_free(struct tally *tally);

/** Read what was added. @return `ok` */
unsigned tally_update(struct tally *tally);

/** Call tally_update() until @ok messages are handled. @return whether they were within @ms */
bool tally_wait(struct tally *tally, unsigned ok, int64_t ms);

/**
 * The same for a queue under load: while it waits it publishes further messages to @queue, so that
 * some are left however fast, or late, everybody is. `count` grows.
 */
bool tally_wait_fed(struct tally *tally, const struct broker *broker, const char *queue,
                    unsigned ok, int64_t ms);

/**
 * Print the one line that sums a run up.
 *
 * @kind    of the queue
 * @faults  in words, such as "20 SIGKILL"
 */
void tally_print(const struct tally *tally, const struct broker *broker, const char *kind,
                 int recovered, const char *faults);

/** The seed of everything random in these runs. */
#define TALLY_SEED 42

#endif
