#include "command/dlq/command_dlq.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/settings.h"

void dlq_request_init(struct dlq_request *r, struct cli *cli)
{
    *r = (struct dlq_request){.cli = cli, .limit = DLQ_LIMIT_DEFAULT};
}

void dlq_request_done(struct dlq_request *r)
{
    config_free(r->config);
    r->config = NULL;
}

/* ---- options ---- */

static bool take_header(struct dlq_request *r)
{
    struct dlq_filter *filter = &r->filter;
    const char *text = cli_text(r->cli);
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);

    if (len == 0 || len > 255 || filter->header_count == DLQ_HEADERS_MAX) {
        r->cli->status = cli_usage(r->cli,
                                   "--header %s: it is NAME or NAME=VALUE, a name has 1 to "
                                   "255 bytes, and there are at most %d",
                                   text, DLQ_HEADERS_MAX);
        return false;
    }
    filter->headers[filter->header_count].name = arena_text(&r->cli->arena, text, len);
    filter->headers[filter->header_count++].value = equals ? equals + 1 : NULL;
    return true;
}

static bool take_time(struct dlq_request *r, const char *option, int64_t *ret_s)
{
    const char *text = cli_text(r->cli);

    if (dlq_time_parse(text, (int64_t)time(NULL), ret_s))
        return true;
    r->cli->status = cli_usage(r->cli,
                               "--%s: \"%s\" is no time such as 2h, 2024-05-01, "
                               "2024-05-01T12:30Z or @1714566600",
                               option, text);
    return false;
}

static bool take_number(struct dlq_request *r, const char *option, int64_t max, uint64_t *ret)
{
    int64_t number = 0;

    if (!cli_number(r->cli, option, 1, max, &number))
        return false;
    *ret = (uint64_t)number;
    return true;
}

/* What a script gives by a variable that is not set must not choose other messages. */
static bool take_word(struct dlq_request *r, const char *option, const char **ret)
{
    const char *text = cli_text(r->cli);

    if (*text) {
        *ret = text;
        return true;
    }
    r->cli->status = cli_usage(r->cli, "--%s: it is empty", option);
    return false;
}

static bool take_id(struct dlq_request *r, bool none)
{
    if (r->filter.id && none != !*r->filter.id) {
        r->cli->status = cli_usage(r->cli, "--id or --no-id, not both");
        return false;
    }
    if (!none)
        return take_word(r, "id", &r->filter.id);
    r->filter.id = "";
    return true;
}

static bool take_filter(struct dlq_request *r, int option)
{
    struct dlq_filter *filter = &r->filter;

    switch (option) {
    case DLQ_ID:
    case DLQ_NO_ID:
        return take_id(r, option == DLQ_NO_ID);
    case DLQ_REASON:
        return take_word(r, "reason", &filter->reason);
    case DLQ_HANDLER:
        return take_word(r, "handler", &filter->handler);
    case DLQ_GROUP:
        return take_word(r, "group", &filter->group);
    case DLQ_HEADER:
        return take_header(r);
    case DLQ_SINCE:
        return take_time(r, "since", &filter->since_s);
    default: /* DLQ_UNTIL */
        return take_time(r, "until", &filter->until_s);
    }
}

bool dlq_request_take(struct dlq_request *r, int option)
{
    uint64_t number = 0;

    switch (option) {
    case DLQ_URI:
        return cli_list_add(r->cli, &r->uris, cli_text(r->cli));
    case DLQ_CONFIG:
        r->config_file = cli_text(r->cli);
        return true;
    case DLQ_SET:
        return cli_list_add(r->cli, &r->sets, cli_text(r->cli));
    case DLQ_JSON:
        r->json = true;
        return true;
    case DLQ_FORCE:
        r->force = true;
        return true;
    case DLQ_LIMIT:
        if (!take_number(r, "limit", DLQ_LEAVE_MAX, &number))
            return false;
        r->limit = (uint32_t)number;
        r->limit_is_given = true;
        return true;
    case DLQ_MAX:
        return take_number(r, "max", INT64_MAX, &r->max);
    default:
        return take_filter(r, option);
    }
}

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
    for (size_t i = 0; i < config->subscription_count; i++) {
        const char *queue = config->subscriptions[i].queue;
        bool known = false;

        for (size_t j = 0; j < r->source_count; j++)
            known = known || strcmp(r->sources[j], queue) == 0;
        if (!known)
            r->sources[r->source_count++] = queue;
    }
    return true;
}

enum cli_status dlq_request_load(struct dlq_request *r)
{
    struct warren_error error = {WARREN_OK, ""};

    if (config_load(r->config_file, environ, r->sets.items, r->sets.count, &r->config, &error) !=
        WARREN_OK)
        return cli_error(r->cli, &error);
    if (r->uris.count > 0) {
        r->config->broker.uri = r->uris.items;
        r->config->broker.uri_count = r->uris.count;
    } else if (settings_check(r->config, &error) != WARREN_OK) {
        return cli_error(r->cli, &error);
    }
    if (!r->config->dead_letter.queue || strcmp(r->config->dead_letter.queue, DLQ_PLACEHOLDER) == 0)
        return cli_usage(r->cli, "dead_letter.queue is %s, which names no dead-letter queue",
                         r->config->dead_letter.queue ? DLQ_PLACEHOLDER : "empty");
    set_log(r->config);
    return list_sources(r) ? CLI_OK : cli_failed(r->cli, "no memory");
}

/* ---- queues ---- */

static bool is_source(const struct dlq_request *r, const char *queue)
{
    for (size_t i = 0; i < r->source_count; i++)
        if (strcmp(r->sources[i], queue) == 0)
            return true;
    return false;
}

static enum cli_status no_dead_letter_queue(const struct dlq_request *r, const char *word)
{
    if (!*word || strlen(word) >= DLQ_NAME_SIZE)
        return cli_usage(r->cli, "\"%s\" is no queue: a name has 1 to 255 bytes", word);
    return cli_usage(r->cli,
                     "\"%s\" has no dead-letter queue: by dead_letter.queue, which is \"%s\", its "
                     "name would have more than 255 bytes",
                     word, r->config->dead_letter.queue);
}

enum cli_status dlq_request_resolve(struct dlq_request *r, const char *word,
                                    struct dlq_queue *queue)
{
    const struct config *config = r->config;

    if (!dlq_resolve(config->dead_letter.queue, r->sources, r->source_count, word, queue))
        return no_dead_letter_queue(r, word);
    if (queue->only_source)
        r->filter.source = queue->source;
    queue->may_drop = !config->dead_letter.enabled || !is_source(r, queue->source);
    queue->mind_limit = queue->may_drop && !r->force;
    return CLI_OK;
}

enum cli_status dlq_request_words(struct dlq_request *r, struct dlq_queue *queue,
                                  const char *missing, const char **ret_second)
{
    const char *word = cli_argument(r->cli);
    const char *second = word ? cli_argument(r->cli) : NULL;
    const char *extra = second ? cli_argument(r->cli) : NULL;

    if (!word)
        return cli_usage(r->cli, "which queue? Give a queue, or its dead-letter queue");
    if (!second && missing)
        return cli_usage(r->cli, "%s", missing);
    if (second && !ret_second)
        return cli_usage(r->cli, "unexpected \"%s\"", second);
    if (extra)
        return cli_usage(r->cli, "unexpected \"%s\"", extra);
    if (ret_second)
        *ret_second = second;
    return dlq_request_resolve(r, word, queue);
}

void dlq_write_broker_help(FILE *out)
{
    fputs("QUEUE is a queue or its dead-letter queue: \"payments\" and \"payments.dlq\" are the "
          "same,\nunless dead_letter.queue of the configuration says otherwise.\n"
          "Where no --uri and no -c is given, WARREN_BROKER_URI names the broker, else it is\n"
          "amqp://guest:guest@127.0.0.1:5672/.\n",
          out);
}
