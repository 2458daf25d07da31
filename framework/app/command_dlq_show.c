#include <string.h>

#include "app/command_dlq.h"
#include "app/dlq_print.h"
#include "app/dlq_show.h"

/* Of a body on a terminal or in a pipe, unless all of it is asked for. */
#define BODY_BYTES ((size_t)2048)

enum option { WHOLE = DLQ_OWN };

static const struct poptOption options[] = {
    DLQ_FILTER_ROWS,
    DLQ_TEXT("max", 'n', DLQ_MAX, "At most so many messages", "N"),
    DLQ_FLAG("whole", 'w', WHOLE, "Whole bodies, not only their first 2048 bytes"),
    DLQ_FLAG("json", 'j', DLQ_JSON, "Print one JSON object a line for each message"),
    DLQ_BROKER_ROWS,
    POPT_TABLEEND};

struct show {
    struct dlq_request request;
    struct dlq_queue queue;
    struct dlq_scan *scan;
    size_t body_max;
    uint64_t shown;
    bool failed;
};

static bool on_begin(void *user, struct dlq_scan *scan, uint32_t depth)
{
    struct show *show = user;

    (void)depth;
    show->scan = scan;
    return true;
}

static bool on_letter(void *user, const struct dlq_letter *letter, struct delivery *delivery)
{
    struct show *show = user;

    (void)delivery;
    if ((show->request.max > 0 && show->shown == show->request.max) ||
        !dlq_filter_matches(&show->request.filter, letter))
        return false;
    show->shown++;
    if (!show->request.json)
        dlq_show_text(letter, show->shown, show->body_max);
    else if (!dlq_show_json(letter))
        show->failed = true;
    if (show->shown == show->request.max)
        dlq_scan_stop(show->scan);
    return false;
}

static enum cli_status show_all(struct show *show)
{
    static const struct dlq_scan_events events = {.begin = on_begin, .letter = on_letter};
    const struct cli *cli = show->request.cli;
    struct dlq_scan_options scan_options = {.queue = show->queue.name,
                                            .leave_max = show->request.limit};
    struct dlq_session *session = NULL;
    struct dlq_scan_result result = {0};
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status =
        dlq_session_new(show->request.config, "warren dlq", &session, &error);

    if (status == WARREN_OK)
        status = dlq_scan_run(session, &scan_options, &events, show, &result, &error);
    dlq_session_free(session);
    if (status != WARREN_OK)
        return dlq_failed(cli, &show->queue, &error);
    if (result.interrupted)
        return cli_failed(cli, "interrupted");
    if (show->request.max == 0 || show->shown < show->request.max)
        dlq_warn_of_rest(cli, &show->queue, &result, show->request.limit);
    dlq_warn_of_count(cli, &show->queue, &result);
    if (show->request.filter.id && show->shown == 0)
        return cli_failed(cli, "there is no message %s in '%s'", show->request.filter.id,
                          show->queue.name);
    if (show->shown == 0 && !show->request.json)
        fprintf(stderr, "warren %s: no message of '%s' %s\n", cli->command->name, show->queue.name,
                result.depth > 0 ? "matches" : "is there: it is empty");
    return show->failed ? cli_failed(cli, "a message cannot be written as JSON") : CLI_OK;
}

static enum cli_status run(struct cli *cli)
{
    struct show show = {.body_max = BODY_BYTES};
    enum cli_status status;
    int option;

    dlq_request_init(&show.request, cli);
    while ((option = cli_next(cli)) > 0) {
        if (option == WHOLE)
            show.body_max = SIZE_MAX;
        else if (!dlq_request_take(&show.request, option))
            return cli->status;
    }
    if (option == CLI_STOP)
        return cli->status;
    status = dlq_request_load(&show.request);
    if (status == CLI_OK)
        status = dlq_request_one_queue(&show.request, &show.queue);
    if (status == CLI_OK)
        status = show_all(&show);
    dlq_request_done(&show.request);
    return status;
}

static void write_details(FILE *out)
{
    dlq_write_broker_help(out);
    fputs("\nNothing is consumed: the messages are held while they are read, and then given back "
          "to\ntheir places.\n\n"
          "Examples:\n"
          "  warren dlq show payments --max 1\n"
          "  warren dlq show payments --reason crash --since 2h --json\n",
          out);
}

const struct command command_dlq_show = {
    .name = "dlq show",
    .arguments = "[OPTION...] QUEUE",
    .summary = "Show dead letters with envelope and body; they stay where they are",
    .options = options,
    .run = run,
    .write_details = write_details,
};
