/* command_db.c - `warren db check` and `warren db backup`: looking after a database file. */
#include <inttypes.h>

#include "base/c_locale.h"
#include "command/cli/print.h"
#include "command/worker/command_worker.h"
#include "store/db/database.h"

/* ---- what both share ---- */

/* The arguments, all of them, of which the first is a database, opened to be read. NULL:
 * cli->status, the error was printed. */
static struct database *take_arguments(struct cli *cli, void *values, const char *const names[],
                                       size_t count, const char *arguments[])
{
    struct database_options options = {.read_only = true};
    struct warren_error error = {WARREN_OK, ""};
    struct database *database = NULL;

    if (!cli_read(cli, values))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        arguments[i] = cli_argument(cli);
        if (!arguments[i]) {
            cli->status = cli_usage(cli, "which %s?", names[i]);
            return NULL;
        }
    }
    cli->status = cli_end(cli, "");
    options.path = arguments[0];
    if (cli->status == CLI_OK && database_open(&options, &database, &error) != WARREN_OK)
        cli->status = cli_error(cli, &error);
    return database;
}

/* ---- check ---- */

struct check {
    bool json;
};

static const struct cli_option check_options[] = {
    CLI_FLAG("json", 'j', "Print one JSON object", struct check, json), CLI_END};

static void write_size(const char *what, int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    size_t unit = 0;

    while (size >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        size /= 1024;
        unit++;
    }
    c_fprintf(stdout, "%-10s %.*f %s\n", what, unit == 0 ? 0 : 1, size, units[unit]);
}

static void write_time(const char *what, int64_t ms)
{
    char text[CLI_TIME_SIZE];

    cli_time_text(ms / 1000, text);
    printf("%-10s %s\n", what, text);
}

static void on_fault(void *user, const char *fault)
{
    cli_failed(user, "%s", fault);
}

static void write_census(const struct database_size *size, const struct census *census)
{
    printf("%-10s %" PRId64 "\n", "schema", size->version);
    write_size("file", size->file);
    write_size("log beside", size->wal);
    write_size("unused", size->unused);
    printf("%-10s %" PRId64 "\n", "done", census->done);
    if (census->done > 0) {
        write_time("  oldest", census->oldest_ms);
        write_time("  newest", census->newest_ms);
    }
    printf("%-10s %" PRId64 "\n", "claimed", census->claimed);
    printf("%-10s %" PRId64 "\n", "spooled", census->spooled);
}

static void print_json(const char *path, const struct database_size *size,
                       const struct census *census)
{
    bool any = census->done > 0;

    cli_print_json(json_pack("{s:o, s:I, s:{s:I, s:I, s:I}, s:I, s:o, s:o, s:I, s:I}", "file",
                             cli_json_text(path), "schema", (json_int_t)size->version, "bytes",
                             "file", (json_int_t)size->file, "log", (json_int_t)size->wal, "unused",
                             (json_int_t)size->unused, "done", (json_int_t)census->done, "oldest",
                             any ? cli_json_time(census->oldest_ms / 1000) : json_null(), "newest",
                             any ? cli_json_time(census->newest_ms / 1000) : json_null(), "claimed",
                             (json_int_t)census->claimed, "spooled", (json_int_t)census->spooled));
}

static enum cli_status check(struct cli *cli, struct database *database, bool json)
{
    struct warren_error error = {WARREN_OK, ""};
    struct database_size size;
    struct census census;
    unsigned faults = 0;

    if (database_check(database, on_fault, cli, &faults, &error) != WARREN_OK)
        return cli_error(cli, &error);
    if (faults > 0)
        return cli_failed(cli,
                          "%s is damaged. Put a backup in its place, or move it away together "
                          "with its -wal file",
                          database_path(database));
    if (database_size(database, &size, &error) != WARREN_OK ||
        census_take(database, &census, &error) != WARREN_OK)
        return cli_error(cli, &error);
    if (json) {
        print_json(database_path(database), &size, &census);
        return CLI_OK;
    }
    printf("%s: sound\n", database_path(database));
    write_census(&size, &census);
    return CLI_OK;
}

static enum cli_status run_check(struct cli *cli)
{
    static const char *const names[] = {"file"};
    const char *path;
    struct check given = {.json = false};
    struct database *database = take_arguments(cli, &given, names, 1, &path);
    enum cli_status status;

    if (!database)
        return cli->status;
    status = check(cli, database, given.json);
    database_close(database);
    return status;
}

const struct command command_db_check = {
    .name = "db check",
    .arguments = "FILE",
    .summary = "Check a database file, and show what is in it",
    .options = check_options,
    .run = run_check,
    .details =
        "All of the file is read, and it is shown how large it is and what is in it. Workers may\n"
        "go on meanwhile.\n\n"
        "Exit status: 0 if the file is sound, 1 if it is damaged or cannot be read, 2 if it is\n"
        "not a database of this version of warren.\n",
};

/* ---- backup ---- */

static enum cli_status run_backup(struct cli *cli)
{
    static const char *const names[] = {"file", "file to copy it to"};
    struct warren_error error = {WARREN_OK, ""};
    const char *paths[2];
    struct database *database = take_arguments(cli, NULL, names, 2, paths);
    enum warren_status status;

    if (!database)
        return cli->status;
    status = database_backup(database, paths[1], &error);
    database_close(database);
    return status == WARREN_OK ? CLI_OK : cli_error(cli, &error);
}

const struct command command_db_backup = {
    .name = "db backup",
    .arguments = "FILE TO",
    .summary = "Copy a database file while it is in use",
    .run = run_backup,
    .details =
        "The copy is what the file was at one moment, also while workers write to it. It appears\n"
        "under its name when it is whole; a file of that name is not overwritten.\n\n"
        "Exit status: 0 if there is a copy, 1 if not, 2 if FILE is not a database of this\n"
        "version of warren.\n",
};
