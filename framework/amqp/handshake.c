/* handshake.c - channel 0: greeting, tuning, opening, blocked, closing (AMQP 0-9-1, sections 1.4
 * and 2.2.4; RabbitMQ's capabilities: https://www.rabbitmq.com/docs/consumers#capabilities).
 */
#include "amqp/connection_private.h"

#include <stdio.h>
#include <string.h>

/* RabbitMQ accepts no smaller frames than these (AMQP 0-9-1, section 1.4.2.6). */
#define FRAME_MIN_SIZE 4096
#define CHANNEL_MAX    2047

static const char *const capabilities[] = {
    "authentication_failure_close", "basic.nack",
    "connection.blocked",           "consumer_cancel_notify",
    "exchange_exchange_bindings",   "publisher_confirms",
};
#define CAPABILITY_COUNT (sizeof capabilities / sizeof capabilities[0])

static void send_method(struct connection *c, uint32_t id, void *decoded)
{
    enum warren_status status = frame_put_method(&c->out, 0, id, decoded, c->frame_max);

    if (status != WARREN_OK)
        connection_fail(c, status, "cannot send %s: %s", amqp_method_name(id),
                        warren_status_name(status));
    else
        connection_wrote(c);
}

void handshake_begin(struct connection *c)
{
    static const uint8_t protocol_header[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};

    c->frame_max = c->numbers.frame_max;
    c->heartbeat_s = 0;
    if (buffer_append(&c->out, protocol_header, sizeof protocol_header) != WARREN_OK)
        connection_fail(c, WARREN_ENOMEM, "out of memory");
    else
        connection_wrote(c);
}

const char *handshake_recognise(const uint8_t *data, size_t len)
{
    if (len >= 8 && memcmp(data, "AMQP", 4) == 0)
        return "the broker speaks another version of AMQP than 0-9-1";
    if (len >= 4 && memcmp(data, "HTTP", 4) == 0)
        return "the peer is a web server, not an AMQP broker (is this the port of its AMQP "
               "listener, by default 5672?)";
    if (len >= 2 && (data[0] == 0x15 || data[0] == 0x16) && data[1] == 0x03)
        return "the peer speaks TLS: use amqps://";
    if (len >= 4 && memcmp(data, "SSH-", 4) == 0)
        return "the peer is an SSH server, not an AMQP broker";
    return "the peer does not speak AMQP";
}

/* ---- connection.start ---- */

static amqp_table_entry_t text_entry(const char *name, const char *text)
{
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(name)};

    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(text);
    return entry;
}

static void copy_field(const amqp_table_t *table, const char *name, char *out, size_t size)
{
    for (int i = 0; i < table->num_entries; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];

        if (entry->key.len == strlen(name) && memcmp(entry->key.bytes, name, entry->key.len) == 0 &&
            entry->value.kind == AMQP_FIELD_KIND_UTF8)
            snprintf(out, size, "%.*s",
                     (int)(entry->value.value.bytes.len < size ? entry->value.value.bytes.len
                                                               : size - 1),
                     (const char *)entry->value.value.bytes.bytes);
    }
}

/* @list is words separated by blanks. */
static bool lists_word(amqp_bytes_t list, const char *word)
{
    const char *at = list.bytes;
    const char *end = at + list.len;
    size_t len = strlen(word);

    while (at < end) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        const char *stop = blank ? blank : end;

        if ((size_t)(stop - at) == len && memcmp(at, word, len) == 0)
            return true;
        at = stop + 1;
    }
    return false;
}

static void send_start_ok(struct connection *c)
{
    const struct uri *uri = &c->uris[c->uri_current];
    char response[2 * URI_PART_MAX + 2];
    int response_len = 0;
    amqp_table_entry_t known[CAPABILITY_COUNT];
    amqp_table_entry_t properties[6] = {
        text_entry("product", "warren"),        text_entry("version", warren_version()),
        text_entry("platform", "C11, Linux"),   text_entry("information", "MIT licence"),
        text_entry("connection_name", c->name), {.key = amqp_cstring_bytes("capabilities")},
    };
    amqp_connection_start_ok_t start_ok = {
        .client_properties = {6, properties},
        .mechanism = amqp_cstring_bytes(c->sasl_external ? "EXTERNAL" : "PLAIN"),
        .locale = amqp_cstring_bytes("en_US"),
    };

    for (size_t i = 0; i < CAPABILITY_COUNT; i++) {
        known[i] = (amqp_table_entry_t){.key = amqp_cstring_bytes(capabilities[i])};
        known[i].value.kind = AMQP_FIELD_KIND_BOOLEAN;
        known[i].value.value.boolean = 1;
    }
    properties[5].value.kind = AMQP_FIELD_KIND_TABLE;
    properties[5].value.value.table = (amqp_table_t){CAPABILITY_COUNT, known};
    if (!c->sasl_external) /* RFC 4616: authzid NUL authcid NUL password */
        response_len =
            snprintf(response, sizeof response, "%c%s%c%s", 0, uri->user, 0, uri->password);
    start_ok.response = (amqp_bytes_t){(size_t)response_len, response};
    send_method(c, AMQP_CONNECTION_START_OK_METHOD, &start_ok);
    explicit_bzero(response, sizeof response);
}

static void on_start(struct connection *c, const amqp_connection_start_t *start)
{
    const char *mechanism = c->sasl_external ? "EXTERNAL" : "PLAIN";
    char product[32] = "";
    char version[24] = "";

    copy_field(&start->server_properties, "product", product, sizeof product);
    copy_field(&start->server_properties, "version", version, sizeof version);
    snprintf(c->server, sizeof c->server, "%s %s", product, version);
    if (!lists_word(start->mechanisms, mechanism)) {
        char text[CONNECTION_TEXT_MAX];

        snprintf(text, sizeof text, "the broker does not offer SASL %s, only: %.*s", mechanism,
                 (int)(start->mechanisms.len < 200 ? start->mechanisms.len : 200),
                 (const char *)start->mechanisms.bytes);
        connection_fail_code(c, AMQP_ACCESS_REFUSED, 0, text);
        return;
    }
    connection_enter(c, CONNECTION_TUNING);
    send_start_ok(c);
}

/* ---- connection.tune ---- */

/* Zero means "no limit" on either side. */
static uint32_t lower_limit(uint32_t ours, uint32_t theirs)
{
    return theirs == 0 || ours < theirs ? ours : theirs;
}

static void on_tune(struct connection *c, const amqp_connection_tune_t *tune)
{
    const struct uri *uri = &c->uris[c->uri_current];
    uint32_t theirs = tune->frame_max;
    amqp_connection_tune_ok_t tune_ok;
    amqp_connection_open_t open = {.virtual_host = amqp_cstring_bytes(uri->vhost)};

    if (theirs != 0 && theirs < FRAME_MIN_SIZE) {
        connection_fail(c, WARREN_EPROTOCOL, "the broker offers frames of %u bytes, below %d",
                        theirs, FRAME_MIN_SIZE);
        return;
    }
    c->frame_max = lower_limit(c->numbers.frame_max, theirs);
    c->channel_max = (uint16_t)lower_limit(CHANNEL_MAX, tune->channel_max);
    c->heartbeat_s = (uint16_t)c->numbers.heartbeat_s;
    if (c->heartbeat_s != 0)
        c->heartbeat_s = (uint16_t)lower_limit(c->heartbeat_s, tune->heartbeat);
    tune_ok = (amqp_connection_tune_ok_t){c->channel_max, c->frame_max, c->heartbeat_s};
    connection_enter(c, CONNECTION_OPENING);
    send_method(c, AMQP_CONNECTION_TUNE_OK_METHOD, &tune_ok);
    send_method(c, AMQP_CONNECTION_OPEN_METHOD, &open);
}

/* ---- an open connection ---- */

static void on_close(struct connection *c, const amqp_connection_close_t *close)
{
    amqp_connection_close_ok_t close_ok = {0};
    char text[CONNECTION_TEXT_MAX];

    snprintf(text, sizeof text, "%u %.*s", close->reply_code,
             (int)(close->reply_text.len < 255 ? close->reply_text.len : 255),
             (const char *)close->reply_text.bytes);
    send_method(c, AMQP_CONNECTION_CLOSE_OK_METHOD, &close_ok);
    connection_io_flush(c);
    connection_fail_code(c, close->reply_code, (uint32_t)close->class_id << 16 | close->method_id,
                         text);
}

static void set_blocked(struct connection *c, bool blocked, amqp_bytes_t reason)
{
    char text[256];

    snprintf(text, sizeof text, "%.*s", (int)(reason.len < 255 ? reason.len : 255),
             reason.len ? (const char *)reason.bytes : "");
    if (c->blocked == blocked)
        return;
    c->blocked = blocked;
    if (c->events.blocked)
        c->events.blocked(c->user, blocked, text);
}

void handshake_close(struct connection *c)
{
    amqp_connection_close_t close = {
        .reply_code = AMQP_REPLY_SUCCESS,
        .reply_text = amqp_cstring_bytes("closed by the client"),
    };

    send_method(c, AMQP_CONNECTION_CLOSE_METHOD, &close);
}

/* ---- which method is allowed when ---- */

static const struct {
    uint32_t id;
    unsigned states;
} expected[] = {
    {AMQP_CONNECTION_START_METHOD, 1u << CONNECTION_GREETING},
    {AMQP_CONNECTION_TUNE_METHOD, 1u << CONNECTION_TUNING},
    {AMQP_CONNECTION_OPEN_OK_METHOD, 1u << CONNECTION_OPENING},
    {AMQP_CONNECTION_CLOSE_METHOD, 1u << CONNECTION_TUNING | 1u << CONNECTION_OPENING |
                                       1u << CONNECTION_OPEN | 1u << CONNECTION_CLOSING},
    {AMQP_CONNECTION_CLOSE_OK_METHOD, 1u << CONNECTION_CLOSING},
    {AMQP_CONNECTION_BLOCKED_METHOD, 1u << CONNECTION_OPEN | 1u << CONNECTION_CLOSING},
    {AMQP_CONNECTION_UNBLOCKED_METHOD, 1u << CONNECTION_OPEN | 1u << CONNECTION_CLOSING},
};

static bool is_expected(const struct connection *c, uint32_t id)
{
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (expected[i].id == id)
            return (expected[i].states & (1u << c->state)) != 0;
    }
    return false;
}

static void on_method(struct connection *c, uint32_t id, void *decoded)
{
    switch (id) {
    case AMQP_CONNECTION_START_METHOD:
        on_start(c, decoded);
        break;
    case AMQP_CONNECTION_TUNE_METHOD:
        on_tune(c, decoded);
        break;
    case AMQP_CONNECTION_OPEN_OK_METHOD:
        connection_opened(c);
        break;
    case AMQP_CONNECTION_CLOSE_METHOD:
        on_close(c, decoded);
        break;
    case AMQP_CONNECTION_CLOSE_OK_METHOD:
        connection_fail(c, WARREN_ECLOSED, "closed");
        break;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        set_blocked(c, true, ((amqp_connection_blocked_t *)decoded)->reason);
        break;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        set_blocked(c, false, amqp_empty_bytes);
        break;
    default:
        break;
    }
}

/* The server's table is the one nested thing a connection method brings: proved before decoding. */
static bool start_is_sound(const struct frame *frame, const char **why)
{
    struct warren_bytes table = {(const uint8_t *)frame->payload.data + 6, 0};

    if (frame->payload.len < 6) {
        *why = "connection.start is too short";
        return false;
    }
    table.len = frame->payload.len - 6;
    return table_check(table, why) == WARREN_OK;
}

void handshake_frame(struct connection *c, const struct frame *frame)
{
    const uint8_t *payload = frame->payload.data;
    const char *why = "";
    void *decoded = NULL;
    amqp_bytes_t encoded;
    uint32_t id;

    if (frame->type != FRAME_METHOD) {
        connection_fail(c, WARREN_EPROTOCOL, "the peer sent content on channel 0");
        return;
    }
    id = (uint32_t)payload[0] << 24 | (uint32_t)payload[1] << 16 | (uint32_t)payload[2] << 8 |
         payload[3];
    if (!is_expected(c, id)) {
        connection_fail(c, WARREN_EPROTOCOL, "the peer sent method %u.%u on channel 0 while %s",
                        id >> 16, id & 0xffff, connection_state_name(c->state));
        return;
    }
    if (id == AMQP_CONNECTION_START_METHOD && !start_is_sound(frame, &why)) {
        connection_fail(c, WARREN_EPROTOCOL, "connection.start: %s", why);
        return;
    }
    encoded = (amqp_bytes_t){frame->payload.len - 4, (void *)(uintptr_t)(payload + 4)};
    if (amqp_decode_method(id, &c->pool, encoded, &decoded) != 0)
        connection_fail(c, WARREN_EPROTOCOL, "the peer sent a malformed %s", amqp_method_name(id));
    else
        on_method(c, id, decoded);
    recycle_amqp_pool(&c->pool);
}
