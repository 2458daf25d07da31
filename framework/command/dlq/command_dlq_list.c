#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "command/cli/print.h"
#include "command/dlq/command_dlq.h"
#include "command/dlq/dlq_groups.h"

static const struct cli_option options[] = {DLQ_JSON("Print one JSON object"),
                                            CLI_ROWS(dlq_broker_rows), CLI_END};

struct listing {
    struct dlq_request request; /* first */
    struct dlq_session *session;
    struct dlq_groups groups;
    json_t *all; /* with --json */
    bool failed;
};

static bool on_letter(void *user, struct dlq_scan *scan, const struct dlq_letter *letter,
                      struct delivery *delivery)
{
    struct listing *l = user;

    (void)scan;
    (void)delivery;
    if (!l->request.queue.only_source ||
        dlq_text_is(l->request.queue.source, arena_bytes(letter->texts, letter->queue)))
        dlq_groups_add(&l->groups, letter);
    return false;
}

/* ---- text ---- */

static void write_headings(void)
{
    cli_write_cell("QUEUE", strlen("QUEUE"), CLI_NAME_WIDTH);
    printf("%8s  %s\n", "MESSAGES", "OLDEST");
}

/* Two blanks and @text, if there is one. */
static void write_part(struct warren_bytes text)
{
    if (text.len == 0)
        return;
    fputs("  ", stdout);
    cli_write_safe(stdout, text.data, text.len);
}

static void write_group(const struct listing *l, const struct dlq_group *group)
{
    const struct arena *texts = &l->groups.arena;
    bool colour = cli_colour(stdout);

    printf("  %8" PRIu64 "  %s%s%s", group->count, colour ? "\033[1m" : "", group->name,
           colour ? "\033[0m" : "");
    write_part(arena_bytes(texts, group->reason));
    write_part(arena_bytes(texts, group->handler));
    write_part(arena_bytes(texts, group->signal));
    write_part(warren_text(group->error));
    putchar('\n');
}

static void write_queue(const struct listing *l, const struct dlq_scan_result *result)
{
    char age[CLI_TIME_SIZE] = "-";

    if (l->groups.oldest_s > 0)
        cli_age_text((int64_t)time(NULL) - l->groups.oldest_s, age);
    cli_write_cell(l->request.queue.name, strlen(l->request.queue.name), CLI_NAME_WIDTH);
    printf("%8" PRIu32 "  %s\n", result->depth, age);
    for (size_t i = 0; i < l->groups.count; i++)
        write_group(l, l->groups.items[i]);
    if (l->groups.others > 0)
        printf("  %8" PRIu64 "  of further groups\n", l->groups.others);
    if (result->unreadable > 0)
        printf("  %8" PRIu32 "  that cannot be read\n", result->unreadable);
}

/* ---- JSON ---- */

static json_t *group_json(const struct listing *l, const struct dlq_group *group)
{
    const struct arena *texts = &l->groups.arena;

    return json_pack(
        "{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "group", group->name, "count",
        (json_int_t)group->count, "reason", cli_json_bytes(arena_bytes(texts, group->reason)),
        "handler", cli_json_bytes(arena_bytes(texts, group->handler)), "signal",
        cli_json_bytes(arena_bytes(texts, group->signal)), "error", cli_json_text(group->error),
        "oldest", cli_json_time(group->oldest_s), "newest", cli_json_time(group->newest_s),
        "example", cli_json_bytes(arena_bytes(texts, group->example)));
}

static void add_json(struct listing *l, const struct dlq_scan_result *result)
{
    json_t *groups = json_array();

    for (size_t i = 0; i < l->groups.count; i++)
        json_array_append_new(groups, group_json(l, l->groups.items[i]));
    json_array_append_new(
        l->all,
        json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "queue",
                  cli_json_text(l->request.queue.name), "source",
                  *l->request.queue.source ? cli_json_text(l->request.queue.source) : json_null(),
                  "depth", (json_int_t)result->depth, "looked_at", (json_int_t)result->looked_at,
                  "unreadable", (json_int_t)result->unreadable, "oldest",
                  cli_json_time(l->groups.oldest_s), "groups", groups));
}

/* ---- queues ---- */

/* False: the broker is gone, or somebody is impatient. */
static bool list_queue(struct listing *l)
{
    static const struct dlq_scan_events events = {.letter = on_letter};
    struct dlq_scan_options scan_options = dlq_request_scan(&l->request);
    struct dlq_scan_result result;
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status;

    dlq_groups_init(&l->groups);
    status = dlq_scan_run(l->session, &scan_options, &events, l, &result, &error);
    if (status != WARREN_OK) {
        l->failed = true;
        dlq_failed(&l->request, &error);
    } else if (!result.interrupted) {
        dlq_groups_sort(&l->groups);
        if (l->all)
            add_json(l, &result);
        else
            write_queue(l, &result);
        /* That there is no message is shown above. */
        l->failed = dlq_conclude(&l->request, &result, UINT64_MAX, false) != CLI_OK || l->failed;
    }
    dlq_groups_done(&l->groups);
    return !dlq_session_interrupted(l->session) &&
           (status == WARREN_OK || status == WARREN_ENOTFOUND || status == WARREN_EBROKER);
}

static enum cli_status list_words(struct listing *l, const char *const *words, size_t count)
{
    struct warren_error error = {WARREN_OK, ""};
    enum cli_status status = CLI_OK;

    for (size_t i = 0; i < count && status == CLI_OK; i++)
        status = dlq_request_resolve(&l->request, words[i]);
    if (status != CLI_OK)
        return status;
    if (dlq_session_new(l->request.config, "warren dlq", &l->session, &error) != WARREN_OK)
        return cli_error(l->request.cli, &error);
    if (l->request.json)
        l->all = json_array();
    else
        write_headings();
    for (size_t i = 0; i < count; i++) {
        dlq_request_resolve(&l->request, words[i]);
        if (!list_queue(l))
            break;
    }
    if (l->all)
        cli_print_json(json_pack("{s:o}", "queues", l->all));
    if (dlq_session_interrupted(l->session))
        status = cli_failed(l->request.cli, "interrupted");
    dlq_session_free(l->session);
    return status == CLI_OK && l->failed ? CLI_FAILED : status;
}

static enum cli_status list_all(struct dlq_request *r)
{
    struct listing *l = (struct listing *)r;
    struct cli_list words = {NULL, 0};
    const char *word;

    while ((word = cli_argument(r->cli)))
        if (!cli_list_add(r->cli, &words, word))
            return r->cli->status;
    if (words.count > 0)
        return list_words(l, words.items, words.count);
    if (r->source_count == 0)
        return cli_usage(r->cli, "which queues? Give some, or -c FILE, whose subscriptions are "
                                 "taken");
    word = r->config->dead_letter.queue;
    if (!strstr(word, DLQ_PLACEHOLDER)) /* one for all */
        return list_words(l, &word, 1);
    return list_words(l, r->sources, r->source_count);
}

static enum cli_status run(struct cli *cli)
{
    struct listing listing = {.all = NULL};

    return dlq_request_run(&listing.request, cli, NULL, list_all);
}

const struct command command_dlq_list = {
    .name = "dlq list",
    .arguments = "[OPTION...] [QUEUE...]",
    .summary = "List dead-letter queues, their messages grouped by cause",
    .options = options,
    .run = run,
    .details = DLQ_HELP
    "\n"
    "Each queue is shown with its depth and the age of its oldest message, then its messages\n"
    "grouped by their cause: how many, the group's name (by which the others choose), reason,\n"
    "handler, signal and error, in which numbers are \"#\". Nothing is consumed.\n\n"
    "Examples:\n"
    "  warren dlq list -c worker.yaml\n"
    "  warren dlq list payments refunds --json\n",
};
