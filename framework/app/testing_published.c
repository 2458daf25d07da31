#include "app/testing_published.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "base/error.h"
#include "publish/message/record.h"

/* As the names of exchanges and routing keys are on the wire. */
#define NAME_MAX_BYTES 255

/* The window of a publisher with default options. */
#define BYTES_MAX ((size_t)64 << 20)

enum warren_status testing_published_init(struct testing_published *published)
{
    *published = (struct testing_published){.status = WARREN_OK, .result = WARREN_CONFIRMED};
    arena_init(&published->arena);
    published->items = calloc(WARREN_TEST_PUBLISHED_MAX, sizeof *published->items);
    return published->items ? WARREN_OK : WARREN_ENOMEM;
}

void testing_published_done(struct testing_published *published)
{
    free(published->items);
    arena_done(&published->arena);
}

void testing_published_clear(struct testing_published *published)
{
    published->count = 0;
    arena_reset(&published->arena);
}

/* To the wire and back: what the publisher would refuse is refused, and the rest is copied. */
static enum warren_status copy_properties(const struct warren_properties *from,
                                          const struct arena *texts, struct arena *arena,
                                          struct warren_properties *to)
{
    struct warren_bytes encoded;
    struct arena scratch;
    struct buffer out;
    enum warren_status status;

    arena_init(&scratch);
    buffer_init(&out, 2 * RECORD_FRAME_MAX);
    status = properties_encode(from, texts, RECORD_FRAME_MAX, &scratch, &out, NULL);
    encoded = (struct warren_bytes){buffer_front(&out), buffer_len(&out)};
    if (status == WARREN_OK)
        status = properties_decode(encoded, arena, to);
    buffer_done(&out);
    arena_done(&scratch);
    return status;
}

static enum warren_status copy_message(const struct warren_message *from, const struct arena *texts,
                                       struct arena *arena, struct warren_message *to)
{
    if (from->body.len > 0 && !from->body.data)
        return WARREN_EINVAL;
    if (from->body.len > BYTES_MAX)
        return WARREN_ETOOBIG;
    to->body.len = from->body.len;
    to->body.data = arena_copy(arena, from->body.data, from->body.len);
    return to->body.data ? copy_properties(&from->properties, texts, arena, &to->properties)
                         : WARREN_ENOMEM;
}

static enum warren_status copy_name(const char *from, const struct arena *texts,
                                    struct arena *arena, const char **to)
{
    struct warren_bytes name = arena_bytes(texts, from);

    if (name.len > NAME_MAX_BYTES)
        return WARREN_EINVAL;
    *to = arena_text(arena, name.data, name.len);
    return *to ? WARREN_OK : WARREN_ENOMEM;
}

/* By the default options. */
static bool may_be_delayed(const struct warren_message *message, int64_t delay_ms)
{
    const char *expiration = message->properties.expiration;
    struct warren_publisher_options options;

    warren_publisher_options_init(&options);
    return delay_ms <= 0 ||
           ((!expiration || !*expiration) && (uint64_t)delay_ms <= options.delay_longest_ms);
}

/* What the publisher itself would say, before the broker is asked. */
static enum warren_status keep(struct testing_published *published,
                               const struct warren_publish *what, const struct arena *texts,
                               int64_t delay_ms)
{
    struct warren_test_published *item = &published->items[published->count];
    enum warren_status status;

    if (published->count == WARREN_TEST_PUBLISHED_MAX)
        return WARREN_EFULL;
    if (!what->message || !may_be_delayed(what->message, delay_ms))
        return WARREN_EINVAL;
    *item = (struct warren_test_published){.reply = what->optional,
                                           .attempt = published->attempt,
                                           .status = published->status,
                                           .result = published->result,
                                           .delay_ms = delay_ms > 0 ? delay_ms : 0};
    status = copy_name(what->exchange, texts, &published->arena, &item->exchange);
    if (status == WARREN_OK)
        status = copy_name(what->routing_key, texts, &published->arena, &item->routing_key);
    if (status == WARREN_OK)
        status = copy_message(what->message, texts, &published->arena, &item->message);
    if (status != WARREN_OK)
        return status;
    published->count++;
    return published->status;
}

static void tell(const struct testing_published *published, warren_receipt_fn *receipt, void *user)
{
    const struct warren_test_published *item = &published->items[published->count - 1];
    const char *message_id = item->message.properties.message_id;
    const struct warren_receipt said = {
        .result = published->result,
        .message_id = message_id ? message_id : "",
        .reply_code = published->result == WARREN_RETURNED ? 312 : 0,
        .reply_text = published->result == WARREN_RETURNED ? "NO_ROUTE" : "",
        .sends = published->result == WARREN_EXPIRED ? 0 : 1,
        .exchange = item->exchange,
        .routing_key = item->routing_key,
        .message_id_bytes = arena_bytes(&published->arena, message_id ? message_id : ""),
        .exchange_bytes = arena_bytes(&published->arena, item->exchange),
        .routing_key_bytes = arena_bytes(&published->arena, item->routing_key),
    };

    receipt(&said, user);
}

enum warren_status testing_publish(struct warren_publisher *publisher,
                                   const struct warren_publish *what, const struct arena *texts,
                                   int64_t delay_ms, int64_t most_ms, warren_receipt_fn *receipt,
                                   void *receipt_user)
{
    struct testing_published *published = (struct testing_published *)(void *)publisher;
    enum warren_status status = keep(published, what, texts, delay_ms);

    (void)most_ms; /* no time passes */
    if (status == WARREN_OK)
        tell(published, receipt, receipt_user);
    return status;
}

enum warren_status testing_append(struct warren_publisher *publisher,
                                  const struct warren_publish *what, const struct arena *texts,
                                  int64_t delay_ms, struct warren_outbox *outbox,
                                  struct warren_error *error)
{
    struct testing_published *published = (struct testing_published *)(void *)publisher;
    enum warren_status status = keep(published, what, texts, delay_ms);

    (void)outbox;
    return status == WARREN_OK ? WARREN_OK : error_set(error, status, "the test has it so");
}

/* ---- dead letters ---- */

/* NULL: there is none, or no memory. */
static const char *note_of(struct testing_published *published, const char *name)
{
    const struct warren_table *headers = &published->dead.message.properties.headers;
    const struct warren_value *value = table_get(headers, name, &published->arena);

    return value && value->type == WARREN_STRING
               ? arena_text(&published->arena, value->as.bytes.data, value->as.bytes.len)
               : NULL;
}

/* Copies for the queue are not made here: such a message waits in the test. */
static enum warren_status bury(struct warren_publisher *publisher,
                               const struct warren_publish *what, const struct arena *texts,
                               const char *to_queue, int64_t delay_ms, int64_t most_ms,
                               warren_receipt_fn *receipt, void *receipt_user)
{
    struct testing_published *published = (struct testing_published *)(void *)publisher;
    struct warren_test_dead_letter *dead = &published->dead;
    const struct warren_receipt said = {.result = WARREN_CONFIRMED, .sends = 1};
    enum warren_status status =
        copy_name(what->exchange, texts, &published->arena, &dead->exchange);

    (void)to_queue;
    (void)delay_ms;
    (void)most_ms;
    if (status == WARREN_OK)
        status = copy_name(what->routing_key, texts, &published->arena, &dead->routing_key);
    if (status == WARREN_OK)
        status = copy_message(what->message, texts, &published->arena, &dead->message);
    if (status != WARREN_OK)
        return status;
    dead->reason = note_of(published, NOTE_REASON);
    dead->error = note_of(published, NOTE_ERROR);
    published->is_dead = true;
    receipt(&said, receipt_user);
    return WARREN_OK;
}

static size_t properties_max(struct warren_publisher *publisher)
{
    (void)publisher;
    return record_properties_max(RECORD_FRAME_MAX);
}

struct relay_outlet testing_outlet(struct testing_published *published)
{
    return (struct relay_outlet){bury, properties_max,
                                 (struct warren_publisher *)(void *)published};
}
