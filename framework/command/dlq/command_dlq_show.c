#include <string.h>

#include "command/dlq/command_dlq.h"
#include "command/dlq/dlq_look.h"
#include "command/dlq/dlq_print.h"
#include "command/dlq/dlq_show.h"

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
    size_t body_max;
};

static bool show_one(void *user, const struct dlq_letter *letter, uint64_t number)
{
    const struct show *show = user;
    char id[DLQ_SAFE_ID_SIZE];

    if (!show->request.json) {
        dlq_show_text(letter, number, show->body_max);
    } else if (!dlq_show_json(letter)) {
        dlq_safe_id(arena_bytes(letter->texts, letter->id), id);
        cli_failed(show->request.cli, "message %s cannot be written as JSON", id);
        return false;
    }
    return true;
}

static enum cli_status show_all(struct show *show)
{
    const struct dlq_request *r = &show->request;
    const struct dlq_look look = {.queue = &show->queue,
                                  .filter = &r->filter,
                                  .max = r->max,
                                  .limit = r->limit,
                                  .each = show_one,
                                  .user = show};
    uint64_t shown;

    return dlq_look(r->cli, r->config, &look, &shown);
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
        status = dlq_request_words(&show.request, &show.queue, NULL, NULL);
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
