#include "support/amqp_rig.h"

#include "amqp/wire/frame.h"
#include "amqp/wire/wire.h"
#include "support/test.h"

#define ANSWER_MS 20000

static void on_tick(void *arg)
{
    struct rig *rig = arg;

    loop_stop(rig->loop);
}

static void on_connection_open(void *user)
{
    struct rig *rig = user;

    if (rig->opened)
        rig->opened(rig->user);
}

static void on_connection_lost(void *user, const struct connection_loss *loss)
{
    struct rig *rig = user;

    rig->losses++;
    snprintf(rig->why, sizeof rig->why, "%s", loss->text);
}

static void on_connection_closed(void *user)
{
    ((struct rig *)user)->closed = true;
}

static void on_channel_open(void *user)
{
    (void)user;
}

static void on_channel_lost(void *user, const struct channel_loss *loss)
{
    ((struct rig *)user)->refused = loss->code;
}

static void on_answer(void *user, void *decoded)
{
    (void)decoded;
    ((struct rig *)user)->answered = true;
}

static void on_declared(void *user, void *decoded)
{
    ((struct rig *)user)->message_count = ((amqp_queue_declare_ok_t *)decoded)->message_count;
    on_answer(user, decoded);
}

amqp_bytes_t rig_text(const char *text)
{
    return (amqp_bytes_t){strlen(text), (void *)(uintptr_t)text};
}

struct rig *rig_new(const char *uri)
{
    return rig_new_with(uri, NULL);
}

struct rig *rig_new_with(const char *uri, void (*adjust)(struct connection_options *options))
{
    static const struct connection_events events = {
        .open = on_connection_open, .lost = on_connection_lost, .closed = on_connection_closed};
    static const struct channel_events channel_events = {.open = on_channel_open,
                                                         .lost = on_channel_lost};
    struct rig *rig = calloc(1, sizeof *rig);
    struct connection_options options;
    struct uri parsed;

    assert_non_null(rig);
    rig->name = unique_name("rig");
    assert_int_equal(uri_parse(uri, &parsed, NULL), WARREN_OK);
    connection_options_init(&options);
    options.name = rig->name;
    options.uris = &parsed;
    options.uri_count = 1;
    if (adjust)
        adjust(&options);
    assert_int_equal(loop_new(clock_monotonic(), &rig->loop), WARREN_OK);
    assert_int_equal(loop_timer_init(&rig->tick, rig->loop, on_tick, rig), WARREN_OK);
    assert_int_equal(connection_new(rig->loop, &options, &events, rig, &rig->connection, NULL),
                     WARREN_OK);
    assert_int_equal(channel_new(rig->connection, &channel_events, rig, &rig->channel), WARREN_OK);
    connection_start(rig->connection);
    assert_true(RIG_UNTIL(rig, channel_is_open(rig->channel), ANSWER_MS));
    return rig;
}

void rig_free(struct rig *rig)
{
    if (!rig)
        return;
    channel_free(rig->channel);
    connection_close(rig->connection, 5000);
    assert_true(RIG_UNTIL(rig, rig->closed, ANSWER_MS));
    connection_free(rig->connection);
    loop_timer_done(&rig->tick);
    loop_free(rig->loop);
    free(rig->name);
    free(rig);
}

void rig_turn(struct rig *rig)
{
    loop_timer_arm_ms(&rig->tick, 1);
    loop_run(rig->loop);
}

uint16_t rig_call(struct rig *rig, uint32_t id, void *decoded)
{
    assert_true(RIG_UNTIL(rig, channel_is_open(rig->channel), ANSWER_MS));
    rig->answered = false;
    rig->refused = 0;
    assert_int_equal(channel_call(rig->channel, id, decoded,
                                  id == AMQP_QUEUE_DECLARE_METHOD ? on_declared : on_answer, rig),
                     WARREN_OK);
    assert_true(RIG_UNTIL(rig, rig->answered || rig->refused, ANSWER_MS));
    return rig->refused;
}

void rig_declare_queue(struct rig *rig, const char *queue, const char *type, const char *dlq)
{
    amqp_table_entry_t entries[3];
    amqp_queue_declare_t declare = {.queue = rig_text(queue), .durable = true};

    for (size_t i = 0; i < 3; i++)
        entries[i].value.kind = AMQP_FIELD_KIND_UTF8;
    entries[0].key = rig_text("x-queue-type");
    entries[0].value.value.bytes = rig_text(type);
    entries[1].key = rig_text("x-dead-letter-exchange");
    entries[1].value.value.bytes = rig_text("");
    entries[2].key = rig_text("x-dead-letter-routing-key");
    entries[2].value.value.bytes = rig_text(dlq ? dlq : "");
    declare.arguments = (amqp_table_t){dlq ? 3 : 1, entries};
    assert_int_equal(rig_call(rig, AMQP_QUEUE_DECLARE_METHOD, &declare), 0);
}

void rig_delete_queue(struct rig *rig, const char *queue)
{
    amqp_queue_delete_t delete = {.queue = rig_text(queue)};

    assert_int_equal(rig_call(rig, AMQP_QUEUE_DELETE_METHOD, &delete), 0);
}

int rig_messages(struct rig *rig, const char *queue)
{
    amqp_queue_declare_t declare = {.queue = rig_text(queue), .passive = true};

    if (rig_call(rig, AMQP_QUEUE_DECLARE_METHOD, &declare) != 0)
        return -1;
    return (int)rig->message_count;
}

void rig_publish(struct rig *rig, const char *queue, const void *body, size_t len)
{
    struct buffer *out = connection_out(rig->connection);
    uint16_t number = channel_number(rig->channel);
    amqp_basic_publish_t publish = {.routing_key = rig_text(queue)};
    uint8_t header[15] = {0, AMQP_BASIC_CLASS};
    size_t most = connection_frame_max(rig->connection) - FRAME_OVERHEAD;

    wire_put_u32(header + 8, (uint32_t)len); /* of 64 bits; tests stay below 4 GiB */
    wire_put_u16(header + 12, 0x1000);       /* delivery-mode alone */
    header[14] = 2;
    assert_int_equal(channel_send(rig->channel, AMQP_BASIC_PUBLISH_METHOD, &publish), WARREN_OK);
    assert_int_equal(frame_put(out, FRAME_HEADER, number, header, sizeof header), WARREN_OK);
    for (size_t at = 0; at < len; at += most) {
        size_t chunk = len - at < most ? len - at : most;

        assert_int_equal(frame_put(out, FRAME_BODY, number, (const uint8_t *)body + at, chunk),
                         WARREN_OK);
    }
    connection_wrote(rig->connection);
}
