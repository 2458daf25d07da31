/* command_spool.c - see command_spool.h. */
#include "command/spool/command_spool.h"

#include "command/cli/print.h"

/* A publisher that writes all the time leaves few gaps, and SQLite waits for one by polling. */
#define BUSY_TIMEOUT_MS 30000

enum cli_status spool_command_open(struct cli *cli, bool write, const char **ret_path,
                                   struct spool **ret_spool)
{
    struct warren_error error = {WARREN_OK, ""};
    struct database_options options = {
        .path = cli_argument(cli),
        .synchronous = DATABASE_FULL,
        .busy_timeout_ms = BUSY_TIMEOUT_MS,
        .must_exist = true,
        .read_only = !write,
    };

    if (!options.path)
        return cli_usage(cli, "which file? It is the worker's spool.path");
    *ret_path = options.path;
    return spool_open(&options, ret_spool, &error) == WARREN_OK ? CLI_OK : cli_error(cli, &error);
}

bool spool_ids_read(struct cli *cli, struct spool_ids *ids)
{
    const char *text;

    while ((text = cli_argument(cli))) {
        if (ids->count == SPOOL_IDS_MAX)
            return cli_stop(cli, "more than %d messages at once", SPOOL_IDS_MAX);
        if (!cli_parse_number(text, 1, INT64_MAX, &ids->ids[ids->count]))
            return cli_stop(cli, "\"%s\" is no number of a message, as spool list shows it", text);
        ids->count++;
    }
    return true;
}

bool spool_ids_have(const struct spool_ids *ids, int64_t id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (ids->ids[i] == id)
            return true;
    return false;
}

static void put_text(json_t *object, const char *key, struct warren_bytes bytes)
{
    json_t *text = json_stringn(bytes.data ? bytes.data : "", bytes.len);

    json_object_set_new(object, key, text ? text : json_null()); /* no UTF-8: see `show` */
}

json_t *spool_message_json(const struct spool_message *message)
{
    json_t *object = json_object();

    json_object_set_new(object, "id", json_integer(message->id));
    json_object_set_new(object, "spooled_at", cli_json_time(message->at_ms / 1000));
    put_text(object, "message_id", message->message_id);
    put_text(object, "exchange", message->exchange);
    put_text(object, "routing_key", message->routing_key);
    json_object_set_new(object, "mandatory", json_boolean(!(message->flags & SPOOL_OPTIONAL)));
    json_object_set_new(object, "delay_s", json_integer((json_int_t)message->delay_s));
    if (message->delay_s > 0)
        put_text(object, "delay_to", message->delay_to);
    json_object_set_new(object, "body_bytes", json_integer((json_int_t)message->body.len));
    json_object_set_new(object, "refused",
                        message->refused ? cli_json_text(message->refused) : json_null());
    return object;
}

const char *spool_plural(int64_t count)
{
    return count == 1 ? "" : "s";
}
