#include "command/dlq/dlq_filter.h"

#include <stdio.h>
#include <time.h>

#include "base/ascii.h"
#include "base/field_type.h"
#include "command/cli/cli.h"
#include "config/value.h"

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
