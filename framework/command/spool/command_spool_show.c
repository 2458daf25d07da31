#include <inttypes.h>
#include <string.h>

#include "amqp/wire/frame.h"
#include "amqp/wire/properties.h"
#include "command/cli/cli.h"
#include "command/cli/print.h"
#include "command/dlq/dlq_show.h"
#include "command/dump/dump_json.h"
#include "command/spool/command_spool.h"

#define BODY_MAX 4096

struct show {
    struct cli *cli;
    struct spool_ids ids;
    bool whole;
    bool json;
    size_t shown;
    struct arena arena;
    bool failed; /* one of them is damaged, or could not be shown */
};

static const struct cli_option options[] = {
    CLI_FLAG("whole", 'w', "All of the body, not only 4096 bytes", struct show, whole),
    CLI_FLAG("json", 'j', "Print one JSON object a line", struct show, json), CLI_END};

static void write_delay(const struct spool_message *m)
{
    if (m->delay_s == 0)
        return;
    printf("  %-12s %" PRIu32 " s, then to %s ", "delay", m->delay_s,
           m->flags & SPOOL_TO_QUEUE ? "queue" : "exchange");
    cli_write_safe(stdout, m->delay_to.data, m->delay_to.len);
    putchar('\n');
}

static void show_text(const struct show *show, const struct spool_message *m,
                      const struct warren_message *message)
{
    char time[CLI_TIME_SIZE];

    cli_time_text(m->at_ms / 1000, time);
    printf("message %" PRId64 "\n", m->id);
    cli_write_line("message id", m->message_id);
    cli_write_line("exchange", m->exchange);
    cli_write_line("routing key", m->routing_key);
    printf("  %-12s %s\n", "spooled", time);
    write_delay(m);
    if (m->flags & SPOOL_OPTIONAL)
        printf("  %-12s dropped where no queue is bound\n", "optional");
    if (m->refused)
        cli_write_line("refused", warren_text(m->refused));
    dlq_show_message(message, &show->arena, show->whole ? SIZE_MAX : BODY_MAX);
}

static bool show_json(const struct show *show, const struct spool_message *m,
                      const struct warren_message *message)
{
    json_t *object = spool_message_json(m);
    json_t *content = dump_json_message(message, &show->arena);

    if (!content || !object) {
        json_decref(object);
        json_decref(content);
        return false;
    }
    json_object_set_new(object, "message", content);
    cli_print_json(object);
    return true;
}

static bool on_message(void *user, const struct spool_message *m)
{
    struct show *show = user;
    struct warren_message message = {.body = m->body};
    const char *failed = NULL;

    if (!spool_ids_have(&show->ids, m->id))
        return true;
    show->shown++;
    arena_reset(&show->arena);
    /* What cannot be decoded is shown without its properties. */
    if (properties_check(m->properties, &failed) == WARREN_OK &&
        properties_decode(m->properties, &show->arena, &message.properties) != WARREN_OK)
        failed = "its properties cannot be read";
    if (!show->json)
        show_text(show, m, &message);
    else if (!show_json(show, m, &message))
        failed = "it cannot be written as JSON";
    if (!failed)
        failed = m->unsound;
    if (failed)
        cli_failed(show->cli, "message %" PRId64 ": %s", m->id, failed);
    show->failed = show->failed || failed;
    return show->shown < show->ids.count;
}

/* Those that are asked for lie close together, or the rows between them are read over. */
static enum cli_status show_all(struct show *show, struct spool *spool)
{
    struct warren_error error = {WARREN_OK, ""};
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < show->ids.count; i++)
        if (show->ids.ids[i] < first)
            first = show->ids.ids[i];
    if (spool_read(spool, first - 1, SPOOL_ALL, true, on_message, show, &error) != WARREN_OK)
        return cli_error(show->cli, &error);
    if (show->shown < show->ids.count)
        return cli_failed(show->cli, "%zu of %zu messages are not there (any more)",
                          show->ids.count - show->shown, show->ids.count);
    return show->failed ? CLI_FAILED : CLI_OK;
}

static enum cli_status open_and_show(struct show *show)
{
    struct cli *cli = show->cli;
    struct spool *spool = NULL;
    enum cli_status status;
    const char *path;

    status = spool_command_open(cli, false, &path, &spool);
    if (status == CLI_OK && !spool_ids_read(cli, &show->ids))
        status = cli->status;
    else if (status == CLI_OK && show->ids.count == 0)
        status = cli_usage(cli, "which message? warren spool list %s shows their numbers", path);
    if (status == CLI_OK)
        status = show_all(show, spool);
    spool_close(spool);
    return status;
}

static enum cli_status run(struct cli *cli)
{
    struct show show = {.cli = cli};
    enum cli_status status;

    arena_init(&show.arena);
    status = cli_read(cli, &show) ? open_and_show(&show) : cli->status;
    arena_done(&show.arena);
    return status;
}

const struct command command_spool_show = {
    .name = "spool show",
    .arguments = "[OPTION...] FILE ID...",
    .summary = "Show messages that wait on disk, with properties and body",
    .options = options,
    .run = run,
    .details = "ID is the number that warren spool list shows.\n\n"
               "Example:\n"
               "  warren spool show /var/lib/payments/spool.db 17 --json\n",
};
