/* dlq_names.h - which dead-letter queue belongs to which queue, by the pattern of the
 * configuration ("{queue}.dlq").
 * Thread: any.
 */
#ifndef WARREN_COMMAND_DLQ_NAMES_H
#define WARREN_COMMAND_DLQ_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/** What of a pattern is replaced by the name of the queue. */
#define DLQ_PLACEHOLDER "{queue}"

/** A name of AMQP and the NUL. */
#define DLQ_NAME_SIZE 256

/** A dead-letter queue as a command means it. */
struct dlq_queue {
    char name[DLQ_NAME_SIZE];
    char source[DLQ_NAME_SIZE]; /* whose dead letters it holds; "": of several, or not known */
    bool only_source;           /* it holds those of several queues; meant are those of @source */
    bool mind_limit;        /* so it is not looked at where that costs too much; see dlq_scan.h */
    bool may_drop;          /* it is none that warren declares, so it may have a delivery limit */
    bool source_is_certain; /* @source was named, not guessed from @name */
};

/**
 * What @word of a command line means: a dead-letter queue, if it is one by @pattern, else the
 * source queue. A queue that is a source by the configuration (@sources) is one, also where its
 * name looks like that of a dead-letter queue of an unknown queue.
 *
 * @return false: the name would be empty or exceed 255 bytes
 */
bool dlq_resolve(const char *pattern, const char *const *sources, size_t source_count,
                 const char *word, struct dlq_queue *queue);

/** Whether @word is one of @sources. */
bool dlq_is_source(const char *const *sources, size_t count, const char *word);

#endif
