#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <warren/worker.h>

#include "app/worker_flight.h"
#include "app/worker_service.h"
#include "app/worker_signals.h"
#include "base/error.h"
#include "base/process_state.h"
#include "command/worker/command_worker.h"
#include "config/config.h"
#include "consume/crash/exit_watch.h"

const struct cli_option worker_request_rows[] = {
    CLI_TEXT("config", 'c', "The worker's configuration", "FILE", struct worker_request,
             config_file),
    CLI_LIST("set", 's', "Set an option, over file and environment", "KEY=VALUE",
             struct worker_request, sets),
    CLI_END};

bool worker_request_read(struct worker_request *request, struct cli *cli,
                         struct warren_worker_options *worker)
{
    if (!cli_read(cli, request))
        return false;
    cli->status = cli_end(cli, "; a file is given by -c");
    if (cli->status == CLI_OK && !request->config_file)
        cli->status = cli_usage(cli, "which configuration? Give -c FILE");
    worker->config_file = request->config_file;
    worker->sets = request->sets.items;
    worker->set_count = request->sets.count;
    return cli->status == CLI_OK;
}

/* A handler that calls chdir(2) shall not hide the file from SIGHUP, nor what it refers to. */
static const char *absolute(const char *file, const struct process_state *start, char **ret_path)
{
    *ret_path = NULL;
    if (*file == '/' || !*start->directory)
        return file;
    return asprintf(ret_path, "%s/%s", start->directory, file) < 0 ? file : *ret_path;
}

static enum warren_status make_worker(const struct warren_worker_options *wanted,
                                      struct process_state *start, struct worker_service *service,
                                      struct warren_worker **ret_worker, struct warren_error *error)
{
    struct warren_worker_options own = *wanted;
    enum warren_status status = process_state_take(start);
    char *path = NULL;

    if (status != WARREN_OK)
        error_set(error, status, "no memory for the environment");
    worker_service_take(service); /* the next process finds it in @start */
    own.config_file = absolute(wanted->config_file, start, &path);
    if (status == WARREN_OK)
        status = warren_worker_new(&own, ret_worker, error);
    free(path);
    return status;
}

static enum cli_status run_worker(struct cli *cli, const struct warren_worker_options *worker)
{
    struct warren_worker *running = NULL;
    struct warren_error error = {WARREN_OK, ""};
    struct worker_service service;
    struct process_state start;
    enum warren_status status;

    worker_signals_hold();
    status = make_worker(worker, &start, &service, &running, &error);
    if (status != WARREN_OK) {
        worker_service_failed(&service, error.text);
        process_state_done(&start);
        return cli_error(cli, &error);
    }
    worker_own_process(running, &start, &service);
    exit_watch_begin(); /* before what the plugins, and their libraries, have for the end */
    status = warren_worker_run(running);
    warren_worker_free(running);
    if (status == WARREN_OK)
        return CLI_OK;
    /* A handler may still run: what exit(3) would take down under it must stay. */
    fflush(NULL);
    _exit(CLI_FAILED);
}

static enum cli_status run(struct cli *cli)
{
    struct warren_worker_options worker = {.size = sizeof worker, .own_signals = true};
    struct worker_request request = {.config_file = NULL};

    return worker_request_read(&request, cli, &worker) ? run_worker(cli, &worker) : cli->status;
}

static void write_options(FILE *out)
{
    fputs("\nOptions of the file, with the variable of each:\n\n", out);
    config_write_help(out);
}

const struct command command_run = {
    .name = "run",
    .arguments = "-c FILE",
    .summary = "Consume, and hand each message to its handler",
    .options = worker_request_rows,
    .run = run,
    .details =
        "SIGTERM and SIGINT drain: the broker sends no more, running handlers finish, every ack\n"
        "arrives; a second one ends at once. Signals within a second of each other are one.\n"
        "SIGHUP reopens the handlers' files and reads the configuration again, as `warren\n"
        "reload` does: what needs no other connection changes. A worker that drains does\n"
        "nothing.\n\n"
        "A service manager (systemd) that sets NOTIFY_SOCKET is told when it consumes, what it\n"
        "does, when it reloads and stops; with WATCHDOG_USEC that it is alive (/healthz).\n\n"
        "Exit status: 0 after a clean drain, 1 if drain.timeout or a second signal cut it short\n"
        "(what was not finished is handed back to the broker), 2 for a wrong configuration.\n",
    .write_more = write_options,
};
