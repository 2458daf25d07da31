/* command_spool.c - see command_spool.h. */
#include "command/spool/command_spool.h"

#include <stdlib.h>
#include <time.h>

#include "base/error.h"
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

/* ---- messages of a spool that a command is to change ---- */

/* A transaction ends behind so much; SQLite lets a publisher poll for its turn, hence the pause. */
#define STEP_BYTES ((int64_t)4 * 1024 * 1024)
#define PAUSE_MS   10

#define CAPACITY_MIN 64

struct spool_chosen {
    int64_t id;
    int64_t bytes;
};

/* ---- choosing ---- */

struct choosing {
    struct spool_choice *choice;
    const struct spool_ids *ids;
    bool failed;
};

static bool grow(struct spool_choice *choice)
{
    size_t capacity = choice->capacity > 0 ? choice->capacity * 2 : CAPACITY_MIN;
    struct spool_chosen *items = realloc(choice->items, capacity * sizeof *items);

    if (!items)
        return false;
    choice->items = items;
    choice->capacity = capacity;
    return true;
}

static bool choose_one(void *user, const struct spool_message *message)
{
    struct choosing *choosing = user;
    struct spool_choice *choice = choosing->choice;

    if (choosing->ids && !spool_ids_have(choosing->ids, message->id))
        return true;
    if (choice->count == choice->capacity && !grow(choice)) {
        choosing->failed = true;
        return false;
    }
    choice->items[choice->count++] =
        (struct spool_chosen){message->id, spool_message_bytes(message)};
    choice->unsent += !message->refused;
    return true;
}

enum warren_status spool_choose(struct spool_choice *choice, struct spool *spool,
                                enum spool_which which, const struct spool_ids *ids,
                                struct warren_error *error)
{
    struct choosing choosing = {choice, ids, false};
    enum warren_status status =
        spool_read(spool, INT64_MIN, which, false, choose_one, &choosing, error);

    return choosing.failed ? error_set(error, WARREN_ENOMEM, "out of memory") : status;
}

void spool_choice_done(struct spool_choice *choice)
{
    free(choice->items);
}

/* ---- changing ---- */

/* @next  the first that is not changed yet. @ret_count: of these that were there */
static enum warren_status change_some(const struct spool_choice *choice, struct spool *spool,
                                      spool_change_fn *change, size_t *next, int64_t *ret_count,
                                      struct warren_error *error)
{
    enum warren_status status = database_begin(spool_database(spool), error);
    int64_t bytes = 0;

    *ret_count = 0;
    if (status != WARREN_OK)
        return status;
    while (status == WARREN_OK && *next < choice->count && bytes < STEP_BYTES) {
        bool done = false;

        status = change(spool, choice->items[*next].id, &done, error);
        bytes += choice->items[(*next)++].bytes;
        *ret_count += done;
    }
    if (status == WARREN_OK)
        return database_commit(spool_database(spool), error);
    database_rollback(spool_database(spool));
    return status;
}

enum warren_status spool_choice_change(const struct spool_choice *choice, struct spool *spool,
                                       spool_change_fn *change, int64_t *ret_count,
                                       struct warren_error *error)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    enum warren_status status = WARREN_OK;
    size_t next = 0;

    *ret_count = 0;
    while (status == WARREN_OK && next < choice->count) {
        int64_t count;

        if (next > 0)
            nanosleep(&pause, NULL);
        status = change_some(choice, spool, change, &next, &count, error);
        if (status == WARREN_OK)
            *ret_count += count;
    }
    return status;
}
