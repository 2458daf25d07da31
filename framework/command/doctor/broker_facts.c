/* broker_facts.c - see broker_facts.h. */
#include "command/doctor/broker_facts.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/topology/declare.h"

#define RIGHT_TEXT_MAX 600

struct gathering {
    struct broker_facts *facts;
    const struct config *config;
    void (*wait)(void *user, uint64_t done, uint64_t total);
    void *user;
};

void broker_facts_init(struct broker_facts *facts)
{
    *facts = (struct broker_facts){0};
    arena_init(&facts->arena);
}

void broker_facts_done(struct broker_facts *facts)
{
    arena_done(&facts->arena);
    free(facts->notes);
    facts->notes = NULL;
}

void broker_facts_server(struct broker_facts *facts, const char *server)
{
    snprintf(facts->server, sizeof facts->server, "%s", server);
    if (sscanf(server, "RabbitMQ %d.%d", &facts->major, &facts->minor) != 2)
        facts->major = facts->minor = 0;
}

bool broker_facts_at_least(const struct broker_facts *facts, int major, int minor)
{
    return facts->major > major || (facts->major == major && facts->minor >= minor);
}

static const char *copy(struct broker_facts *facts, const char *text)
{
    const char *copied = text ? arena_copy(&facts->arena, text, strlen(text)) : NULL;

    return copied ? copied : "";
}

/* Without memory the worst that was found may be lost: the end of the program. */
void broker_facts_note(struct broker_facts *facts, const struct broker_note *note)
{
    struct broker_note *added;

    if (facts->note_count == facts->note_room) {
        facts->note_room = facts->note_room ? 2 * facts->note_room : 64;
        facts->notes = reallocarray(facts->notes, facts->note_room, sizeof *facts->notes);
        if (!facts->notes)
            abort();
    }
    added = &facts->notes[facts->note_count++];
    *added = *note;
    added->item = copy(facts, note->item);
    added->text = copy(facts, note->text);
    added->why = copy(facts, note->why);
}

/* ---- gathering ---- */

static struct broker_facts *facts_of(void *user)
{
    return ((struct gathering *)user)->facts;
}

/* Whose address is the one that was connected to. */
static void note_login(struct broker_facts *facts, const struct config *config)
{
    char where[sizeof facts->where];
    struct uri uri;

    for (size_t i = 0; i < config->broker.uri_count; i++) {
        if (uri_parse(config->broker.uri[i], &uri, NULL) != WARREN_OK)
            continue;
        if (config->broker.unnamed_vhost)
            uri_use_empty_path(config->broker.uri[i], &uri);
        uri_describe(&uri, where, sizeof where);
        if (strcmp(where, facts->where) != 0)
            continue;
        memcpy(facts->vhost, uri.vhost, sizeof facts->vhost);
        if (strcmp(config->broker.sasl, "external") != 0)
            memcpy(facts->user, uri.user, sizeof facts->user);
        break;
    }
    explicit_bzero(&uri, sizeof uri);
}

static void on_connected(void *user, const struct connection *connection)
{
    struct broker_facts *facts = facts_of(user);
    const struct transport *transport = connection_transport(connection);

    facts->reached = true;
    facts->frame_max = connection_frame_max(connection);
    facts->channels_allowed = connection_channel_max(connection);
    facts->has_certificate = certificate_of_peer(transport, &facts->certificate);
    snprintf(facts->protocol, sizeof facts->protocol, "%s", certificate_protocol(transport));
    snprintf(facts->where, sizeof facts->where, "%s", connection_where(connection));
    note_login(facts, ((const struct gathering *)user)->config);
    broker_facts_server(facts, connection_server(connection));
}

/* "queue 'payments' (quorum, durable)" without what is in brackets, which no name ends with. */
static void note_item(void *user, struct broker_note note, const char *item)
{
    const char *bracket = strstr(item, "' (");
    char name[DECLARE_TEXT_MAX];

    snprintf(name, sizeof name, "%.*s", bracket ? (int)(bracket - item) + 1 : (int)strlen(item),
             item);
    note.item = name;
    broker_facts_note(facts_of(user), &note);
}

static void on_missing(void *user, const char *item)
{
    note_item(user, (struct broker_note){.kind = NOTE_MISSING}, item);
}

static void on_refused(void *user, const char *item, uint16_t code, const char *text)
{
    note_item(user, (struct broker_note){.kind = NOTE_REFUSED, .code = code, .text = text}, item);
}

static void on_few_channels(void *user, uint32_t needed, uint32_t allowed)
{
    facts_of(user)->channels_needed = needed;
    facts_of(user)->channels_allowed = allowed;
}

static void on_limited(void *user, const char *queue, int64_t limit)
{
    broker_facts_note(facts_of(user),
                      &(struct broker_note){.kind = NOTE_LIMITED, .item = queue, .limit = limit});
}

static void on_right(void *user, const struct broker_right *right, enum right_answer answer,
                     const char *text)
{
    char item[RIGHT_TEXT_MAX];

    broker_right_text(&right->right, item, sizeof item);
    broker_facts_note(
        facts_of(user),
        &(struct broker_note){
            .kind = NOTE_RIGHT, .item = item, .text = text, .why = right->why, .answer = answer});
}

static void on_progress(void *user, uint64_t done, uint64_t total)
{
    const struct gathering *gathering = user;

    gathering->wait(gathering->user, done, total);
}

/* A password that goes over a network as it is. */
static bool is_plain_and_far(const char *text)
{
    struct uri uri;
    bool near;

    if (uri_parse(text, &uri, NULL) != WARREN_OK)
        return false;
    near = strcmp(uri.host, "localhost") == 0 || strncmp(uri.host, "127.", 4) == 0 ||
           strcmp(uri.host, "::1") == 0;
    explicit_bzero(uri.password, sizeof uri.password);
    return !uri.tls && !near;
}

void broker_facts_gather(struct broker_facts *facts, const struct config *config,
                         void (*wait)(void *user, uint64_t done, uint64_t total), void *user)
{
    static const struct broker_check_events events = {.connected = on_connected,
                                                      .missing = on_missing,
                                                      .refused = on_refused,
                                                      .few_channels = on_few_channels,
                                                      .progress = on_progress,
                                                      .limited = on_limited,
                                                      .right = on_right};
    struct gathering gathering = {facts, config, wait, user};
    struct warren_error error = {WARREN_OK, ""};

    facts->asked = true;
    for (size_t i = 0; i < config->broker.uri_count; i++)
        facts->plain_far = facts->plain_far || is_plain_and_far(config->broker.uri[i]);
    facts->ended = broker_check(config, "warren doctor", &events, &gathering, &error);
    snprintf(facts->error, sizeof facts->error, "%s", error.text);
}
