#include "message_json.h"

#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <openssl/evp.h>

/* A failed allocation anywhere makes the whole line fail: a log must not leave a field out. */
struct builder {
    const struct warren_job *job; /* whose texts they are */
    bool failed;
};

static void put(struct builder *builder, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        builder->failed = true;
}

static void append(struct builder *builder, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0)
        builder->failed = true;
}

static json_t *base64(const void *data, size_t len)
{
    json_t *value;
    char *text;
    int text_len;

    if (len > INT_MAX / 2)
        return NULL;
    text = malloc((len + 2) / 3 * 4 + 1);
    if (!text)
        return NULL;
    text_len = EVP_EncodeBlock((unsigned char *)text, data, (int)len);
    value = json_stringn_nocheck(text, (size_t)text_len);
    free(text);
    return value;
}

/* jansson answers NULL for bytes that are not UTF-8 as for a lack of memory; then base64, which
 * fails for the second reason only. */
static void put_text(struct builder *builder, json_t *object, const char *key, const void *data,
                     size_t len)
{
    char base64_key[64];
    json_t *text = json_stringn(len > 0 ? data : "", len);

    if (text) {
        put(builder, object, key, text);
        return;
    }
    snprintf(base64_key, sizeof base64_key, "%s_base64", key);
    put(builder, object, base64_key, base64(data, len));
}

static void put_optional(struct builder *builder, json_t *object, const char *key, const char *text)
{
    struct warren_bytes bytes = warren_job_text(builder->job, text);

    if (text)
        put_text(builder, object, key, bytes.data, bytes.len);
}

static json_t *value_json(struct builder *builder, const struct warren_value *value);

/* A name twice: the first one counts, as everywhere. */
static void put_field(struct builder *builder, json_t *object, const struct warren_field *field)
{
    struct warren_bytes bytes = warren_job_text(builder->job, field->name);
    json_t *name = json_stringn(bytes.data, bytes.len);

    /* A name that is no text, or holds a NUL, cannot be a key of JSON. */
    if (!name || strlen(json_string_value(name)) < bytes.len) {
        json_decref(name);
        name = base64(bytes.data, bytes.len);
    }
    if (!name)
        builder->failed = true;
    else if (!json_object_get(object, json_string_value(name)))
        put(builder, object, json_string_value(name), value_json(builder, &field->value));
    json_decref(name);
}

static json_t *table_json(struct builder *builder, const struct warren_table *table)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < table->count; i++)
        put_field(builder, object, &table->fields[i]);
    return object;
}

static json_t *array_json(struct builder *builder, const struct warren_array *array)
{
    json_t *values = json_array();

    for (size_t i = 0; values && i < array->count; i++)
        append(builder, values, value_json(builder, &array->values[i]));
    return values;
}

/* JSON has no NaN and no infinity. */
static json_t *real_json(double real)
{
    if (isnan(real))
        return json_string("nan");
    if (isinf(real))
        return json_string(real > 0 ? "inf" : "-inf");
    return json_real(real);
}

/* JSON readers keep 64 signed bits at best. */
static json_t *unsigned_json(uint64_t number)
{
    if (number > INT64_MAX)
        return json_sprintf("%llu", (unsigned long long)number);
    return json_integer((json_int_t)number);
}

static json_t *value_json(struct builder *builder, const struct warren_value *value)
{
    json_t *object = json_object();

    if (!object)
        return NULL;
    put(builder, object, "type", json_string(warren_type_name(value->type)));
    switch (value->type) {
    case WARREN_VOID:
        put(builder, object, "value", json_null());
        break;
    case WARREN_BOOL:
        put(builder, object, "value", json_boolean(value->as.boolean));
        break;
    case WARREN_I8:
    case WARREN_U8:
    case WARREN_I16:
    case WARREN_U16:
    case WARREN_I32:
    case WARREN_U32:
    case WARREN_I64:
        put(builder, object, "value", json_integer(value->as.integer));
        break;
    case WARREN_F32:
    case WARREN_F64:
        put(builder, object, "value", real_json(value->as.real));
        break;
    case WARREN_DECIMAL:
        put(builder, object, "value",
            json_pack("{s:i, s:I}", "scale", (int)value->as.decimal.scale, "unscaled",
                      (json_int_t)value->as.decimal.unscaled));
        break;
    case WARREN_STRING:
        put_text(builder, object, "value", value->as.bytes.data, value->as.bytes.len);
        break;
    case WARREN_BYTES:
        put(builder, object, "value_base64", base64(value->as.bytes.data, value->as.bytes.len));
        break;
    case WARREN_TIMESTAMP:
        put(builder, object, "value", unsigned_json(value->as.timestamp));
        break;
    case WARREN_ARRAY:
        put(builder, object, "value", array_json(builder, &value->as.array));
        break;
    case WARREN_TABLE:
        put(builder, object, "value", table_json(builder, &value->as.table));
        break;
    }
    return object;
}

static void put_properties(struct builder *builder, json_t *line,
                           const struct warren_properties *properties)
{
    put_optional(builder, line, "content_type", properties->content_type);
    put_optional(builder, line, "content_encoding", properties->content_encoding);
    if (properties->delivery_mode)
        put(builder, line, "delivery_mode", json_integer(properties->delivery_mode));
    if (properties->has_priority)
        put(builder, line, "priority", json_integer(properties->priority));
    put_optional(builder, line, "correlation_id", properties->correlation_id);
    put_optional(builder, line, "reply_to", properties->reply_to);
    put_optional(builder, line, "expiration", properties->expiration);
    if (properties->has_timestamp)
        put(builder, line, "timestamp", unsigned_json(properties->timestamp));
    put_optional(builder, line, "type", properties->type);
    put_optional(builder, line, "user_id", properties->user_id);
    put_optional(builder, line, "app_id", properties->app_id);
    put_optional(builder, line, "cluster_id", properties->cluster_id);
    put(builder, line, "headers", table_json(builder, &properties->headers));
}

/* A plugin may have called setlocale(3): numbers have a point all the same. */
static char *dump(const json_t *line)
{
    locale_t before = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
    char *text = json_dumps(line, JSON_COMPACT);

    uselocale(before);
    return text;
}

char *message_json(struct warren_job *job, size_t *ret_len)
{
    const struct warren_properties *properties = warren_job_properties(job);
    struct warren_bytes body = warren_job_body(job);
    struct builder builder = {job, false};
    json_t *line = json_object();
    char *text = NULL;

    if (!line)
        return NULL;
    put_text(&builder, line, "body", body.data, body.len);
    if (properties->message_id)
        put_optional(&builder, line, "message_id", properties->message_id);
    else
        put(&builder, line, "message_id", json_null());
    put_optional(&builder, line, "queue", warren_job_queue(job));
    put_optional(&builder, line, "exchange", warren_job_exchange(job));
    put_optional(&builder, line, "routing_key", warren_job_routing_key(job));
    put(&builder, line, "redelivered", json_boolean(warren_job_redelivered(job)));
    put(&builder, line, "attempt", json_integer(warren_job_attempt(job)));
    put_properties(&builder, line, properties);

    if (!builder.failed)
        text = dump(line);
    json_decref(line);
    if (text) {
        *ret_len = strlen(text) + 1;
        text[*ret_len - 1] = '\n'; /* in place of the NUL: one buffer, one write */
    }
    return text;
}
