#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command/dlq/command_dlq.h"
#include "command/dlq/dlq_look.h"
#include "command/dlq/dlq_print.h"
#include "command/dlq_change/command_dlq_change.h"
#include "command/dlq_change/dlq_discard.h"

enum option { YES = DLQ_OWN, QUIET };

static const struct poptOption options[] = {
    DLQ_FILTER_ROWS,
    DLQ_TEXT("max", 'n', DLQ_MAX, "At most so many messages", "N"),
    DLQ_FLAG("yes", 'y', YES, "Do not ask"),
    DLQ_FLAG("json", 'j', DLQ_JSON, "Print the summary as one JSON object"),
    DLQ_FLAG("quiet", 'Q', QUIET, "Print only errors; no line for each message"),
    DLQ_BROKER_ROWS,
    POPT_TABLEEND};

struct discard_request {
    struct dlq_request request;
    struct dlq_queue queue;
    bool yes;
    bool quiet;
};

static bool take_option(struct discard_request *d, int option)
{
    switch (option) {
    case YES:
        d->yes = true;
        return true;
    case QUIET:
        d->quiet = true;
        return true;
    default:
        return dlq_request_take(&d->request, option);
    }
}

static bool read_yes(void)
{
    char answer[16];

    return fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
}

/* How many there are, and whether they shall go; no more than these will. */
static enum cli_status ask(struct discard_request *d, bool *ret_go)
{
    struct dlq_request *r = &d->request;
    const struct dlq_look look = {.queue = &d->queue,
                                  .filter = &r->filter,
                                  .max = r->max,
                                  .limit = r->limit,
                                  .unreadable = dlq_filter_is_empty(&r->filter)};
    uint64_t matched;
    enum cli_status status = dlq_look(r->cli, r->config, &look, &matched);

    *ret_go = false;
    if (status != CLI_OK)
        return status;
    if (matched == 0) /* dlq_look() has told it */
        return CLI_OK;
    fprintf(stderr, "discard %" PRIu64 " message%s of ", matched, matched == 1 ? "" : "s");
    dlq_write_safe(stderr, d->queue.name, strlen(d->queue.name));
    fputs("? type yes: ", stderr);
    fflush(stderr);
    *ret_go = read_yes();
    r->max = matched;
    return *ret_go ? CLI_OK : cli_failed(r->cli, "nothing was discarded");
}

static enum cli_status discard(struct discard_request *d)
{
    struct dlq_request *r = &d->request;
    struct dlq_discard_job job = {.queue = &d->queue,
                                  .filter = &r->filter,
                                  .limit = r->limit,
                                  .json = r->json,
                                  .quiet = d->quiet};
    enum cli_status status = CLI_OK;
    bool go = true;

    if (!d->yes && !isatty(STDIN_FILENO))
        return cli_usage(r->cli, "there is no terminal to ask on; give --yes if it is meant");
    if (!d->yes)
        status = ask(d, &go);
    job.max = r->max;
    return status == CLI_OK && go ? dlq_discard(r->cli, r->config, &job) : status;
}

static enum cli_status run(struct cli *cli)
{
    struct discard_request d = {.yes = false};
    enum cli_status status;
    int option;

    dlq_request_init(&d.request, cli);
    while ((option = cli_next(cli)) > 0)
        if (!take_option(&d, option))
            return cli->status;
    if (option == CLI_STOP)
        return cli->status;
    status = dlq_request_load(&d.request);
    if (status == CLI_OK)
        status = dlq_request_words(&d.request, &d.queue, NULL, NULL);
    if (status == CLI_OK)
        status = discard(&d);
    dlq_request_done(&d.request);
    return status;
}

static void write_details(FILE *out)
{
    dlq_write_broker_help(out);
    fputs("\nOn a terminal you are asked first, with the number of messages; elsewhere --yes must "
          "be\ngiven. A line of the log on stderr tells each message, and who discarded it.\n\n"
          "Examples:\n"
          "  warren dlq discard payments --id 018f4c1e-7d2a-7c11-9f00-aabbccddeeff\n"
          "  warren dlq discard payments --until 30d --yes\n\n"
          "Exit status: 0 if everything that was meant is discarded, also if that is nothing; 1 if "
          "not;\n2 for a wrong command line.\n",
          out);
}

const struct command command_dlq_discard = {
    .name = "dlq discard",
    .arguments = "[OPTION...] QUEUE",
    .summary = "Take dead letters off their queue for good",
    .options = options,
    .run = run,
    .write_details = write_details,
};
