#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/input_file.h"
#include "command/cli/print.h"
#include "command/cli/progress.h"
#include "command/dlq/command_dlq.h"
#include "command/dlq/dlq_letter.h"

static const struct cli_option options[] = {CLI_ROWS(dlq_filter_rows),
                                            DLQ_JSON("Print the summary as one JSON object"),
                                            CLI_ROWS(dlq_broker_rows), CLI_END};

struct dumping {
    struct dlq_request request; /* first */
    const char *directory;
    struct progress progress;
};

static bool dump_one(void *user, const struct dlq_letter *letter, uint64_t number)
{
    struct dumping *d = user;
    struct dump_message dump = dlq_dump_of(letter, d->request.queue.name);
    const struct cli *cli = d->request.cli;
    struct warren_error error = {WARREN_OK, ""};
    char name[DLQ_FILE_NAME_SIZE];
    char path[PATH_MAX];
    bool written = false;

    dlq_file_name(letter, number, name);
    if (snprintf(path, sizeof path, "%s/%s", d->directory, name) >= (int)sizeof path)
        cli_failed(cli, "%s: the name is too long", d->directory);
    else if (access(path, F_OK) == 0)
        cli_failed(cli, "%s is there already; give another directory", path);
    else if (dump_write(path, &dump, &error) != WARREN_OK)
        cli_failed(cli, "%s", error.text);
    else
        written = true;
    progress_update(&d->progress, number, NULL);
    return written;
}

static void report(const struct dumping *d, uint64_t written)
{
    const char *queue = d->request.queue.name;

    if (d->request.json)
        cli_print_json(json_pack("{s:o, s:o, s:I}", "queue", cli_json_text(queue), "directory",
                                 cli_json_text(d->directory), "written", (json_int_t)written));
    else
        printf("%s: %" PRIu64 " message%s written to %s\n", queue, written, written == 1 ? "" : "s",
               d->directory);
}

static enum cli_status dump_all(struct dlq_request *request)
{
    struct dumping *d = (struct dumping *)request;
    enum cli_status status =
        dlq_request_words(request, "where to? Give a directory", &d->directory);
    uint64_t matched;

    if (status != CLI_OK)
        return status;
    if (mkdir(d->directory, PRIVATE_DIRECTORY_MODE) < 0 && errno != EEXIST)
        return cli_failed(request->cli, "cannot make %s: %s", d->directory, strerror(errno));
    progress_init(&d->progress, 0, false);
    status = dlq_look(request, dump_one, d, &matched);
    progress_end(&d->progress);
    if (status == CLI_OK)
        report(d, matched);
    return status;
}

static enum cli_status run(struct cli *cli)
{
    struct dumping dumping = {.directory = NULL};

    return dlq_request_run(&dumping.request, cli, NULL, dump_all);
}

const struct command command_dlq_dump = {
    .name = "dlq dump",
    .arguments = "[OPTION...] QUEUE DIR",
    .summary = "Write dead letters to files that warren invoke runs; they stay where they are",
    .options = options,
    .run = run,
    .details = DLQ_HELP
    "\n"
    "The directory is made if it is not there. A file holds everything that is needed to run its\n"
    "message again; only its owner may read it. Nothing is consumed.\n\n"
    "Examples:\n"
    "  warren dlq dump payments /tmp/poison --reason crash\n"
    "  gdb --args warren invoke payments.so charge /tmp/poison/00001-*.json\n",
};
