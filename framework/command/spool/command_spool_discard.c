#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "command/cli/cli.h"
#include "command/cli/print.h"
#include "command/spool/command_spool.h"

struct discard {
    struct cli *cli;
    const char *path;
    struct spool *spool;
    struct spool_ids ids;
    bool refused;
    bool all;
    bool yes;
    bool json;
    struct spool_choice choice;
};

static const struct cli_option options[] = {
    CLI_FLAG("refused", 'r', "All that the broker refused", struct discard, refused),
    CLI_FLAG("all", 'a', "All of them", struct discard, all),
    CLI_FLAG("yes", 'y', "Do not ask", struct discard, yes),
    CLI_FLAG("json", 'j', "Print the summary as one JSON object", struct discard, json), CLI_END};

/* ---- what there is ---- */

static enum cli_status choose(struct discard *d)
{
    struct warren_error error = {WARREN_OK, ""};
    bool taken;
    enum warren_status status =
        spool_choose(&d->choice, d->spool, d->refused ? SPOOL_REFUSED : SPOOL_ALL,
                     d->ids.count > 0 ? &d->ids : NULL, &error);

    if (status != WARREN_OK)
        return cli_error(d->cli, &error);
    if (d->choice.count < d->ids.count)
        return cli_failed(d->cli,
                          "%zu of %zu messages are not there (any more); none was discarded",
                          d->ids.count - d->choice.count, d->ids.count);
    if (d->choice.unsent > 0 && spool_claim(d->spool, &taken, &error) != WARREN_OK)
        return cli_error(d->cli, &error);
    return CLI_OK;
}

static enum cli_status ask(const struct discard *d)
{
    if (d->yes || d->choice.count == 0)
        return CLI_OK;
    fprintf(stderr, "discard %zu message%s of %s, which nobody will receive", d->choice.count,
            spool_plural((int64_t)d->choice.count), d->path);
    return cli_confirms() ? CLI_OK : cli_failed(d->cli, "nothing was discarded");
}

/* ---- removing ---- */

static void report(const struct discard *d, int64_t count)
{
    if (d->json)
        cli_print_json(json_pack("{s:o, s:I}", "file", cli_json_text(d->path), "discarded",
                                 (json_int_t)count));
    else
        printf("%s: discarded %" PRId64 " message%s\n", d->path, count, spool_plural(count));
}

static enum cli_status discard(struct discard *d)
{
    struct warren_error error = {WARREN_OK, ""};
    enum cli_status status = choose(d);
    enum warren_status removed;
    int64_t count;

    if (status == CLI_OK)
        status = ask(d);
    if (status != CLI_OK)
        return status;
    removed = spool_choice_change(&d->choice, d->spool, spool_remove, &count, &error);
    report(d, count);
    return removed == WARREN_OK ? CLI_OK : cli_error(d->cli, &error);
}

static enum cli_status check(struct discard *d)
{
    if (!spool_ids_read(d->cli, &d->ids))
        return d->cli->status;
    if (d->ids.count == 0 && !d->refused && !d->all)
        return cli_usage(d->cli, "which messages? Give their numbers, --refused or --all");
    if (d->ids.count > 0 && (d->refused || d->all))
        return cli_usage(d->cli, "numbers, or --refused or --all, not both");
    if (!d->yes && !isatty(STDIN_FILENO))
        return cli_usage(d->cli, "there is no terminal to ask on; give --yes if it is meant");
    return CLI_OK;
}

static enum cli_status run(struct cli *cli)
{
    struct discard d = {.cli = cli};
    enum cli_status status;

    if (!cli_read(cli, &d))
        return cli->status;
    status = spool_command_open(cli, true, &d.path, &d.spool);
    if (status == CLI_OK)
        status = check(&d);
    if (status == CLI_OK)
        status = discard(&d);
    spool_close(d.spool);
    spool_choice_done(&d.choice);
    return status;
}

const struct command command_spool_discard = {
    .name = "spool discard",
    .arguments = "[OPTION...] FILE [ID...]",
    .summary = "Remove messages from the disk, unsent",
    .options = options,
    .run = run,
    .details = "While a worker has the file, only what the broker refused can be discarded; for "
               "the rest stop\n"
               "the worker first. On a terminal you are asked first, with the number of messages; "
               "elsewhere\n"
               "--yes must be given.\n\n"
               "Examples:\n"
               "  warren spool discard /var/lib/payments/spool.db 17 18\n"
               "  warren spool discard /var/lib/payments/spool.db --refused --yes\n",
};
