/* dump_write.c - a message as JSON: one member a line, and each header on a line of its own. */
#include "app/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "app/dump_format.h"
#include "base/base64.h"
#include "base/error.h"

/* Digits that are always written, if there are as many, and that are always enough. */
#define F32_DIGITS_MIN 6
#define F32_DIGITS_MAX 9
#define F64_DIGITS_MIN 15
#define F64_DIGITS_MAX 17

/* The first failure counts; after it nothing is written. */
struct writer {
    FILE *file;
    const char *path;
    enum warren_status status;
    struct warren_error *error;
    unsigned depth; /* tables and arrays around what is being written */
    bool more;      /* the next member or header is not the first one */
};

static void fail(struct writer *writer, enum warren_status status, const char *what)
{
    if (writer->status == WARREN_OK)
        writer->status =
            error_set(writer->error, status, "cannot write %s: %s", writer->path, what);
}

static void put(struct writer *writer, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        fail(writer, WARREN_ENOMEM, "no memory");
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

/* @key gets DUMP_BASE64 behind it where the bytes are no text. jansson answers NULL for those as
 * for a lack of memory; base64 fails for the second reason only. */
static json_t *text_value(struct warren_bytes bytes, const char *key, char *ret_key, size_t size)
{
    json_t *text = NULL;

    if (bytes.len == 0)
        text = json_string("");
    else if (!memchr(bytes.data, '\0', bytes.len))
        text = json_stringn(bytes.data, bytes.len);
    snprintf(ret_key, size, "%s%s", key, text ? "" : DUMP_BASE64);
    return text ? text : encoded(bytes);
}

static void put_text(struct writer *writer, json_t *object, const char *key,
                     struct warren_bytes bytes)
{
    char name[64];
    json_t *text = text_value(bytes, key, name, sizeof name);

    put(writer, object, name, text);
}

/* ---- headers ---- */

static void put_value(struct writer *writer, json_t *object, const struct warren_value *value);

static json_t *field_json(struct writer *writer, const struct warren_field *field)
{
    json_t *object = json_object(); /* NULL: putting into it fails */

    put_text(writer, object, "name", warren_text(field->name));
    put_value(writer, object, &field->value);
    return object;
}

static void append(struct writer *writer, json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) < 0)
        fail(writer, WARREN_ENOMEM, "no memory");
}

/* A table or an array, whichever @value is. */
static json_t *nested_json(struct writer *writer, const struct warren_value *value)
{
    const struct warren_table *table = &value->as.table;
    const struct warren_array *array = &value->as.array;
    json_t *list = json_array();

    if (++writer->depth > WARREN_NESTING_MAX)
        fail(writer, WARREN_EINVAL, "a header is nested too deeply");
    if (value->type == WARREN_TABLE)
        for (size_t i = 0; writer->status == WARREN_OK && i < table->count; i++)
            append(writer, list, field_json(writer, &table->fields[i]));
    else
        for (size_t i = 0; writer->status == WARREN_OK && i < array->count; i++) {
            json_t *object = json_object();

            put_value(writer, object, &array->values[i]);
            append(writer, list, object);
        }
    writer->depth--;
    return list;
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

static void put_value(struct writer *writer, json_t *object, const struct warren_value *value)
{
    put(writer, object, "type", json_string(warren_type_name(value->type)));
    switch (value->type) {
    case WARREN_VOID:
        break;
    case WARREN_BOOL:
        put(writer, object, "value", json_boolean(value->as.boolean));
        break;
    case WARREN_I8:
    case WARREN_U8:
    case WARREN_I16:
    case WARREN_U16:
    case WARREN_I32:
    case WARREN_U32:
    case WARREN_I64:
        put(writer, object, "value", json_integer(value->as.integer));
        break;
    case WARREN_F32:
        put(writer, object, "value", real_json((double)(float)value->as.real));
        break;
    case WARREN_F64:
        put(writer, object, "value", real_json(value->as.real));
        break;
    case WARREN_DECIMAL:
        put(writer, object, "value",
            json_pack("{s:i, s:I}", "scale", (int)value->as.decimal.scale, "unscaled",
                      (json_int_t)value->as.decimal.unscaled));
        break;
    case WARREN_STRING:
        put_text(writer, object, "value", value->as.bytes);
        break;
    case WARREN_BYTES:
        put(writer, object, "value" DUMP_BASE64, encoded(value->as.bytes));
        break;
    case WARREN_TIMESTAMP:
        put(writer, object, "value", unsigned_json(value->as.timestamp));
        break;
    case WARREN_ARRAY:
    case WARREN_TABLE:
        put(writer, object, "value", nested_json(writer, value));
        break;
    default:
        fail(writer, WARREN_EINVAL, "a header is of no known type");
    }
}

/* ---- how many digits a header needs: 0.1, not 0.10000000000000001 ---- */

static int digits_of(double real, bool single)
{
    int max = single ? F32_DIGITS_MAX : F64_DIGITS_MAX;
    int digits = single ? F32_DIGITS_MIN : F64_DIGITS_MIN;

    for (; digits < max; digits++) {
        char text[320];
        double back;

        snprintf(text, sizeof text, "%.*g", digits, real);
        back = strtod(text, NULL);
        if (single ? (float)back == (float)real : back == real)
            break;
    }
    return digits;
}

static int max_of(int a, int b)
{
    return a > b ? a : b;
}

static int digits_needed(const struct warren_value *value)
{
    int digits = 1;

    if (value->type == WARREN_F32 || value->type == WARREN_F64)
        return isfinite(value->as.real) ? digits_of(value->as.real, value->type == WARREN_F32) : 1;
    if (value->type == WARREN_TABLE)
        for (size_t i = 0; i < value->as.table.count; i++)
            digits = max_of(digits, digits_needed(&value->as.table.fields[i].value));
    if (value->type == WARREN_ARRAY)
        for (size_t i = 0; i < value->as.array.count; i++)
            digits = max_of(digits, digits_needed(&value->as.array.values[i]));
    return digits;
}

/* ---- lines ---- */

static void end_line(struct writer *writer, const char *indent)
{
    fprintf(writer->file, "%s\n%s", writer->more ? "," : "", indent);
    writer->more = true;
}

/* Takes @value, which may be NULL: there was no memory. */
static void write_json(struct writer *writer, json_t *value, int digits)
{
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)digits);

    if (!value)
        fail(writer, WARREN_ENOMEM, "no memory");
    if (writer->status == WARREN_OK && json_dumpf(value, writer->file, flags) < 0)
        fail(writer, WARREN_EIO, strerror(errno));
    json_decref(value);
}

static void write_member(struct writer *writer, const char *indent, const char *key, json_t *value)
{
    end_line(writer, indent);
    fprintf(writer->file, "\"%s\": ", key);
    write_json(writer, value, F64_DIGITS_MAX);
}

static void write_text(struct writer *writer, const char *indent, const char *key,
                       struct warren_bytes bytes)
{
    char name[64];
    json_t *text = text_value(bytes, key, name, sizeof name);

    write_member(writer, indent, name, text);
}

static void write_properties(struct writer *writer, const struct warren_properties *properties)
{
    static const char indent[] = "    ";

    end_line(writer, "  ");
    fputs("\"properties\": {", writer->file);
    writer->more = false;
#define WRITE_PROPERTY(name)                                                                       \
    if (properties->name)                                                                          \
        write_text(writer, indent, #name, warren_text(properties->name));
    DUMP_TEXT_PROPERTIES(WRITE_PROPERTY)
#undef WRITE_PROPERTY
    if (properties->delivery_mode)
        write_member(writer, indent, "delivery_mode", json_integer(properties->delivery_mode));
    if (properties->has_priority)
        write_member(writer, indent, "priority", json_integer(properties->priority));
    if (properties->has_timestamp)
        write_member(writer, indent, "timestamp", unsigned_json(properties->timestamp));
    fputs(writer->more ? "\n  }" : "}", writer->file);
    writer->more = true;
}

static void write_headers(struct writer *writer, const struct warren_table *headers)
{
    end_line(writer, "  ");
    fputs("\"headers\": [", writer->file);
    writer->more = false;
    writer->depth = 1;
    for (size_t i = 0; writer->status == WARREN_OK && i < headers->count; i++) {
        json_t *field = field_json(writer, &headers->fields[i]);

        if (writer->status != WARREN_OK) {
            json_decref(field);
            break;
        }
        end_line(writer, "    ");
        write_json(writer, field, digits_needed(&headers->fields[i].value));
    }
    fputs(writer->more ? "\n  ]" : "]", writer->file);
    writer->more = true;
}

static void write_message(struct writer *writer, const struct warren_message *message)
{
    write_properties(writer, &message->properties);
    write_headers(writer, &message->properties.headers);
    write_text(writer, "  ", "body", message->body);
    fputs("\n}\n", writer->file);
}

static void write_all(struct writer *writer, const struct dump_message *dump)
{
    const char *exchange = dump->exchange ? dump->exchange : "";
    const char *key = dump->routing_key ? dump->routing_key : "";

    fputc('{', writer->file);
    write_member(writer, "  ", "warren_dump", json_integer(DUMP_VERSION));
    write_text(writer, "  ", "queue", warren_text(dump->queue));
    if (dump->handler)
        write_text(writer, "  ", "handler", warren_text(dump->handler));
    write_text(writer, "  ", "exchange", warren_text(exchange));
    write_text(writer, "  ", "routing_key", warren_text(key));
    write_member(writer, "  ", "redelivered", json_boolean(dump->redelivered));
    write_member(writer, "  ", "attempts", json_integer(dump->attempts));
    write_message(writer, &dump->message);
}

/* ---- the file ---- */

static void finish(struct writer *writer)
{
    if (fflush(writer->file) != 0 || ferror(writer->file))
        fail(writer, WARREN_EIO, strerror(errno));
    else if ((uint64_t)ftello(writer->file) > DUMP_FILE_MAX)
        fail(writer, WARREN_ETOOBIG, "it would be above 1 GiB");
    else if (fdatasync(fileno(writer->file)) < 0 && errno != EINVAL)
        fail(writer, WARREN_EIO, strerror(errno));
}

enum warren_status dump_print_message(FILE *out, const struct warren_message *message,
                                      struct warren_error *error)
{
    struct writer writer = {.file = out, .path = "a message", .error = error};

    fputc('{', out);
    write_message(&writer, message);
    return writer.status;
}

enum warren_status dump_write(const char *path, const struct dump_message *dump,
                              struct warren_error *error)
{
    struct writer writer = {.path = path, .error = error};
    char beside[PATH_MAX];
    int fd;

    if (snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= (int)sizeof beside)
        return error_set(error, WARREN_EIO, "cannot write %s: the name is too long", path);
    fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return error_set(error, WARREN_EIO, "cannot write %s: %s", path, strerror(errno));
    writer.file = fdopen(fd, "w");
    if (!writer.file) {
        close(fd);
        fail(&writer, WARREN_ENOMEM, "no memory");
        goto done;
    }
    write_all(&writer, dump);
    if (writer.status == WARREN_OK)
        finish(&writer);
    if (fclose(writer.file) != 0)
        fail(&writer, WARREN_EIO, strerror(errno));
    if (writer.status == WARREN_OK && rename(beside, path) < 0)
        fail(&writer, WARREN_EIO, strerror(errno));
done:
    if (writer.status != WARREN_OK)
        unlink(beside);
    return writer.status;
}
