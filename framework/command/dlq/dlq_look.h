/* dlq_look.h - look at the messages of a dead-letter queue that a filter lets through, and leave
 * all of them in their places. Thread: main.
 */
#ifndef WARREN_COMMAND_DLQ_LOOK_H
#define WARREN_COMMAND_DLQ_LOOK_H

#include "command/cli/cli.h"
#include "command/dlq/dlq_filter.h"
#include "command/dlq/dlq_names.h"
#include "command/dlq/dlq_scan.h"

struct dlq_look {
    const struct dlq_queue *queue;
    const struct dlq_filter *filter;
    uint64_t max;    /* messages that match; 0: all */
    uint32_t limit;  /* messages that are held; see dlq_scan.h */
    bool unreadable; /* what cannot be read matches, too; it is counted only */
    /**
     * One that matches; @number counts them from 1. @return false: look at no more, for it failed
     * and the error was printed. May be NULL.
     */
    bool (*each)(void *user, const struct dlq_letter *letter, uint64_t number);
    void *user;
};

/**
 * Do it, and print errors and warnings. @config is borrowed.
 *
 * @ret_matched  how many matched; that none did is told
 * @return       CLI_OK; CLI_FAILED, also after a signal, where a message is asked for by its id and
 *               is not there, where others kept all messages to themselves, and where some could
 *               not be read
 */
enum cli_status dlq_look(const struct cli *cli, const struct config *config,
                         const struct dlq_look *look, uint64_t *ret_matched);

#endif
