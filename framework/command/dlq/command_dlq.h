/* command_dlq.h - what the commands of `warren dlq` take in the same way: the broker, the queues,
 * the filters.
 * Thread: main. Elsewhere: each of them (command_dlq_list.c, ...); those that change something
 * (command_dlq_change.h).
 */
#ifndef WARREN_COMMAND_COMMAND_DLQ_H
#define WARREN_COMMAND_COMMAND_DLQ_H

#include "command/cli/cli.h"
#include "command/dlq/dlq_filter.h"
#include "command/dlq/dlq_names.h"
#include "command/dlq/dlq_scan.h"
#include "config/config.h"

/** Values of the options that all or several of the commands have; their own begin behind. */
enum dlq_option {
    DLQ_URI = 1,
    DLQ_CONFIG,
    DLQ_SET,
    DLQ_JSON,
    DLQ_LIMIT,
    DLQ_ID,
    DLQ_NO_ID,
    DLQ_REASON,
    DLQ_HANDLER,
    DLQ_GROUP,
    DLQ_HEADER,
    DLQ_SINCE,
    DLQ_UNTIL,
    DLQ_MAX,
    DLQ_FORCE,
    DLQ_OWN /* the first one of a command's own */
};

/** Rows of an option table. */
#define DLQ_TEXT(name, letter, value, help, argument)                                              \
    {                                                                                              \
        name, letter, POPT_ARG_STRING, NULL, value, help, argument                                 \
    }
#define DLQ_FLAG(name, letter, value, help)                                                        \
    {                                                                                              \
        name, letter, POPT_ARG_NONE, NULL, value, help, NULL                                       \
    }
#define DLQ_BROKER_ROWS                                                                            \
    DLQ_TEXT("config", 'c', DLQ_CONFIG, "The worker's configuration: broker, queues, names",       \
             "FILE"),                                                                              \
        DLQ_TEXT("uri", 'u', DLQ_URI, "The broker; may be repeated, then tried in rotation",       \
                 "URI"),                                                                           \
        DLQ_TEXT("set", 's', DLQ_SET, "Set an option, as in the file; may be repeated",            \
                 "KEY=VALUE"),                                                                     \
        DLQ_TEXT("limit", 'l', DLQ_LIMIT,                                                          \
                 "At most so many messages are held and given back (1000)", "N"),                  \
        DLQ_FLAG("force", '\0', DLQ_FORCE,                                                         \
                 "Look although each look counts against the queue's delivery limit")
#define DLQ_FILTER_ROWS                                                                            \
    DLQ_TEXT("id", 'i', DLQ_ID, "Only the message with this id", "ID"),                            \
        DLQ_FLAG("no-id", '\0', DLQ_NO_ID, "Only messages that have no id"),                       \
        DLQ_TEXT("reason", 'r', DLQ_REASON, "Only those with this reason, such as attempts",       \
                 "REASON"),                                                                        \
        DLQ_TEXT("handler", 'H', DLQ_HANDLER, "Only those that failed in this handler",            \
                 "PLUGIN.HANDLER"),                                                                \
        DLQ_TEXT("group", 'g', DLQ_GROUP, "Only those of this group, as dlq list names it",        \
                 "GROUP"),                                                                         \
        DLQ_TEXT("header", '\0', DLQ_HEADER, "Only those with this header; may be repeated",       \
                 "NAME[=VALUE]"),                                                                  \
        DLQ_TEXT("since", '\0', DLQ_SINCE,                                                         \
                 "Only those that died then or later, such as 2h or "                              \
                 "2024-05-01T12:00Z",                                                              \
                 "TIME"),                                                                          \
        DLQ_TEXT("until", '\0', DLQ_UNTIL, "Only those that died before", "TIME")

#define DLQ_LIMIT_DEFAULT 1000

struct dlq_request {
    struct cli *cli;
    const char *config_file;
    struct cli_list sets;
    struct cli_list uris;
    struct dlq_filter filter;
    uint64_t max; /* 0: not given */
    uint32_t limit;
    bool limit_is_given;
    bool json;
    bool force;
    struct config *config; /* after dlq_request_load() */
    const char **sources;  /* its subscriptions' queues, each once */
    size_t source_count;
};

void dlq_request_init(struct dlq_request *request, struct cli *cli);
void dlq_request_done(struct dlq_request *request);

/** Take one of the options above. @return false: cli->status, the error was printed */
bool dlq_request_take(struct dlq_request *request, int option);

/** Load the configuration; the log is set so that audit lines are written. */
enum cli_status dlq_request_load(struct dlq_request *request);

/** What @word means; a filter is added if the queue holds dead letters of others, too: @queue must
 *  then live as long as @request. */
enum cli_status dlq_request_resolve(struct dlq_request *request, const char *word,
                                    struct dlq_queue *queue);
/**
 * The arguments: a queue, and perhaps a second word, after dlq_request_load().
 *
 * @missing     what to say if there is no second word; NULL: there need not be one
 * @ret_second  it, or NULL; NULL: there must be none
 */
enum cli_status dlq_request_words(struct dlq_request *request, struct dlq_queue *queue,
                                  const char *missing, const char **ret_second);

/** "Where no --uri ...", for --help. */
void dlq_write_broker_help(FILE *out);

extern const struct command command_dlq_list;
extern const struct command command_dlq_show;
extern const struct command command_dlq_dump;

#endif
