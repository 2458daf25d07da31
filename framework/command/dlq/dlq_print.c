#include "command/dlq/dlq_print.h"

#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "base/suggest.h"
#include "base/utf8.h"

/* Half of the delivery limit that RabbitMQ 4.0 gives a quorum queue. */
#define HANDED_BACK_MANY 10

static void print_json(json_t *value, size_t flags)
{
    locale_t before;

    if (!value)
        abort(); /* a few hundred bytes were refused */
    before = c_locale_begin();
    json_dumpf(value, stdout, JSON_COMPACT | flags);
    c_locale_end(before);
    putchar('\n');
    json_decref(value);
}

void dlq_print_json(json_t *value)
{
    print_json(value, 0);
}

void dlq_print_summary(json_t *value)
{
    print_json(value, JSON_REAL_PRECISION(DBL_DIG));
}

json_t *dlq_json_bytes(struct warren_bytes bytes)
{
    json_t *value = json_stringn(bytes.data, bytes.len);
    char *copy = value ? NULL : malloc(bytes.len + 1);

    for (size_t i = 0; copy && i < bytes.len; i++) {
        unsigned char c = ((const unsigned char *)bytes.data)[i];

        copy[i] = (char)(c >= 0x80 ? '?' : c);
    }
    if (copy)
        value = json_stringn(copy, bytes.len);
    free(copy);
    return value;
}

json_t *dlq_json_text(const char *text)
{
    return dlq_json_bytes(warren_text(text));
}

void dlq_time_text(int64_t seconds, char text[DLQ_TIME_SIZE])
{
    time_t at = (time_t)seconds;
    struct tm tm;

    if (seconds <= 0 || !gmtime_r(&at, &tm) ||
        strftime(text, DLQ_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        memcpy(text, "-", 2);
}

json_t *dlq_json_time(int64_t seconds)
{
    char text[DLQ_TIME_SIZE];

    dlq_time_text(seconds, text);
    return *text == '-' ? json_null() : json_string(text);
}

void dlq_age_text(int64_t seconds, char text[DLQ_TIME_SIZE])
{
    if (seconds < 0)
        snprintf(text, DLQ_TIME_SIZE, "-");
    else if (seconds < 60)
        snprintf(text, DLQ_TIME_SIZE, "%" PRId64 "s", seconds);
    else if (seconds < 3600)
        snprintf(text, DLQ_TIME_SIZE, "%" PRId64 "m %" PRId64 "s", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        snprintf(text, DLQ_TIME_SIZE, "%" PRId64 "h %" PRId64 "m", seconds / 3600,
                 seconds / 60 % 60);
    else
        snprintf(text, DLQ_TIME_SIZE, "%" PRId64 "d %" PRId64 "h", seconds / 86400,
                 seconds / 3600 % 24);
}

/* @return how many columns it takes */
static int write_character(FILE *out, const char *text, size_t size)
{
    if (size > 0)
        return fwrite(text, 1, size, out) == size;
    fputs(*text ? "?" : "\\0", out);
    return *text ? 1 : 2;
}

/* A control character of two bytes is one question mark. */
static size_t step(const char *text, size_t size, size_t left)
{
    if (size == 0)
        return (unsigned char)*text == 0xc2 && left > 1 && (text[1] & 0xc0) == 0x80 ? 2 : 1;
    return size;
}

static int write_safe(FILE *out, const char *text, size_t len)
{
    int columns = 0;

    for (size_t i = 0; i < len;) {
        size_t size = utf8_plain_len(text + i, len - i);

        columns += write_character(out, text + i, size);
        i += step(text + i, size, len - i);
    }
    return columns;
}

void dlq_write_safe(FILE *out, const char *text, size_t len)
{
    write_safe(out, text, len);
}

void dlq_write_cell(const char *text, size_t len, int width)
{
    width -= write_safe(stdout, text, len);
    printf("%*s", width > 0 ? width + 2 : 2, "");
}

void dlq_safe_id(struct warren_bytes id, char text[DLQ_SAFE_ID_SIZE])
{
    FILE *out = fmemopen(text, DLQ_SAFE_ID_SIZE, "w");

    snprintf(text, DLQ_SAFE_ID_SIZE, "without id");
    if (out && id.len > 0)
        dlq_write_safe(out, id.data, id.len);
    if (out)
        fclose(out); /* ends it with a NUL */
}

enum cli_status dlq_failed(const struct cli *cli, const struct dlq_queue *queue,
                           const struct warren_error *error)
{
    if (error->status == WARREN_ENOTFOUND && strstr(error->text, "does not exist"))
        return cli_failed(cli, "%s", error->text);
    if (error->status == WARREN_ENOTFOUND && queue->source_is_certain)
        return cli_failed(cli,
                          "queue '%s' does not exist: '%s' has no dead-letter queue of that "
                          "name",
                          queue->name, queue->source);
    if (error->status == WARREN_ENOTFOUND)
        return cli_failed(cli, "queue '%s' does not exist", queue->name);
    return cli_error(cli, error);
}

bool dlq_warn_of_rest(const struct cli *cli, const struct dlq_queue *queue,
                      const struct dlq_scan_result *result)
{
    bool rest = result->looked_at < result->depth && !result->interrupted;

    if (rest)
        fprintf(stderr, "warren %s: looked at %" PRIu32 " of %" PRIu32 " messages of '%s'%s\n",
                cli->command->name, result->looked_at, result->depth, queue->name,
                result->limited         ? "; see --limit"
                : result->consumers > 0 ? "; others consume it"
                                        : "");
    return rest;
}

void dlq_warn_of_order(const struct cli *cli, const struct dlq_queue *queue,
                       const struct dlq_scan_result *result)
{
    if (result->moved)
        fprintf(
            stderr,
            "warren %s: what was looked at in '%s' stands now behind what was looked at "
            "earlier: a quorum queue keeps its order only if --limit reaches over all of that\n",
            cli->command->name, queue->name);
}

bool dlq_warn_of_unreadable(const struct cli *cli, const struct dlq_queue *queue,
                            const struct dlq_scan_result *result)
{
    if (result->unreadable > 0 && !result->interrupted)
        cli_failed(cli,
                   "%" PRIu32 " of '%s' could not be read: headers that are nested deeper than 16, "
                   "or larger than a frame and 128 KiB; only discard without a filter takes such "
                   "a message off its queue",
                   result->unreadable, queue->name);
    return result->unreadable > 0;
}

void dlq_warn_of_count(const struct cli *cli, const struct dlq_queue *queue,
                       const struct dlq_scan_result *result)
{
    if (result->handed_back < HANDED_BACK_MANY || !result->drops_handed_back || !queue->may_drop)
        return;
    fprintf(stderr,
            "warren %s: messages of '%s' were given back up to %" PRId64 " times; a quorum queue "
            "drops them at its delivery limit, which is 20 if it is not set "
            "(x-delivery-limit)\n",
            cli->command->name, queue->name, result->handed_back);
}

/* A worker's, the broker's, and what `dlq list` says where there is none. There may be others: each
 * who puts messages into the queue may give it a reason of his own. */
static const char *near_reason(const char *reason)
{
    static const char *const reasons[] = {"rejected", "attempts",       "age",
                                          "breaker",  "crash",          "expired",
                                          "maxlen",   "delivery_limit", "unknown"};
    const char *near = reason ? suggest(reason, reasons, sizeof reasons / sizeof *reasons) : NULL;

    return near && strcmp(near, reason) != 0 ? near : NULL;
}

enum cli_status dlq_nothing_matched(const struct cli *cli, const struct dlq_queue *queue,
                                    const struct dlq_filter *filter,
                                    const struct dlq_scan_result *result, bool quiet)
{
    const char *near = near_reason(filter->reason);
    uint32_t seen = result->looked_at - result->unreadable;

    if (filter->id && *filter->id)
        return cli_failed(cli, "there is no message %s in '%s'", filter->id, queue->name);
    if (quiet || (seen == 0 && result->depth > 0))
        return CLI_OK;
    fprintf(stderr, "warren %s: ", cli->command->name);
    if (result->depth == 0)
        fprintf(stderr, "'%s' is empty\n", queue->name);
    else if (near)
        fprintf(stderr,
                "none of %" PRIu32 " messages of '%s' matches: did you mean --reason %s, not %s?\n",
                seen, queue->name, near, filter->reason);
    else
        fprintf(stderr, "none of %" PRIu32 " messages of '%s' matches\n", seen, queue->name);
    return CLI_OK;
}
