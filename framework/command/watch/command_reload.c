/* command_reload.c - `warren reload`: a running worker reads its configuration again. */
#include <stdlib.h>
#include <string.h>

#include "command/cli/print.h"
#include "command/watch/command_watch.h"
#include "command/watch/watch_client.h"

/* The worker gives up sooner. */
#define PATIENCE_MS 70000

struct reloading {
    struct watch_options watch;
    bool json;
};

static const struct cli_option options[] = {
    CLI_FLAG("json", '\0', "Print the answer as it came", struct reloading, json),
    CLI_ROWS(watch_option_rows), CLI_END};

static void write_text(const json_t *text)
{
    const char *string = json_string_value(text);

    if (string)
        cli_write_safe(stdout, string, strlen(string));
}

static void write_notes(const json_t *answer)
{
    json_t *note;
    size_t i;

    json_array_foreach(json_object_get(answer, "changed"), i, note)
    {
        fputs("changed: ", stdout);
        write_text(note);
        putchar('\n');
    }
    json_array_foreach(json_object_get(answer, "restart"), i, note)
    {
        fputs("needs a restart: ", stdout);
        write_text(json_object_get(note, "what"));
        fputs(": ", stdout);
        write_text(json_object_get(note, "why"));
        putchar('\n');
    }
}

/* What the worker says is @result. @return the exit status */
static enum cli_status tell(struct cli *cli, const json_t *answer, const char *result, long status)
{
    const char *error = json_string_value(json_object_get(answer, "error"));
    size_t restart = json_array_size(json_object_get(answer, "restart"));

    if (strcmp(result, "refused") == 0) {
        cli_failed(cli, "the configuration stays as it was: %s", error ? error : "?");
        return status == 400 ? CLI_USAGE : CLI_FAILED;
    }
    write_notes(answer);
    if (strcmp(result, "unchanged") == 0 && restart == 0)
        puts("unchanged: the file says what is in force");
    return restart > 0 ? CLI_FAILED : CLI_OK;
}

static enum cli_status status_of(const char *result, size_t restart, long status)
{
    if (strcmp(result, "refused") == 0)
        return status == 400 ? CLI_USAGE : CLI_FAILED;
    return restart > 0 ? CLI_FAILED : CLI_OK;
}

static enum cli_status take_answer(struct cli *cli, const struct reloading *r, const char *url,
                                   const struct http_client_response *response)
{
    json_t *answer = json_loadb(response->body, response->body_len, 0, NULL);
    const char *result = json_string_value(json_object_get(answer, "result"));
    const char *error = json_string_value(json_object_get(answer, "error"));
    enum cli_status status;

    if (!result)
        status = cli_failed(cli, "%s answers %ld: %.300s", url, response->status,
                            error ? error : "and not as a worker does");
    else if (!r->json)
        status = tell(cli, answer, result, response->status);
    else
        status = status_of(result, json_array_size(json_object_get(answer, "restart")),
                           response->status);
    if (result && r->json) {
        fwrite(response->body, 1, response->body_len, stdout);
        putchar('\n');
    }
    json_decref(answer);
    return status;
}

static enum cli_status reload(struct cli *cli, const struct reloading *r, const char *address)
{
    struct http_client_response response = {0};
    struct warren_error error = {WARREN_OK, ""};
    struct watch_client client;
    enum cli_status status;

    if (watch_client_init(&client, address, &r->watch, &error) != WARREN_OK)
        return error.status == WARREN_EINVAL ? cli_usage(cli, "%s", error.text)
                                             : cli_error(cli, &error);
    if (watch_client_post(&client, "/api/reload", PATIENCE_MS, &response, &error) == WARREN_OK)
        status = take_answer(cli, r, client.url, &response);
    else
        status = cli_error(cli, &error);
    http_client_response_done(&response);
    watch_client_done(&client);
    return status;
}

static enum cli_status run(struct cli *cli)
{
    struct reloading r = {.json = false};
    const char *address;
    enum cli_status status;

    if (!cli_read(cli, &r))
        return cli->status;
    /* Several of them, one for each worker, may have the same output: whole lines. */
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    address = cli_argument(cli);
    status = cli_end(cli, "; one worker at a time");
    return status == CLI_OK ? reload(cli, &r, address ? address : WATCH_ADDRESS) : status;
}

const struct command command_reload = {
    .name = "reload",
    .arguments = "[ADDRESS]",
    .summary = "Have a running worker read its configuration again",
    .options = options,
    .run = run,
    .details =
        "ADDRESS is HOST:PORT of the worker's admin listener (127.0.0.1:9464), which must have a\n"
        "token (admin.token_file): give it by --token-file. SIGHUP does the same, and the log\n"
        "says what came of it.\n\n"
        "Exit status: 0 if what the file says is in force; 1 if something needs a restart, or the\n"
        "worker cannot be asked; 2 for a wrong command line or configuration: then all stays as "
        "it\n"
        "was.\n",
};
