#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/private_file.h"
#include "command/cli/progress.h"
#include "command/dlq/command_dlq.h"
#include "command/dlq/dlq_files.h"
#include "command/dlq/dlq_look.h"
#include "command/dlq/dlq_print.h"

static const struct poptOption options[] = {
    DLQ_FILTER_ROWS, DLQ_TEXT("max", 'n', DLQ_MAX, "At most so many messages", "N"),
    DLQ_FLAG("json", 'j', DLQ_JSON, "Print the summary as one JSON object"), DLQ_BROKER_ROWS,
    POPT_TABLEEND};

struct dumping {
    struct dlq_request request;
    struct dlq_queue queue;
    const char *directory;
    struct progress progress;
};

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

static bool dump_one(void *user, const struct dlq_letter *letter, uint64_t number)
{
    struct dumping *d = user;
    struct dump_message dump = dlq_dump_of(letter, d->queue.name);
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
    progress_update(&d->progress, number, NULL, now_ms());
    return written;
}

static void report(const struct dumping *d, uint64_t written)
{
    if (d->request.json)
        dlq_print_json(json_pack("{s:o, s:o, s:I}", "queue", dlq_json_text(d->queue.name),
                                 "directory", dlq_json_text(d->directory), "written",
                                 (json_int_t)written));
    else
        printf("%s: %" PRIu64 " message%s written to %s\n", d->queue.name, written,
               written == 1 ? "" : "s", d->directory);
}

static enum cli_status dump_all(struct dumping *d)
{
    const struct dlq_request *r = &d->request;
    const struct dlq_look look = {.queue = &d->queue,
                                  .filter = &r->filter,
                                  .max = r->max,
                                  .limit = r->limit,
                                  .each = dump_one,
                                  .user = d};
    enum cli_status status;
    uint64_t matched;

    if (mkdir(d->directory, PRIVATE_DIRECTORY_MODE) < 0 && errno != EEXIST)
        return cli_failed(r->cli, "cannot make %s: %s", d->directory, strerror(errno));
    progress_init(&d->progress, stderr, 0, now_ms());
    status = dlq_look(r->cli, r->config, &look, &matched);
    progress_end(&d->progress);
    if (status == CLI_OK)
        report(d, matched);
    return status;
}

static enum cli_status run(struct cli *cli)
{
    struct dumping dumping = {.directory = NULL};
    enum cli_status status;
    int option;

    dlq_request_init(&dumping.request, cli);
    while ((option = cli_next(cli)) > 0)
        if (!dlq_request_take(&dumping.request, option))
            return cli->status;
    if (option == CLI_STOP)
        return cli->status;
    status = dlq_request_load(&dumping.request);
    if (status == CLI_OK)
        status = dlq_request_words(&dumping.request, &dumping.queue, "where to? Give a directory",
                                   &dumping.directory);
    if (status == CLI_OK)
        status = dump_all(&dumping);
    dlq_request_done(&dumping.request);
    return status;
}

static void write_details(FILE *out)
{
    dlq_write_broker_help(out);
    fputs("\nThe directory is made if it is not there. A file holds everything that is needed to "
          "run its\nmessage again; only its owner may read it. Nothing is consumed.\n\n"
          "Examples:\n"
          "  warren dlq dump payments /tmp/poison --reason crash\n"
          "  gdb --args warren invoke payments.so charge /tmp/poison/00001-*.json\n",
          out);
}

const struct command command_dlq_dump = {
    .name = "dlq dump",
    .arguments = "[OPTION...] QUEUE DIR",
    .summary = "Write dead letters to files that warren invoke runs; they stay where they are",
    .options = options,
    .run = run,
    .write_details = write_details,
};
