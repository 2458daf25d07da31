/* command_dlq.h - what the commands of `warren dlq` take in the same way: the broker, the queues,
 * the filters.
 * Thread: main. Elsewhere: each of them (command_dlq_list.c, ...).
 */
#ifndef WARREN_COMMAND_COMMAND_DLQ_H
#define WARREN_COMMAND_COMMAND_DLQ_H

#include "command/cli/broker_options.h"
#include "command/dlq/dlq_letter.h"
#include "command/dlq/dlq_scan.h"

/* ---- dlq names ----
 *
 * which dead-letter queue belongs to which queue, by the pattern of the configuration
 * ("{queue}.dlq"). Thread: any.
 */

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

/* ---- dlq filter ----
 *
 * which dead letters are meant. Thread: any; the clock is passed in.
 */

#define DLQ_HEADERS_MAX 32

/** All that is given must hold; NULL, 0 and no header: not given. In a text \0 stands for a NUL,
 * too. */
struct dlq_filter {
    const char *source; /* the queue that it died in */
    const char *id;     /* "": those that have none */
    const char *reason;
    const char *handler;
    const char *group;
    int64_t since_s; /* died then or later */
    int64_t until_s; /* died before */
    struct {
        const char *name;
        const char *value; /* as text; NULL: whatever it is */
    } headers[DLQ_HEADERS_MAX];
    size_t header_count;
};

/** Is @found what somebody writes as @wanted? Where @found has a NUL, @wanted has \0. */
bool dlq_text_is(const char *wanted, struct warren_bytes found);
bool dlq_filter_matches(const struct dlq_filter *filter, const struct dlq_letter *letter);
/** Does it let everything through? */
bool dlq_filter_is_empty(const struct dlq_filter *filter);

/**
 * A time of a command line: 2024-05-01T12:30:00Z or 2024-05-01T12:30 or 2024-05-01 (UTC if it ends
 * with Z, else local), @1714566600 (seconds since 1970), or 90s, 15m, 2h, 7d (before @now_s).
 *
 * @return false: it is none of them
 */
bool dlq_time_parse(const char *text, int64_t now_s, int64_t *ret_s);

/** The reasons that a worker, the broker, and `dlq list` where there is none, give. Others may put
 * messages into the queue for reasons of their own. */
#define DLQ_REASONS(R)                                                                             \
    R(rejected)                                                                                    \
    R(attempts)                                                                                    \
    R(age)                                                                                         \
    R(breaker)                                                                                     \
    R(crash)                                                                                       \
    R(expired)                                                                                     \
    R(maxlen)                                                                                      \
    R(delivery_limit)                                                                              \
    R(unknown)

/** Those that choose messages, and --max. */
extern const struct cli_option dlq_filter_rows[];
/** --config, --uri, --set, --limit, --force */
extern const struct cli_option dlq_broker_rows[];
/* Further rows of an option table. */
#define DLQ_JSON(help) CLI_FLAG("json", 'j', help, struct dlq_request, json)
#define DLQ_QUIET                                                                                  \
    CLI_FLAG("quiet", 'Q', "Print only errors; no line for each message", struct dlq_request, quiet)

/** What --help says of QUEUE and the broker. */
#define DLQ_HELP                                                                                   \
    "QUEUE is a queue or its dead-letter queue: \"payments\" and \"payments.dlq\" are the same,\n" \
    "unless dead_letter.queue of the configuration says otherwise.\n" BROKER_HELP

#define DLQ_LIMIT_DEFAULT 1000

/** What a command line asks for. Zeroed; the struct that a command's options fill begins with it.
 */
struct dlq_request {
    struct broker_options broker; /* first */
    struct cli *cli;
    struct dlq_filter filter;
    struct dlq_queue queue; /* after dlq_request_words() */
    uint64_t max;           /* messages that match; 0: all */
    uint64_t limit;         /* messages that are held, or left behind; see dlq_scan.h */
    bool limit_is_given;
    bool json;
    bool quiet;
    bool force;
    struct config *config;
    const char **sources; /* its subscriptions' queues, each once */
    size_t source_count;
};

/** What a command does with its request, the first member of its own struct. */
typedef enum cli_status dlq_request_fn(struct dlq_request *request);

/**
 * Read the options, load the configuration, and call @body between that and the end of both; the
 * log is set so that audit lines are written.
 *
 * @set     as broker_options_read()
 * @return  what @body returned, or why it was not called
 */
enum cli_status dlq_request_run(struct dlq_request *request, struct cli *cli, const char *set,
                                dlq_request_fn *body);

/** What @word means: request->queue; a filter is added if that holds dead letters of others, too.
 */
enum cli_status dlq_request_resolve(struct dlq_request *request, const char *word);
/**
 * The arguments: a queue, and perhaps a second word.
 *
 * @missing     what to say if there is no second word; NULL: there need not be one
 * @ret_second  it, or NULL; NULL: there must be none
 */
enum cli_status dlq_request_words(struct dlq_request *request, const char *missing,
                                  const char **ret_second);

/** How its queue is to be gone through. */
struct dlq_scan_options dlq_request_scan(const struct dlq_request *request);

extern const struct command command_dlq_list;
extern const struct command command_dlq_show;
extern const struct command command_dlq_dump;
extern const struct command command_dlq_replay;
extern const struct command command_dlq_edit_and_replay;
extern const struct command command_dlq_discard;

/* ---- dlq_look.c: look at the messages that a filter lets through, and leave all of them in their
 * places; and what is said of having gone through a queue, whoever did it ---- */

/**
 * A message that matches; @number counts them from 1. @return false: look at no more, for it failed
 * and the error was printed.
 */
typedef bool dlq_look_fn(void *user, const struct dlq_letter *letter, uint64_t number);

/**
 * Do it, and print errors and warnings.
 *
 * @each         NULL: messages are counted only, and without a filter those that cannot be read,
 * too
 * @ret_matched  how many matched; that none did is printed
 * @return       CLI_OK; CLI_FAILED, also after a signal, where a message is asked for by its id and
 *               is not there, where others kept all messages to themselves, and where some could
 *               not be read
 */
enum cli_status dlq_look(const struct dlq_request *request, dlq_look_fn *each, void *user,
                         uint64_t *ret_matched);

/** Print why the queue could not be gone through. @return CLI_FAILED, or CLI_USAGE */
enum cli_status dlq_failed(const struct dlq_request *request, const struct warren_error *error);

/**
 * The queue was gone through: say on stderr what calls for it.
 *
 * That is a signal; messages that were not looked at, or could not be read, unless as many as are
 * asked for @matched; a changed order; messages that were given back often enough that the broker
 * may soon drop them; that none matched, and which reason may have been meant.
 *
 * @all     messages that were not looked at are a failure
 * @return  CLI_OK, also where none matched, for that is what a command that runs every night
 *          finds; CLI_FAILED, also where one message was meant, by its id, and is not there, and
 *          where others kept all messages to themselves
 */
enum cli_status dlq_conclude(const struct dlq_request *request,
                             const struct dlq_scan_result *result, uint64_t matched, bool all);

#endif
