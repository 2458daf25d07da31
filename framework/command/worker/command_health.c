#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/cli/print.h"
#include "command/worker/command_worker.h"
#include "config/config.h"
#include "http/address.h"
#include "http/client.h"

#define STANDARD_ADDRESS "127.0.0.1:9464"
#define ADDRESS_MAX      256
#define URL_MAX          (ADDRESS_MAX + 64)
#define TIMEOUT_MAX_S    3600

struct health {
    const char *config_file;
    struct cli_list sets;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    uint64_t timeout_s;
    bool live;
    bool json;
    bool tls; /* of the listener */
    struct cli *cli;
    struct config *config; /* NULL: none was read */
    char address[ADDRESS_MAX];
};

static const struct cli_option options[] = {
    CLI_TEXT("config", 'c', "Ask the worker of this configuration, where it listens", "FILE",
             struct health, config_file),
    CLI_LIST("set", 's', "Set an option, over file and environment", "KEY=VALUE", struct health,
             sets),
    CLI_FLAG("live", '\0', "Ask whether it is alive (/healthz), not whether it is ready (/readyz)",
             struct health, live),
    CLI_FLAG("json", '\0', "Print the answer as it came", struct health, json),
    CLI_NUMBER("timeout", '\0', "Longest wait for the answer, in seconds; 5 unless given",
               "SECONDS", 1, TIMEOUT_MAX_S, struct health, timeout_s),
    CLI_TEXT("ca", '\0', "Trust these certificates (PEM), and no others", "FILE", struct health,
             ca_file),
    CLI_TEXT("cert", '\0', "Certificate to show to a listener that asks for one (PEM)", "FILE",
             struct health, cert_file),
    CLI_TEXT("key", '\0', "Its key (PEM)", "FILE", struct health, key_file),
    CLI_END};

/* ---- whom to ask ---- */

/* Who listens on all addresses is asked on the loopback. */
static enum cli_status take_listen(struct health *health, const char *listen)
{
    struct warren_error error = {WARREN_OK, ""};
    struct http_address address;
    const char *port = strrchr(listen, ':');

    if (http_address_parse(listen, &address, &error) != WARREN_OK)
        return cli_usage(health->cli, "admin.listen: %s", error.text);
    if (strcmp(port, ":0") == 0)
        return cli_usage(health->cli, "admin.listen has port 0, which is whichever was free: give "
                                      "the ADDRESS that the worker's log names");
    if (strncmp(listen, "0.0.0.0:", 8) == 0)
        snprintf(health->address, sizeof health->address, "127.0.0.1%s", port);
    else if (strncmp(listen, "[::]:", 5) == 0)
        snprintf(health->address, sizeof health->address, "[::1]%s", port);
    else
        snprintf(health->address, sizeof health->address, "%s", listen);
    return CLI_OK;
}

/* The worker's own certificate is trusted as it is, whatever names it has. */
static enum cli_status read_config(struct health *health)
{
    struct warren_error error = {WARREN_OK, ""};
    const char *listen;

    if (config_load(health->config_file, environ, health->sets.items, health->sets.count,
                    &health->config, &error) != WARREN_OK)
        return cli_error(health->cli, &error);
    listen = health->config->admin.listen;
    health->tls = health->config->admin.tls_cert_file != NULL;
    if (health->tls && !health->ca_file)
        health->ca_file = health->config->admin.tls_cert_file;
    if (*health->address)
        return CLI_OK;
    if (listen && *listen)
        return take_listen(health, listen);
    if (health->config_file)
        return cli_usage(health->cli, "%s has no admin.listen: its worker does not listen",
                         health->config_file);
    snprintf(health->address, sizeof health->address, STANDARD_ADDRESS);
    return CLI_OK;
}

static enum cli_status read_arguments(struct health *health, struct cli *cli)
{
    const char *address;
    enum cli_status status;

    if (!cli_read(cli, health))
        return cli->status;
    health->cli = cli;
    address = cli_argument(cli);
    if (address && strlen(address) >= sizeof health->address)
        return cli_usage(cli, "the address is too long");
    if (address)
        snprintf(health->address, sizeof health->address, "%s", address);
    status = cli_end(cli, "");
    return status == CLI_OK ? read_config(health) : status;
}

/* "127.0.0.1:9464", or "https://host:9464" as a whole. */
static void make_url(const struct health *health, char url[URL_MAX])
{
    const char *scheme = health->tls || health->ca_file ? "https://" : "http://";
    size_t len = strlen(health->address);

    if (strstr(health->address, "://"))
        scheme = "";
    while (len > 0 && health->address[len - 1] == '/')
        len--;
    snprintf(url, URL_MAX, "%s%.*s%s", scheme, (int)len, health->address,
             health->live ? "/healthz" : "/readyz");
}

/* ---- what is answered ---- */

static void write_text(const char *text)
{
    cli_write_safe(stdout, text, strlen(text));
}

/* What /readyz says of a subscription. @first  what stands behind the status already, perhaps
 * this, cut */
static void write_subscription(const json_t *item, const char *first)
{
    const char *queue = json_string_value(json_object_get(item, "queue"));
    const char *state = json_string_value(json_object_get(item, "state"));
    const char *why = json_string_value(json_object_get(item, "reason"));
    char *line = NULL;

    if (!queue || !state || !why || asprintf(&line, "queue %s: %s: %s", queue, state, why) < 0)
        return;
    if (!first || strncmp(line, first, strlen(first)) != 0) {
        write_text(line);
        putchar('\n');
    }
    free(line);
}

/* The reasons of /healthz, or those of the subscriptions: a line each. */
static void write_reasons(json_t *answer)
{
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    json_t *item;
    size_t i;

    if (reason) {
        fputs(": ", stdout);
        write_text(reason);
    }
    putchar('\n');
    json_array_foreach(json_object_get(answer, "reasons"), i, item)
    {
        write_text(json_string_value(item) ? json_string_value(item) : "?");
        putchar('\n');
    }
    json_array_foreach(json_object_get(answer, "subscriptions"), i, item)
    {
        write_subscription(item, reason);
    }
}

static enum cli_status tell(const struct health *health, const char *url,
                            const struct http_client_response *response)
{
    json_t *answer = json_loadb(response->body, response->body_len, 0, NULL);
    const char *status = json_string_value(json_object_get(answer, "status"));
    enum cli_status result = response->status == 200 ? CLI_OK : CLI_FAILED;

    if (!status || (response->status != 200 && response->status != 503)) {
        json_decref(answer);
        return cli_failed(health->cli, "%s answers with %ld, and not as a worker does", url,
                          response->status);
    }
    if (health->json) {
        fwrite(response->body, 1, response->body_len, stdout);
        putchar('\n');
    } else {
        write_text(status);
        write_reasons(answer);
    }
    json_decref(answer);
    return result;
}

static enum cli_status ask(struct health *health)
{
    const struct http_client_options how = {
        .ca_file = health->ca_file,
        .cert_file = health->cert_file,
        .key_file = health->key_file,
        .any_name = health->ca_file && health->ca_file == health->config->admin.tls_cert_file,
        .direct = true};
    struct http_client_request request = {.timeout_ms = (uint32_t)(health->timeout_s * 1000),
                                          .response_max = (size_t)64 << 20};
    struct http_client_response response = {0};
    struct warren_error error = {WARREN_OK, ""};
    struct http_client *client = NULL;
    char url[URL_MAX];
    enum cli_status result;

    make_url(health, url);
    request.url = url;
    if (http_client_new(&how, &client, &error) == WARREN_OK &&
        http_client_send(client, &request, &response, &error) == WARREN_OK)
        result = tell(health, url, &response);
    else if (error.status == WARREN_EINVAL)
        result = cli_usage(health->cli, "%s", error.text);
    else
        result = cli_failed(health->cli, "%s", error.text);
    http_client_response_done(&response);
    http_client_free(client);
    return result;
}

static enum cli_status run(struct cli *cli)
{
    struct health health = {.timeout_s = 5};
    enum cli_status status = read_arguments(&health, cli);

    if (status == CLI_OK && health.config)
        status = ask(&health);
    if (health.config)
        config_free(health.config);
    return status;
}

const struct command command_health = {
    .name = "health",
    .arguments = "[ADDRESS]",
    .summary = "Ask a running worker whether it is ready, or alive",
    .options = options,
    .run = run,
    .details =
        "ADDRESS is HOST:PORT, or begins with http:// or https://. Without it, it is admin.listen\n"
        "of the configuration; without that, 127.0.0.1:9464.\n\n"
        "Exit status: 0 if it is well, 1 if it is not, or does not answer; 2 for a wrong command\n"
        "line or configuration. What is not well is printed.\n",
};
