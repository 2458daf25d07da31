#include "amqp/topology/limit_probe.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/topology/declare.h"

/* Of a quorum queue without the argument. */
#define STANDING_LIMIT 20
#define STANDING_SINCE 4

/* What takes a restart a second for eleven days is none. */
#define LIMIT_MANY INT64_C(1000000)

#define LOCKED              405
#define PRECONDITION_FAILED 406

/* A queue of another kind knows no limit, and names one of these first. */
static const char *const of_others[] = {"durable", "auto_delete", "exclusive", "x-queue-type"};

/* ---- what the broker says ---- */

static bool is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* The last @what in @text, or NULL: values may be anything. */
static const char *find_last(const char *text, const char *what)
{
    const char *found = NULL;

    for (const char *at = text; (at = strstr(at, what)); at++)
        found = at;
    return found;
}

static int64_t read_limit(const char *text, int64_t standing)
{
    static const char *const before[] = {"but current is the value '", "but current is '"};

    if (find_last(text, "but current is none"))
        return standing;
    for (size_t i = 0; i < 2; i++) {
        const char *value = find_last(text, before[i]);
        char *end;
        long long limit;

        if (!value)
            continue;
        limit = strtoll(value + strlen(before[i]), &end, 10);
        if (*end != '\'')
            return LIMIT_UNKNOWN;
        return limit >= 0 && limit < LIMIT_MANY ? limit : LIMIT_NONE;
    }
    return LIMIT_UNKNOWN;
}

/* "received none but current is the value 'VALUE' of type 'TYPE'". RabbitMQ takes integers of all
 * sizes for equal. */
static bool read_argument(const char *name, size_t name_len, const char *text, struct arena *arena,
                          struct warren_field *ret_added)
{
    static const char begin[] = "received none but current is the value '";
    static const char middle[] = "' of type '";
    const char *value = strstr(text, begin);
    const char *type = find_last(text, middle);
    const char *value_text;
    const char *end;
    size_t type_len;

    if (!value || !type || (value += strlen(begin)) > type)
        return false;
    value_text = arena_text(arena, value, (size_t)(type - value));
    name = arena_text(arena, name, name_len);
    type += strlen(middle);
    end = strchr(type, '\'');
    if (!value_text || !name || !end)
        return false;
    type_len = (size_t)(end - type);
    if (is_word(type, type_len, "longstr"))
        *ret_added = warren_field_text(name, value_text);
    else if (is_word(type, type_len, "bool"))
        *ret_added = warren_field_bool(name, strcmp(value_text, "true") == 0);
    else
        *ret_added = warren_field_i64(name, strtoll(value_text, NULL, 10));
    return true;
}

int64_t limit_probe_read(const char *text, int64_t standing, struct arena *arena,
                         struct warren_field *ret_added)
{
    static const char begin[] = "inequivalent arg '";
    const char *name = strstr(text, begin);
    size_t len;

    *ret_added = (struct warren_field){0};
    if (!name)
        return LIMIT_UNKNOWN;
    name += strlen(begin);
    len = strcspn(name, "'");
    if (is_word(name, len, CONFIG_DELIVERY_LIMIT))
        return read_limit(text, standing);
    for (size_t i = 0; i < sizeof of_others / sizeof *of_others; i++)
        if (is_word(name, len, of_others[i]))
            return LIMIT_NONE;
    read_argument(name, len, text, arena, ret_added);
    return LIMIT_UNKNOWN;
}

/* ---- asking ---- */

static void answer(struct limit_probe *probe, int64_t limit)
{
    limit_probe_done(probe);
    probe->answer(probe->user, limit);
}

static void on_open(void *user)
{
    struct limit_probe *probe = user;
    size_t count = probe->added_count;
    struct warren_field fields[LIMIT_PROBE_ADDED_MAX + 2];
    struct config_queue queue = {
        .name = probe->queue, .type = "quorum", .durable = true, .arguments = {fields, count + 2}};
    struct arena arena;
    struct declare_to to = {.channel = probe->channel, .scratch = &arena};

    memcpy(fields, probe->added, count * sizeof *fields);
    fields[count] = warren_field_text(CONFIG_DELIVERY_LIMIT, "?");
    /* A stream's: so it is never created. */
    fields[count + 1] = warren_field_text("x-max-age", "?");
    arena_init(&arena);
    if (declare_send(&to, &(struct declare_item){.queue = &queue}, NULL) != WARREN_OK)
        answer(probe, LIMIT_UNKNOWN);
    arena_done(&arena);
}

static int64_t standing_limit(const struct limit_probe *probe)
{
    return connection_server_at_least(probe->connection, STANDING_SINCE, 0) ? STANDING_LIMIT
                                                                            : LIMIT_NONE;
}

static void on_lost(void *user, const struct channel_loss *loss)
{
    struct limit_probe *probe = user;
    struct warren_field added = {0};
    int64_t limit = LIMIT_UNKNOWN;

    if (loss->code == 0 && !loss->unanswered)
        return;
    if (loss->code == LOCKED) /* it is exclusive, and so no quorum queue */
        limit = LIMIT_NONE;
    else if (loss->code == PRECONDITION_FAILED)
        limit = limit_probe_read(loss->text, standing_limit(probe), &probe->arena, &added);
    if (!added.name || probe->added_count == LIMIT_PROBE_ADDED_MAX) {
        answer(probe, limit);
        return;
    }
    probe->added[probe->added_count++] = added;
    channel_reopen_now(probe->channel);
}

enum warren_status limit_probe_start(struct limit_probe *probe, struct connection *connection,
                                     const char *queue, limit_probe_fn *answer_fn, void *user)
{
    static const struct channel_events events = {.open = on_open, .lost = on_lost};

    *probe = (struct limit_probe){
        .connection = connection, .queue = queue, .answer = answer_fn, .user = user};
    arena_init(&probe->arena);
    return channel_new(connection, &events, probe, &probe->channel);
}

void limit_probe_done(struct limit_probe *probe)
{
    channel_free(probe->channel);
    probe->channel = NULL;
    arena_done(&probe->arena);
    probe->added_count = 0;
}
