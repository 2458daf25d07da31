/* handshake.c - see connection_private.h. */
#include "amqp/connection/connection_private.h"

#include <stdio.h>
#include <string.h>

#include "amqp/wire/properties.h"

/* AMQP 0-9-1, section 1.4.2.6: no peer may ask for smaller frames. */
#define FRAME_MIN_SIZE 4096
/* Frames of the handshake, before the limits are agreed upon. */
#define FRAME_FIRST_MAX 131072

static const char *const capabilities[] = {
    "authentication_failure_close", "basic.nack",
    "connection.blocked",           "consumer_cancel_notify",
    "exchange_exchange_bindings",   "publisher_confirms",
};
#define CAPABILITY_COUNT (sizeof capabilities / sizeof capabilities[0])

const char *handshake_recognise(struct warren_bytes received)
{
    const uint8_t *data = received.data;
    size_t len = received.len;

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

/* Its arguments are two version octets, then server-properties. */
bool handshake_start_is_sound(struct warren_bytes arguments, const char **ret_why)
{
    struct warren_bytes table = {(const uint8_t *)arguments.data + 2, arguments.len - 2};

    *ret_why = "it is too short";
    return arguments.len >= 2 && table_check(table, ret_why) == WARREN_OK;
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
    const amqp_table_entry_t *entry = table_entry(table, name);

    if (entry && entry->value.kind == AMQP_FIELD_KIND_UTF8)
        wire_text(entry->value.value.bytes, out, size);
}

void handshake_server(const amqp_connection_start_t *start, char *text, size_t size)
{
    char product[32] = "";
    char version[24] = "";

    copy_field(&start->server_properties, "product", product, sizeof product);
    copy_field(&start->server_properties, "version", version, sizeof version);
    snprintf(text, size, "%s %s", product, version);
}

bool handshake_offers(const amqp_connection_start_t *start, const char *mechanism)
{
    const char *at = start->mechanisms.bytes; /* words separated by blanks */
    const char *end = at + start->mechanisms.len;
    size_t len = strlen(mechanism);

    while (at < end) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        const char *stop = blank ? blank : end;

        if ((size_t)(stop - at) == len && memcmp(at, mechanism, len) == 0)
            return true;
        at = stop + 1;
    }
    return false;
}

enum warren_status handshake_put_start_ok(struct buffer *out, const struct handshake_login *login)
{
    char response[1024];
    int response_len = 0;
    enum warren_status status;
    amqp_table_entry_t known[CAPABILITY_COUNT];
    amqp_table_entry_t properties[6] = {
        text_entry("product", "warren"),
        text_entry("version", warren_version()),
        text_entry("platform", "C11, Linux"),
        text_entry("information", "MIT licence"),
        text_entry("connection_name", login->connection_name),
        {.key = amqp_cstring_bytes("capabilities")},
    };
    amqp_connection_start_ok_t start_ok = {
        .client_properties = {6, properties},
        .mechanism = amqp_cstring_bytes(login->user ? "PLAIN" : "EXTERNAL"),
        .locale = amqp_cstring_bytes("en_US"),
    };

    for (size_t i = 0; i < CAPABILITY_COUNT; i++) {
        known[i] = (amqp_table_entry_t){.key = amqp_cstring_bytes(capabilities[i])};
        known[i].value.kind = AMQP_FIELD_KIND_BOOLEAN;
        known[i].value.value.boolean = 1;
    }
    properties[5].value.kind = AMQP_FIELD_KIND_TABLE;
    properties[5].value.value.table = (amqp_table_t){CAPABILITY_COUNT, known};
    if (login->user) /* RFC 4616: authzid NUL authcid NUL password */
        response_len =
            snprintf(response, sizeof response, "%c%s%c%s", 0, login->user, 0, login->password);
    if (response_len < 0 || (size_t)response_len >= sizeof response)
        return WARREN_ETOOBIG;
    start_ok.response = (amqp_bytes_t){(size_t)response_len, response};
    status = frame_put_method(out, 0, AMQP_CONNECTION_START_OK_METHOD, &start_ok, FRAME_FIRST_MAX);
    explicit_bzero(response, sizeof response);
    return status;
}

/* ---- connection.tune ---- */

/* Zero means "no limit" on either side. */
static uint32_t lower_limit(uint32_t ours, uint32_t theirs)
{
    return theirs == 0 || ours < theirs ? ours : theirs;
}

enum warren_status handshake_agree(const struct handshake_limits *wanted,
                                   const amqp_connection_tune_t *offered,
                                   struct handshake_limits *agreed)
{
    uint32_t theirs = offered->frame_max;

    if (theirs != 0 && theirs < FRAME_MIN_SIZE)
        return WARREN_EPROTOCOL;
    agreed->frame_max = lower_limit(wanted->frame_max, theirs);
    agreed->channel_max = (uint16_t)lower_limit(wanted->channel_max, offered->channel_max);
    agreed->heartbeat_s = wanted->heartbeat_s;
    if (wanted->heartbeat_s != 0)
        agreed->heartbeat_s = (uint16_t)lower_limit(wanted->heartbeat_s, offered->heartbeat);
    return WARREN_OK;
}

/* ---- connection.close ---- */

void handshake_close_text(const amqp_connection_close_t *close, char *text, size_t size)
{
    char words[WIRE_SHORT_TEXT];

    wire_text(close->reply_text, words, sizeof words);
    snprintf(text, size, "%u %s", close->reply_code, words);
}

/* ---- writing ---- */

enum warren_status handshake_put_header(struct buffer *out)
{
    static const uint8_t protocol_header[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};

    return buffer_append(out, protocol_header, sizeof protocol_header);
}

enum warren_status handshake_put_open(struct buffer *out, const struct handshake_limits *agreed,
                                      const char *vhost)
{
    amqp_connection_tune_ok_t tune_ok = {agreed->channel_max, agreed->frame_max,
                                         agreed->heartbeat_s};
    amqp_connection_open_t open = {.virtual_host = amqp_cstring_bytes(vhost)};
    enum warren_status status =
        frame_put_method(out, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &tune_ok, agreed->frame_max);

    if (status != WARREN_OK)
        return status;
    return frame_put_method(out, 0, AMQP_CONNECTION_OPEN_METHOD, &open, agreed->frame_max);
}

enum warren_status handshake_put_close(struct buffer *out)
{
    amqp_connection_close_t close = {
        .reply_code = AMQP_REPLY_SUCCESS,
        .reply_text = amqp_cstring_bytes("closed by the client"),
    };

    return frame_put_method(out, 0, AMQP_CONNECTION_CLOSE_METHOD, &close, FRAME_FIRST_MAX);
}

enum warren_status handshake_put_close_ok(struct buffer *out)
{
    amqp_connection_close_ok_t close_ok = {0};

    return frame_put_method(out, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &close_ok, FRAME_FIRST_MAX);
}
