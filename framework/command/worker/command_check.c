#include <inttypes.h>
#include <string.h>

#include "app/worker_subscriptions.h"
#include "command/broker/broker_check.h"
#include "command/cli/print.h"
#include "command/cli/progress.h"
#include "command/worker/command_worker.h"

/* Where there is no terminal: the time between two lines that say how far it is. */
#define LINE_INTERVAL_MS 10000

struct check {
    struct worker_request request; /* first */
    struct cli *cli;
    bool connect;
    bool effective;
    unsigned refused;
    struct progress progress;
    int64_t line_ms; /* of the last line; 0: none yet */
};

static const struct cli_option options[] = {
    CLI_ROWS(worker_request_rows),
    CLI_FLAG("connect", '\0',
             "Also log in at the broker and look for exchanges and queues; nothing is declared",
             struct check, connect),
    CLI_FLAG("effective", '\0',
             "Print the configuration in force, and where each value came from; secrets are masked",
             struct check, effective),
    CLI_END};

/* "queue 'payments' (passive)" without what is in brackets. */
static int item_len(const char *item)
{
    const char *bracket = strstr(item, "' (");

    return bracket ? (int)(bracket - item) + 1 : (int)strlen(item);
}

/* A name may hold what a terminal would obey. */
static void write_text(const char *text, int len)
{
    cli_write_safe(stdout, text, (size_t)len);
}

static void on_connected(void *user, const struct connection *connection)
{
    struct check *check = user;
    const char *where = connection_where(connection);
    const char *server = connection_server(connection);

    progress_end(&check->progress);
    write_text(where, (int)strlen(where));
    fputs(": connected, ", stdout);
    write_text(server, (int)strlen(server));
    putchar('\n');
}

static void on_missing(void *user, const char *item)
{
    struct check *check = user;

    progress_end(&check->progress);
    write_text(item, item_len(item));
    puts(": does not exist yet; the worker will declare it");
}

static void on_refused(void *user, const char *item, uint16_t code, const char *text)
{
    struct check *check = user;

    progress_end(&check->progress);
    check->refused++;
    if (code)
        cli_failed(check->cli, "%.*s: %u %s", item_len(item), item, code, text);
    else
        cli_failed(check->cli, "%.*s: %s", item_len(item), item, text);
}

static void on_few_channels(void *user, uint32_t needed, uint32_t allowed)
{
    struct check *check = user;

    progress_end(&check->progress);
    check->refused++;
    cli_failed(check->cli, CONNECTION_FEW_CHANNELS, needed, allowed, needed);
}

static void on_progress(void *user, uint64_t done, uint64_t total)
{
    struct check *check = user;
    int64_t now = progress_now_ms();

    check->progress.total = total;
    progress_update(&check->progress, done, total > 0 ? NULL : "connecting");
    if (check->progress.out || (check->line_ms > 0 && now - check->line_ms < LINE_INTERVAL_MS))
        return;
    check->line_ms = now;
    if (total > 0)
        cli_warn(check->cli, "still looking: %" PRIu64 " of %" PRIu64, done, total);
    else
        cli_warn(check->cli, "still connecting");
}

/* It works; so it is no failure. */
static void on_limited(void *user, const char *queue, int64_t limit)
{
    struct check *check = user;

    progress_end(&check->progress);
    cli_warn(
        check->cli,
        "warning: queue '%s' has a delivery limit of %lld: each restart counts as a "
        "delivery of all that was prefetched, and the broker gives up messages that no handler "
        "has run (see x-delivery-limit in docs/dead-letters.md)",
        queue, (long long)limit);
}

static enum cli_status connect_broker(struct check *check, const struct config *config)
{
    static const struct broker_check_events events = {.connected = on_connected,
                                                      .missing = on_missing,
                                                      .refused = on_refused,
                                                      .few_channels = on_few_channels,
                                                      .limited = on_limited,
                                                      .progress = on_progress};
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status;

    progress_init(&check->progress, 0, false);
    status = broker_check(config, "warren check", &events, check, &error);
    progress_end(&check->progress);
    if (status != WARREN_OK)
        return cli_error(check->cli, &error);
    return check->refused > 0 ? CLI_FAILED : CLI_OK;
}

static enum cli_status check_all(struct check *check, const struct warren_worker_options *worker)
{
    struct worker_setup setup;
    struct warren_error error = {WARREN_OK, ""};
    enum cli_status result = CLI_OK;

    if (worker_setup_init(&setup, worker, &error) != WARREN_OK ||
        subscriptions_try(&setup, &error) != WARREN_OK) {
        result = cli_error(check->cli, &error);
        worker_setup_done(&setup);
        return result;
    }
    if (check->effective) {
        worker_setup_show(&setup);
        config_write_effective(setup.config, stdout);
    } else {
        printf("%s: %zu subscription%s, %zu plugin%s: the configuration is valid\n",
               worker->config_file, setup.config->subscription_count,
               setup.config->subscription_count == 1 ? "" : "s", registry_count(setup.registry),
               registry_count(setup.registry) == 1 ? "" : "s");
    }
    if (check->connect)
        result = connect_broker(check, setup.config);
    worker_setup_done(&setup);
    return result;
}

static enum cli_status run(struct cli *cli)
{
    struct warren_worker_options worker = {.size = sizeof worker};
    struct check check = {.cli = cli};

    return worker_request_read(&check.request, cli, &worker) ? check_all(&check, &worker)
                                                             : cli->status;
}

const struct command command_check = {
    .name = "check",
    .arguments = "-c FILE",
    .summary = "Check a configuration, its plugins and their options",
    .options = options,
    .run = run,
    .details =
        "The plugins are loaded and the options of their handlers and middlewares checked; none "
        "of\n"
        "them is opened. With --effective, each subscription shows the chain that it would have.\n"
        "With --connect, exchanges and queues that exist are compared with the configuration, and\n"
        "for those that do not the user's permission to declare them is checked; so is whether "
        "the\n"
        "broker allows as many channels as the worker needs. A queue of others\n"
        "that gives messages up after some deliveries is warned of. Bindings cannot be seen by "
        "AMQP:\n"
        "`warren topology plan` shows those that are missing, and those that are left over.\n\n"
        "Exit status: 0 if all is well, 1 if the broker cannot be reached or refuses something,\n"
        "2 for a wrong configuration.\n",
};
