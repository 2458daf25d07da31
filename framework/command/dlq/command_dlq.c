#include "command/dlq/command_dlq.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/settings.h"

/* ---- which dead-letter queue belongs to which queue ---- */

static bool copy(char to[DLQ_NAME_SIZE], const char *from)
{
    return (size_t)snprintf(to, DLQ_NAME_SIZE, "%s", from) < DLQ_NAME_SIZE;
}

/* The dead-letter queue of @queue; false: its name would exceed 255 bytes. */
static bool name_of(const char *pattern, const char *queue, char name[DLQ_NAME_SIZE])
{
    size_t word = strlen(DLQ_PLACEHOLDER);
    size_t len = 0;

    while (*pattern) {
        bool here = strncmp(pattern, DLQ_PLACEHOLDER, word) == 0;
        size_t more = here ? strlen(queue) : 1;

        if (len + more >= DLQ_NAME_SIZE)
            return false;
        memcpy(name + len, here ? queue : pattern, more);
        len += more;
        pattern += here ? word : 1;
    }
    name[len] = '\0';
    return len > 0;
}

static size_t placeholders(const char *pattern)
{
    size_t count = 0;

    while ((pattern = strstr(pattern, DLQ_PLACEHOLDER))) {
        pattern += strlen(DLQ_PLACEHOLDER);
        count++;
    }
    return count;
}

/* The queue's name is as long as what the fixed part of the pattern leaves. */
static bool source_of(const char *pattern, const char *name, char source[DLQ_NAME_SIZE])
{
    size_t count = placeholders(pattern);
    size_t fixed = strlen(pattern) - count * strlen(DLQ_PLACEHOLDER);
    size_t len = strlen(name);
    char again[DLQ_NAME_SIZE];

    if (count == 0 || len <= fixed || len >= DLQ_NAME_SIZE || (len - fixed) % count != 0)
        return false;
    len = (len - fixed) / count;
    memcpy(source, name + (strstr(pattern, DLQ_PLACEHOLDER) - pattern), len);
    source[len] = '\0';
    return name_of(pattern, source, again) && strcmp(again, name) == 0;
}

/* Whether @word is one of @sources. */
static bool dlq_is_source(const char *const *sources, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(sources[i], word) == 0)
            return true;
    return false;
}

bool dlq_resolve(const char *pattern, const char *const *sources, size_t source_count,
                 const char *word, struct dlq_queue *queue)
{
    bool shared = !strstr(pattern, DLQ_PLACEHOLDER);

    memset(queue, 0, sizeof *queue);
    if (!*word)
        return false;
    if (shared && strcmp(word, pattern) == 0)
        return copy(queue->name, word);
    if (source_of(pattern, word, queue->source)) {
        queue->source_is_certain = dlq_is_source(sources, source_count, queue->source);
        if (queue->source_is_certain || !dlq_is_source(sources, source_count, word))
            return copy(queue->name, word);
    }
    queue->only_source = shared;
    queue->source_is_certain = true;
    return copy(queue->source, word) && name_of(pattern, word, queue->name);
}

/* ---- options ---- */

static bool take_header(struct cli *cli, const struct cli_option *option, void *value)
{
    struct dlq_filter *filter = value;
    const char *text = cli_text(cli);
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);

    (void)option;
    if (len == 0 || len > 255 || filter->header_count == DLQ_HEADERS_MAX)
        return cli_stop(cli,
                        "--header %s: it is NAME or NAME=VALUE, a name has 1 to 255 bytes, and "
                        "there are at most %d",
                        text, DLQ_HEADERS_MAX);
    filter->headers[filter->header_count].name = arena_text(&cli->arena, text, len);
    filter->headers[filter->header_count++].value = equals ? equals + 1 : NULL;
    return true;
}

static bool take_time(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);

    return dlq_time_parse(text, (int64_t)time(NULL), value) ||
           cli_stop(cli,
                    "--%s: \"%s\" is no time such as 2h, 2024-05-01, 2024-05-01T12:30Z or "
                    "@1714566600",
                    option->name, text);
}

/* What a script gives by a variable that is not set must not choose other messages. */
static bool take_word(struct cli *cli, const struct cli_option *option, void *value)
{
    const char *text = cli_text(cli);

    *(const char **)value = text;
    return *text || cli_stop(cli, "--%s: it is empty", option->name);
}

/* --id, and --no-id, which has no argument. */
static bool take_id(struct cli *cli, const struct cli_option *option, void *value)
{
    const char **id = value;
    bool none = !option->argument;

    if (*id && none != !**id)
        return cli_stop(cli, "--id or --no-id, not both");
    *id = "";
    return none || take_word(cli, option, value);
}

#define FILTER(name, letter, help, argument, take, member)                                         \
    CLI_OPTION(name, letter, help, argument, take, struct dlq_request, filter.member)

#define OR(reason) #reason "|"

const struct cli_option dlq_filter_rows[] = {
    FILTER("id", 'i', "Only the message with this id", "ID", take_id, id),
    FILTER("no-id", '\0', "Only messages that have no id", NULL, take_id, id),
    {CLI_ROW("reason", 'r', "Only those with this reason, such as attempts", "REASON", take_word,
             offsetof(struct dlq_request, filter.reason)),
     .choices = DLQ_REASONS(OR)},
    FILTER("handler", 'H', "Only those that failed in this handler", "PLUGIN.HANDLER", take_word,
           handler),
    FILTER("group", 'g', "Only those of this group, as dlq list names it", "GROUP", take_word,
           group),
    CLI_OPTION("header", '\0', "Only those with this header; may be repeated", "NAME[=VALUE]",
               take_header, struct dlq_request, filter),
    FILTER("since", '\0', "Only those that died then or later, such as 2h or 2024-05-01T12:00Z",
           "TIME", take_time, since_s),
    FILTER("until", '\0', "Only those that died before", "TIME", take_time, until_s),
    CLI_NUMBER("max", 'n', "At most N messages", "N", 1, INT64_MAX, struct dlq_request, max),
    CLI_END};

const struct cli_option dlq_broker_rows[] = {
    BROKER_CONFIG("The worker's configuration: broker, queues, names"),
    BROKER_URI,
    BROKER_SET,
    CLI_NUMBER("limit", 'l', "At most N messages are held and given back (1000)", "N", 1,
               DLQ_LEAVE_MAX, struct dlq_request, limit),
    CLI_FLAG("force", '\0', "Look although each look counts against the queue's delivery limit",
             struct dlq_request, force),
    CLI_END};

/* ---- the configuration ---- */

/* Below info there would be no audit. */
static void set_log(const struct config *config)
{
    settings_log(config);
    if (!log_enabled(WARREN_LOG_INFO))
        log_set(WARREN_LOG_INFO, strcmp(config->log.format, "json") == 0 ? LOG_JSON : LOG_LOGFMT);
}

static bool list_sources(struct dlq_request *r)
{
    const struct config *config = r->config;

    r->sources = arena_alloc(&r->cli->arena, (config->subscription_count + 1) * sizeof(char *));
    if (!r->sources)
        return false;
    for (size_t i = 0; i < config->subscription_count; i++)
        if (!dlq_is_source(r->sources, r->source_count, config->subscriptions[i].queue))
            r->sources[r->source_count++] = config->subscriptions[i].queue;
    return true;
}

static enum cli_status load(struct dlq_request *r)
{
    enum cli_status status = broker_options_load(&r->broker, r->cli, &r->config);
    const char *pattern;

    if (status != CLI_OK)
        return status;
    pattern = r->config->dead_letter.queue;
    if (!*pattern || strcmp(pattern, DLQ_PLACEHOLDER) == 0)
        return cli_usage(r->cli, "dead_letter.queue is %s, which names no dead-letter queue",
                         *pattern ? DLQ_PLACEHOLDER : "empty");
    set_log(r->config);
    return list_sources(r) ? CLI_OK : cli_failed(r->cli, "no memory");
}

enum cli_status dlq_request_run(struct dlq_request *r, struct cli *cli, const char *set,
                                dlq_request_fn *body)
{
    enum cli_status status;

    r->cli = cli;
    if (!broker_options_read(&r->broker, cli, set))
        return cli->status;
    r->limit_is_given = r->limit > 0;
    if (!r->limit_is_given)
        r->limit = DLQ_LIMIT_DEFAULT;
    status = load(r);
    if (status == CLI_OK)
        status = body(r);
    config_free(r->config);
    return status;
}

/* ---- queues ---- */

static enum cli_status no_dead_letter_queue(const struct dlq_request *r, const char *word)
{
    if (!*word || strlen(word) >= DLQ_NAME_SIZE)
        return cli_usage(r->cli, "\"%s\" is no queue: a name has 1 to 255 bytes", word);
    return cli_usage(r->cli,
                     "\"%s\" has no dead-letter queue: by dead_letter.queue, which is \"%s\", its "
                     "name would have more than 255 bytes",
                     word, r->config->dead_letter.queue);
}

enum cli_status dlq_request_resolve(struct dlq_request *r, const char *word)
{
    const struct config *config = r->config;
    struct dlq_queue *queue = &r->queue;

    if (!dlq_resolve(config->dead_letter.queue, r->sources, r->source_count, word, queue))
        return no_dead_letter_queue(r, word);
    if (queue->only_source)
        r->filter.source = queue->source;
    queue->may_drop =
        !config->dead_letter.enabled || !dlq_is_source(r->sources, r->source_count, queue->source);
    queue->mind_limit = queue->may_drop && !r->force;
    return CLI_OK;
}

enum cli_status dlq_request_words(struct dlq_request *r, const char *missing,
                                  const char **ret_second)
{
    const char *word = cli_argument(r->cli);
    const char *second = word && ret_second ? cli_argument(r->cli) : NULL;

    if (!word)
        return cli_usage(r->cli, "which queue? Give a queue, or its dead-letter queue");
    if (!second && missing)
        return cli_usage(r->cli, "%s", missing);
    if (cli_end(r->cli, "") != CLI_OK)
        return CLI_USAGE;
    if (ret_second)
        *ret_second = second;
    return dlq_request_resolve(r, word);
}

struct dlq_scan_options dlq_request_scan(const struct dlq_request *r)
{
    return (struct dlq_scan_options){
        .queue = r->queue.name, .leave_max = (uint32_t)r->limit, .mind_limit = r->queue.mind_limit};
}
