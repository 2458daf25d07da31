#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/ascii.h"
#include "base/field_type.h"
#include "base/suggest.h"
#include "command/cli/cli.h"
#include "command/dlq/command_dlq.h"
#include "config/value.h"

/* ---- which are meant ---- */

bool dlq_text_is(const char *wanted, struct warren_bytes found)
{
    const char *bytes = found.data;

    for (size_t i = 0; i < found.len; i++) {
        if (bytes[i] && bytes[i] != *wanted)
            return false;
        if (!bytes[i] && (*wanted != '\\' || *++wanted != '0'))
            return false;
        wanted++;
    }
    return !*wanted;
}

static bool has_header(const struct dlq_letter *letter, const char *name, const char *wanted)
{
    const struct warren_table *headers = &letter->message.properties.headers;
    const struct warren_value *value = NULL;
    char text[FIELD_TEXT_SIZE] = "";

    for (size_t i = 0; i < headers->count && !value; i++)
        if (dlq_text_is(name, arena_bytes(letter->texts, headers->fields[i].name)))
            value = &headers->fields[i].value;
    if (!value || !wanted)
        return value != NULL;
    return dlq_text_is(wanted, field_text(value, text));
}

static bool is(const char *wanted, const struct dlq_letter *letter, const char *found)
{
    return !wanted || dlq_text_is(wanted, arena_bytes(letter->texts, found));
}

bool dlq_filter_matches(const struct dlq_filter *filter, const struct dlq_letter *letter)
{
    if (!is(filter->source, letter, letter->queue) || !is(filter->id, letter, letter->id) ||
        !is(filter->reason, letter, letter->reason) ||
        !is(filter->handler, letter, letter->handler) || !is(filter->group, letter, letter->group))
        return false;
    if ((filter->since_s || filter->until_s) && letter->died_s == 0)
        return false;
    if ((filter->since_s && letter->died_s < filter->since_s) ||
        (filter->until_s && letter->died_s >= filter->until_s))
        return false;
    for (size_t i = 0; i < filter->header_count; i++)
        if (!has_header(letter, filter->headers[i].name, filter->headers[i].value))
            return false;
    return true;
}

bool dlq_filter_is_empty(const struct dlq_filter *filter)
{
    return !filter->source && !filter->id && !filter->reason && !filter->handler &&
           !filter->group && !filter->since_s && !filter->until_s && filter->header_count == 0;
}

/* ---- times ---- */

static bool parse_ago(const char *text, int64_t now_s, int64_t *ret_s)
{
    int64_t ms;

    if (!text[0] || !text[1] || !config_duration_parse(text, &ms)) /* 0 alone is no time */
        return false;
    *ret_s = now_s - ms / 1000;
    return *ret_s > 0;
}

static bool parse_date(const char *text, int64_t *ret_s)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S",
                                        "%Y-%m-%d %H:%M", "%Y-%m-%d"};

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &tm);
        bool utc = end && strcmp(end, "Z") == 0;

        if (!end || (*end && !utc))
            continue;
        *ret_s = (int64_t)(utc ? timegm(&tm) : mktime(&tm));
        return *ret_s > 0;
    }
    return false;
}

bool dlq_time_parse(const char *text, int64_t now_s, int64_t *ret_s)
{
    if (*text == '@')
        return ascii_is_digit(text[1]) && cli_parse_number(text + 1, 1, INT64_MAX, ret_s);
    return parse_ago(text, now_s, ret_s) || parse_date(text, ret_s);
}

/* Half of the delivery limit that RabbitMQ 4.0 gives a quorum queue. */
#define HANDED_BACK_MANY 10

/* ---- what is said ---- */

enum cli_status dlq_failed(const struct dlq_request *r, const struct warren_error *error)
{
    const struct dlq_queue *queue = &r->queue;

    if (error->status == WARREN_ENOTFOUND && strstr(error->text, "does not exist"))
        return cli_failed(r->cli, "%s", error->text);
    if (error->status == WARREN_ENOTFOUND && queue->source_is_certain)
        return cli_failed(r->cli,
                          "queue '%s' does not exist: '%s' has no dead-letter queue of that "
                          "name",
                          queue->name, queue->source);
    if (error->status == WARREN_ENOTFOUND)
        return cli_failed(r->cli, "queue '%s' does not exist", queue->name);
    return cli_error(r->cli, error);
}

static bool warn_of_rest(const struct dlq_request *r, const struct dlq_scan_result *result)
{
    bool rest = result->looked_at < result->depth;

    if (rest)
        cli_warn(r->cli, "looked at %" PRIu32 " of %" PRIu32 " messages of '%s'%s",
                 result->looked_at, result->depth, r->queue.name,
                 result->limited         ? "; see --limit"
                 : result->consumers > 0 ? "; others consume it"
                                         : "");
    return rest;
}

static bool warn_of_unreadable(const struct dlq_request *r, const struct dlq_scan_result *result)
{
    if (result->unreadable > 0)
        cli_failed(r->cli,
                   "%" PRIu32 " of '%s' could not be read: headers that are nested deeper than 16, "
                   "or larger than a frame and 128 KiB; only discard without a filter takes such "
                   "a message off its queue",
                   result->unreadable, r->queue.name);
    return result->unreadable > 0;
}

static void warn_of_order(const struct dlq_request *r, const struct dlq_scan_result *result)
{
    if (result->moved)
        cli_warn(r->cli,
                 "what was looked at in '%s' stands now behind what was looked at "
                 "earlier: a quorum queue keeps its order only if --limit reaches over all of that",
                 r->queue.name);
}

static void warn_of_count(const struct dlq_request *r, const struct dlq_scan_result *result)
{
    if (result->handed_back < HANDED_BACK_MANY || !result->drops_handed_back || !r->queue.may_drop)
        return;
    cli_warn(r->cli,
             "messages of '%s' were given back up to %" PRId64 " times; a quorum queue "
             "drops them at its delivery limit, which is 20 if it is not set (x-delivery-limit)",
             r->queue.name, result->handed_back);
}

static const char *near_reason(const char *reason)
{
#define REASON(reason) #reason,
    static const char *const reasons[] = {DLQ_REASONS(REASON)};
    const char *near = reason ? suggest(reason, reasons, sizeof reasons / sizeof *reasons) : NULL;

    return near && strcmp(near, reason) != 0 ? near : NULL;
}

static enum cli_status nothing_matched(const struct dlq_request *r,
                                       const struct dlq_scan_result *result)
{
    const struct dlq_filter *filter = &r->filter;
    const char *near = near_reason(filter->reason);
    uint32_t seen = result->looked_at - result->unreadable;

    if (filter->id && *filter->id)
        return cli_failed(r->cli, "there is no message %s in '%s'", filter->id, r->queue.name);
    if (r->quiet || (seen == 0 && result->depth > 0))
        return CLI_OK;
    if (result->depth == 0)
        cli_warn(r->cli, "'%s' is empty", r->queue.name);
    else if (near)
        cli_warn(r->cli,
                 "none of %" PRIu32 " messages of '%s' matches: did you mean --reason %s, not %s?",
                 seen, r->queue.name, near, filter->reason);
    else
        cli_warn(r->cli, "none of %" PRIu32 " messages of '%s' matches", seen, r->queue.name);
    return CLI_OK;
}

enum cli_status dlq_conclude(const struct dlq_request *r, const struct dlq_scan_result *result,
                             uint64_t matched, bool all)
{
    bool enough = r->max > 0 && matched >= r->max;
    enum cli_status status = CLI_OK;

    if (result->interrupted)
        return cli_failed(r->cli, "interrupted");
    if (!enough && warn_of_rest(r, result) && all)
        status = CLI_FAILED;
    if (!enough && warn_of_unreadable(r, result))
        status = CLI_FAILED;
    warn_of_order(r, result);
    warn_of_count(r, result);
    if (matched == 0 && result->looked_at == 0 && result->depth > 0)
        return CLI_FAILED;
    if (matched == 0 && nothing_matched(r, result) != CLI_OK)
        status = CLI_FAILED;
    return status;
}

/* ---- looking ---- */

struct looking {
    const struct dlq_request *request;
    dlq_look_fn *each;
    void *user;
    bool unreadable; /* what cannot be read matches, too */
    uint64_t matched;
    bool failed;
};

static bool on_letter(void *user, struct dlq_scan *scan, const struct dlq_letter *letter,
                      struct delivery *delivery)
{
    struct looking *l = user;
    uint64_t max = l->request->max;

    (void)delivery;
    if (l->failed || (max > 0 && l->matched == max) ||
        !dlq_filter_matches(&l->request->filter, letter))
        return false;
    l->matched++;
    l->failed = l->each && !l->each(l->user, letter, l->matched);
    if (l->failed || l->matched == max)
        dlq_scan_stop(scan);
    return false;
}

static bool on_unreadable(void *user, struct dlq_scan *scan, struct warren_bytes id,
                          struct delivery *delivery)
{
    struct looking *l = user;

    (void)scan;
    (void)id;
    (void)delivery;
    l->matched += l->unreadable;
    return false;
}

enum cli_status dlq_look(const struct dlq_request *r, dlq_look_fn *each, void *user,
                         uint64_t *ret_matched)
{
    static const struct dlq_scan_events events = {.letter = on_letter, .unreadable = on_unreadable};
    struct dlq_scan_options options = dlq_request_scan(r);
    struct looking looking = {.request = r,
                              .each = each,
                              .user = user,
                              .unreadable = !each && dlq_filter_is_empty(&r->filter)};
    struct dlq_scan_result result = {0};
    struct dlq_session *session = NULL;
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status = dlq_session_new(r->config, "warren dlq", &session, &error);

    if (status == WARREN_OK)
        status = dlq_scan_run(session, &options, &events, &looking, &result, &error);
    dlq_session_free(session);
    *ret_matched = looking.matched;
    if (status != WARREN_OK)
        return dlq_failed(r, &error);
    if (looking.unreadable)
        result.unreadable = 0; /* they are among those that matched */
    if (looking.failed && !result.interrupted)
        return CLI_FAILED;
    return dlq_conclude(r, &result, looking.matched, false);
}
