#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/command_spool.h"
#include "command/dlq_print.h"
#include "command/message_options.h"

enum option { REFUSED = 1, ALL, YES, JSON };

static const struct poptOption options[] = {
    OPTION_FLAG("refused", 'r', REFUSED, "All that the broker refused"),
    OPTION_FLAG("all", 'a', ALL, "All of them"), OPTION_FLAG("yes", 'y', YES, "Do not ask"),
    OPTION_FLAG("json", 'j', JSON, "Print the summary as one JSON object"), POPT_TABLEEND};

struct discard {
    struct cli *cli;
    const char *path;
    struct spool *spool;
    struct spool_ids ids;
    enum spool_which which; /* without ids; 0: not given */
    bool yes;
    bool json;
    int64_t count;
};

/* ---- what there is ---- */

static bool count_one(void *user, const struct spool_message *message)
{
    struct discard *d = user;

    d->count += d->ids.count == 0 || spool_ids_have(&d->ids, message->id);
    return true;
}

static enum cli_status count(struct discard *d)
{
    struct warren_error error = {WARREN_OK, ""};
    enum spool_which which = d->ids.count > 0 ? SPOOL_ALL : d->which;

    if (spool_read(d->spool, 0, which, false, count_one, d, &error) != WARREN_OK)
        return cli_error(d->cli, &error);
    if (d->count < (int64_t)d->ids.count)
        return cli_failed(d->cli,
                          "%zu of %zu messages are not there (any more); none was discarded",
                          d->ids.count - (size_t)d->count, d->ids.count);
    return CLI_OK;
}

static enum cli_status ask(const struct discard *d)
{
    char answer[16];

    if (d->yes || d->count == 0)
        return CLI_OK;
    fprintf(stderr,
            "discard %" PRId64 " message%s of %s, which nobody will receive? type yes: ", d->count,
            spool_plural(d->count), d->path);
    fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0)
        return CLI_OK;
    return cli_failed(d->cli, "nothing was discarded");
}

/* ---- removing ---- */

static enum warren_status remove_all(struct discard *d, struct warren_error *error)
{
    enum warren_status status = spool_begin(d->spool, error);

    if (status != WARREN_OK)
        return status;
    if (d->ids.count == 0)
        status = spool_discard(d->spool, d->which, &d->count, error);
    for (size_t i = 0; status == WARREN_OK && i < d->ids.count; i++)
        status = spool_remove(d->spool, d->ids.ids[i], error);
    if (status == WARREN_OK)
        return spool_commit(d->spool, error);
    spool_rollback(d->spool);
    return status;
}

static enum cli_status discard(struct discard *d)
{
    struct warren_error error = {WARREN_OK, ""};
    enum cli_status status = count(d);

    if (status == CLI_OK)
        status = ask(d);
    if (status != CLI_OK)
        return status;
    if (remove_all(d, &error) != WARREN_OK)
        return cli_error(d->cli, &error);
    if (d->json)
        dlq_print_json(json_pack("{s:o, s:I}", "file", dlq_json_text(d->path), "discarded",
                                 (json_int_t)d->count));
    else
        printf("%s: discarded %" PRId64 " message%s\n", d->path, d->count, spool_plural(d->count));
    return CLI_OK;
}

static enum cli_status check(struct discard *d)
{
    if (!spool_ids_read(d->cli, &d->ids))
        return d->cli->status;
    if (d->ids.count == 0 && d->which == 0)
        return cli_usage(d->cli, "which messages? Give their numbers, --refused or --all");
    if (d->ids.count > 0 && d->which != 0)
        return cli_usage(d->cli, "numbers, or --refused or --all, not both");
    if (!d->yes && !isatty(STDIN_FILENO))
        return cli_usage(d->cli, "there is no terminal to ask on; give --yes if it is meant");
    return CLI_OK;
}

static bool take_option(struct discard *d, int option)
{
    switch (option) {
    case REFUSED:
        d->which = SPOOL_REFUSED;
        return true;
    case ALL:
        d->which = SPOOL_ALL;
        return true;
    case YES:
        d->yes = true;
        return true;
    default:
        d->json = true;
        return true;
    }
}

static enum cli_status run(struct cli *cli)
{
    struct discard *d = calloc(1, sizeof *d);
    enum cli_status status = CLI_OK;
    int option;

    if (!d)
        return cli_failed(cli, "no memory");
    d->cli = cli;
    while ((option = cli_next(cli)) > 0)
        take_option(d, option);
    if (option == CLI_STOP)
        status = cli->status;
    else
        status = spool_command_open(cli, true, &d->path, &d->spool);
    if (option != CLI_STOP && status == CLI_OK) {
        status = check(d);
        if (status == CLI_OK)
            status = discard(d);
    }
    spool_close(d->spool);
    free(d);
    return status;
}

static void write_details(FILE *out)
{
    fputs("Nobody else may use the file meanwhile: stop the worker first. On a terminal you are "
          "asked\nfirst, with the number of messages; elsewhere --yes must be given.\n\n"
          "Examples:\n"
          "  warren spool discard /var/lib/payments/spool.db 17 18\n"
          "  warren spool discard /var/lib/payments/spool.db --refused --yes\n",
          out);
}

const struct command command_spool_discard = {
    .name = "spool discard",
    .arguments = "[OPTION...] FILE [ID...]",
    .summary = "Remove messages from the disk, unsent",
    .options = options,
    .run = run,
    .write_details = write_details,
};
