#include "command/cli/print.h"
#include "command/dlq/command_dlq.h"
#include "command/dlq/dlq_show.h"

/* Of a body on a terminal or in a pipe, unless all of it is asked for. */
#define BODY_BYTES ((size_t)2048)

struct show {
    struct dlq_request request; /* first */
    bool whole;
};

static const struct cli_option options[] = {
    CLI_ROWS(dlq_filter_rows),
    CLI_FLAG("whole", 'w', "Whole bodies, not only their first 2048 bytes", struct show, whole),
    DLQ_JSON("Print one JSON object a line for each message"), CLI_ROWS(dlq_broker_rows), CLI_END};

static bool show_one(void *user, const struct dlq_letter *letter, uint64_t number)
{
    const struct show *show = user;
    char id[CLI_SAFE_ID_SIZE];

    if (!show->request.json) {
        dlq_show_text(letter, number, show->whole ? SIZE_MAX : BODY_BYTES);
    } else if (!dlq_show_json(letter)) {
        cli_safe_id(arena_bytes(letter->texts, letter->id), id);
        cli_failed(show->request.cli, "message %s cannot be written as JSON", id);
        return false;
    }
    return true;
}

static enum cli_status show_all(struct dlq_request *request)
{
    enum cli_status status = dlq_request_words(request, NULL, NULL);
    uint64_t shown;

    return status == CLI_OK ? dlq_look(request, show_one, request, &shown) : status;
}

static enum cli_status run(struct cli *cli)
{
    struct show show = {.whole = false};

    return dlq_request_run(&show.request, cli, NULL, show_all);
}

const struct command command_dlq_show = {
    .name = "dlq show",
    .arguments = "[OPTION...] QUEUE",
    .summary = "Show dead letters with envelope and body; they stay where they are",
    .options = options,
    .run = run,
    .details = DLQ_HELP
    "\n"
    "Nothing is consumed: the messages are held while they are read, and then given back to\n"
    "their places.\n\n"
    "Examples:\n"
    "  warren dlq show payments --max 1\n"
    "  warren dlq show payments --reason crash --since 2h --json\n",
};
