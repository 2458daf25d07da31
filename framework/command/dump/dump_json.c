/* dump_json.c - every value of a message as JSON. */
#include "command/dump/dump_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/wire/basic_property.h"
#include "base/base64.h"
#include "base/c_locale.h"
#include "base/field_type.h"
#include "command/dump/dump_private.h"

#define NO_MEMORY "no memory"

/* Digits that are always written, if there are as many, and that are always enough. */
#define F32_DIGITS_MIN 6
#define F32_DIGITS_MAX 9
#define F64_DIGITS_MIN 15

static void fail(struct dump_json *json, enum warren_status status, const char *why)
{
    if (json->status != WARREN_OK)
        return;
    json->status = status;
    json->why = why;
}

void dump_json_put(struct dump_json *json, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        fail(json, WARREN_ENOMEM, NO_MEMORY);
}

/* ---- texts ---- */

static json_t *encoded(struct warren_bytes bytes)
{
    size_t len = base64_encoded_len(bytes.len);
    char *text = bytes.len == 0 || len > 0 ? malloc(len + 1) : NULL;
    json_t *value = NULL;

    if (text) {
        base64_encode(bytes.data, bytes.len, text);
        value = json_stringn_nocheck(text, len);
    }
    free(text);
    return value;
}

/* jansson answers NULL for bytes that are no text as for a lack of memory; base64 fails for the
 * second reason only. */
void dump_json_put_text(struct dump_json *json, json_t *object, const char *key,
                        struct warren_bytes bytes)
{
    json_t *text = NULL;
    char name[64];

    if (bytes.len == 0)
        text = json_string("");
    else if (!memchr(bytes.data, '\0', bytes.len))
        text = json_stringn(bytes.data, bytes.len);
    snprintf(name, sizeof name, "%s%s", key, text ? "" : DUMP_BASE64);
    dump_json_put(json, object, name, text ? text : encoded(bytes));
}

/* ---- headers ---- */

static void put_value(struct dump_json *json, json_t *object, const struct warren_value *value);

json_t *dump_json_field(struct dump_json *json, const struct warren_field *field)
{
    json_t *object = json_object(); /* NULL: putting into it fails */

    dump_json_put_text(json, object, "name", arena_bytes(json->texts, field->name));
    put_value(json, object, &field->value);
    return object;
}

static void append(struct dump_json *json, json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) < 0)
        fail(json, WARREN_ENOMEM, NO_MEMORY);
}

/* A table or an array, whichever @value is. */
static json_t *nested_json(struct dump_json *json, const struct warren_value *value)
{
    const struct warren_table *table = &value->as.table;
    const struct warren_array *array = &value->as.array;
    json_t *list = json_array();

    if (++json->depth >= WARREN_NESTING_MAX) /* the headers are the first level */
        fail(json, WARREN_EINVAL, "a header is nested too deeply");
    if (value->type == WARREN_TABLE)
        for (size_t i = 0; json->status == WARREN_OK && i < table->count; i++)
            append(json, list, dump_json_field(json, &table->fields[i]));
    else
        for (size_t i = 0; json->status == WARREN_OK && i < array->count; i++) {
            json_t *object = json_object();

            put_value(json, object, &array->values[i]);
            append(json, list, object);
        }
    json->depth--;
    return list;
}

/* ---- how many digits a header needs: 0.1, not 0.10000000000000001 ---- */

static int digits_of(double real, bool single, double *ret_shortest)
{
    int max = single ? F32_DIGITS_MAX : DUMP_DIGITS_MAX;
    int digits = single ? F32_DIGITS_MIN : F64_DIGITS_MIN;

    for (;; digits++) {
        char text[320];

        c_snprintf(text, sizeof text, "%.*g", digits, real);
        *ret_shortest = c_strtod(text, NULL);
        if (digits == max || (single ? (float)*ret_shortest == (float)real : *ret_shortest == real))
            return digits;
    }
}

static int max_of(int a, int b)
{
    return a > b ? a : b;
}

int dump_json_digits(const struct warren_value *value)
{
    int digits = 1;
    double real;

    if (value->type == WARREN_F32 || value->type == WARREN_F64)
        return isfinite(value->as.real)
                   ? digits_of(value->as.real, value->type == WARREN_F32, &real)
                   : 1;
    if (value->type == WARREN_TABLE)
        for (size_t i = 0; i < value->as.table.count; i++)
            digits = max_of(digits, dump_json_digits(&value->as.table.fields[i].value));
    if (value->type == WARREN_ARRAY)
        for (size_t i = 0; i < value->as.array.count; i++)
            digits = max_of(digits, dump_json_digits(&value->as.array.values[i]));
    return digits;
}

/* JSON has no NaN and no infinity. Of 32 bits the shortest number that means them is taken. */
static json_t *real_json(double real, bool single)
{
    if (isnan(real))
        return json_string("nan");
    if (isinf(real))
        return json_string(real > 0 ? "inf" : "-inf");
    if (single)
        digits_of((double)(float)real, true, &real);
    return json_real(real);
}

/* JSON readers keep 64 signed bits at best. */
static json_t *unsigned_json(uint64_t number)
{
    if (number > INT64_MAX)
        return json_sprintf("%llu", (unsigned long long)number);
    return json_integer((json_int_t)number);
}

static json_t *value_json(struct dump_json *json, const struct field_type *type,
                          const struct warren_value *value)
{
    switch (type->form) {
    case FIELD_BOOL:
        return json_boolean(value->as.boolean);
    case FIELD_INTEGER:
        return json_integer(value->as.integer);
    case FIELD_REAL:
        return real_json(value->as.real, type->type == WARREN_F32);
    case FIELD_DECIMAL:
        return json_pack("{s:i, s:I}", "scale", (int)value->as.decimal.scale, "unscaled",
                         (json_int_t)value->as.decimal.unscaled);
    case FIELD_TIMESTAMP:
        return unsigned_json(value->as.timestamp);
    default:
        return nested_json(json, value);
    }
}

static void put_value(struct dump_json *json, json_t *object, const struct warren_value *value)
{
    const struct field_type *type = field_type_of(value->type);

    dump_json_put(json, object, "type", json_string(warren_type_name(value->type)));
    if (!type)
        fail(json, WARREN_EINVAL, "a header is of no known type");
    else if (type->type == WARREN_STRING)
        dump_json_put_text(json, object, "value", value->as.bytes);
    else if (type->type == WARREN_BYTES)
        dump_json_put(json, object, "value" DUMP_BASE64, encoded(value->as.bytes));
    else if (type->form != FIELD_VOID)
        dump_json_put(json, object, "value", value_json(json, type, value));
}

/* ---- a whole message ---- */

json_t *dump_json_properties(struct dump_json *json, const struct warren_properties *properties)
{
    json_t *object = json_object(); /* NULL: putting into it fails */

    for (size_t i = 0; i < BASIC_PROPERTY_COUNT; i++) {
        const char *text = basic_property_text(&basic_properties[i], properties);

        if (text)
            dump_json_put_text(json, object, basic_properties[i].name,
                               arena_bytes(json->texts, text));
    }
    if (properties->delivery_mode)
        dump_json_put(json, object, "delivery_mode", json_integer(properties->delivery_mode));
    if (properties->has_priority)
        dump_json_put(json, object, "priority", json_integer(properties->priority));
    if (properties->has_timestamp)
        dump_json_put(json, object, "timestamp", unsigned_json(properties->timestamp));
    return object;
}

void dump_json_put_message(struct dump_json *json, json_t *object,
                           const struct warren_message *message)
{
    const struct warren_table *headers = &message->properties.headers;
    json_t *list = json_array();

    for (size_t i = 0; i < headers->count; i++)
        append(json, list, dump_json_field(json, &headers->fields[i]));
    dump_json_put(json, object, "properties", dump_json_properties(json, &message->properties));
    dump_json_put(json, object, "headers", list);
    dump_json_put_text(json, object, "body", message->body);
}

json_t *dump_json_message(const struct warren_message *message, const struct arena *texts)
{
    struct dump_json json = {.texts = texts};
    json_t *object = json_object();

    dump_json_put_message(&json, object, message);
    if (json.status == WARREN_OK)
        return object;
    json_decref(object);
    return NULL;
}
