/* dump_values.c - the plain values of a dump file. */
#include "command/dump/dump_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/c_locale.h"
#include "base/error.h"
#include "base/suggest.h"
#include "command/dump/dump_format.h"

/* Characters of the file that an error quotes. */
#define QUOTE_MAX 40

#define MEMBERS_MAX 32

/* ---- where we are, and what is wrong there ---- */

void dump_enter(struct dump_reader *reader, const char *key)
{
    size_t len = strlen(reader->where);
    const char *dot = len > 0 && key[0] != '[' ? "." : "";

    reader->ends[reader->level++] = len;
    snprintf(reader->where + len, sizeof reader->where - len, "%s%s", dot, key);
}

void dump_leave(struct dump_reader *reader)
{
    reader->where[reader->ends[--reader->level]] = '\0';
}

static void quote(const json_t *text, char *out, size_t size)
{
    const char *from = json_string_value(text);
    size_t len = json_string_length(text);
    size_t used = 0;

    while (used < len && used < QUOTE_MAX && used + 1 < size) {
        unsigned char c = (unsigned char)from[used];

        out[used++] = (char)(c < ' ' || c == 0x7f ? '?' : c);
    }
    /* No half of a character: go back over the bytes that continue one. */
    if (used < len)
        while (used > 0 && ((unsigned char)from[used] & 0xc0) == 0x80)
            used--;
    out[used] = '\0';
}

static void describe(const json_t *found, char *out, size_t size)
{
    char text[QUOTE_MAX + 1];

    switch (json_typeof(found)) {
    case JSON_OBJECT:
        snprintf(out, size, "an object");
        break;
    case JSON_ARRAY:
        snprintf(out, size, "a list");
        break;
    case JSON_STRING:
        quote(found, text, sizeof text);
        snprintf(out, size, "the text \"%s\"%s", text,
                 json_string_length(found) > QUOTE_MAX ? "..." : "");
        break;
    case JSON_INTEGER:
        snprintf(out, size, "%lld", (long long)json_integer_value(found));
        break;
    case JSON_REAL:
        c_snprintf(out, size, "%g", json_real_value(found));
        break;
    case JSON_TRUE:
        snprintf(out, size, "true");
        break;
    case JSON_FALSE:
        snprintf(out, size, "false");
        break;
    case JSON_NULL:
        snprintf(out, size, "null");
    }
}

bool dump_wrong(struct dump_reader *reader, const char *expected, const json_t *found)
{
    char is[QUOTE_MAX + 32] = "nothing";

    if (found)
        describe(found, is, sizeof is);
    reader->status =
        error_set(reader->error, WARREN_EINVAL, "%s: %s%sexpected %s, found %s", reader->path,
                  reader->where, reader->where[0] ? ": " : "", expected, is);
    return false;
}

bool dump_missing(struct dump_reader *reader, const char *key, const char *expected)
{
    dump_enter(reader, key);
    return dump_wrong(reader, expected, NULL);
}

static bool no_memory(struct dump_reader *reader)
{
    reader->status =
        error_set(reader->error, WARREN_ENOMEM, "cannot read %s: no memory", reader->path);
    return false;
}

/* ---- members ---- */

static size_t count_of(const char *const *words)
{
    size_t count = 0;

    while (words[count])
        count++;
    return count;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static bool unknown_member(struct dump_reader *reader, const char *key, const char *const *members)
{
    const char *near = suggest(key, members, count_of(members));

    reader->status =
        error_set(reader->error, WARREN_EINVAL, "%s: %s%sunknown member \"%.*s\"%s%s%s",
                  reader->path, reader->where, reader->where[0] ? ": " : "", QUOTE_MAX, key,
                  near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return false;
}

bool dump_members(struct dump_reader *reader, const json_t *object, const char *const *members)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return dump_wrong(reader, "an object", object);
    json_object_foreach((json_t *)object, key, value)
    {
        if (!is_one_of(key, members))
            return unknown_member(reader, key, members);
    }
    return true;
}

bool dump_bool(struct dump_reader *reader, const json_t *object, const char *key, bool *ret)
{
    const json_t *value = json_object_get(object, key);

    if (!value)
        return true;
    dump_enter(reader, key);
    if (!json_is_boolean(value))
        return dump_wrong(reader, "true or false", value);
    *ret = json_is_true(value);
    dump_leave(reader);
    return true;
}

bool dump_integer(struct dump_reader *reader, const json_t *object, const char *key, int64_t min,
                  int64_t max, int64_t *ret)
{
    const json_t *value = json_object_get(object, key);
    char expected[96];

    if (!value)
        return true;
    dump_enter(reader, key);
    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)min,
             (long long)max);
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max)
        return dump_wrong(reader, expected, value);
    *ret = json_integer_value(value);
    dump_leave(reader);
    return true;
}

static bool parse_digits(const json_t *value, uint64_t *ret)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    char *end;

    if (len == 0 || strspn(text, "0123456789") != len)
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0;
}

bool dump_timestamp(struct dump_reader *reader, const json_t *object, const char *key,
                    uint64_t *ret)
{
    const json_t *value = json_object_get(object, key);

    if (!value)
        return true;
    dump_enter(reader, key);
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        *ret = (uint64_t)json_integer_value(value);
    else if (!json_is_string(value) || !parse_digits(value, ret))
        return dump_wrong(reader, "seconds since 1970", value);
    dump_leave(reader);
    return true;
}

static bool read_plain(struct dump_reader *reader, const json_t *value, struct warren_bytes *ret)
{
    if (!json_is_string(value))
        return dump_wrong(reader, "a text", value);
    ret->len = json_string_length(value);
    ret->data = arena_copy(reader->arena, json_string_value(value), ret->len);
    return ret->data || no_memory(reader);
}

static bool read_encoded(struct dump_reader *reader, const json_t *value, struct warren_bytes *ret)
{
    size_t len = json_string_length(value);
    char *data;

    if (!json_is_string(value))
        return dump_wrong(reader, "base64", value);
    data = arena_alloc(reader->arena, base64_decoded_max(len) + 1);
    if (!data)
        return no_memory(reader);
    if (!base64_decode(json_string_value(value), len, data, &ret->len))
        return dump_wrong(reader, "base64", value);
    data[ret->len] = '\0';
    ret->data = data;
    return true;
}

bool dump_bytes(struct dump_reader *reader, const json_t *object, const char *key,
                struct warren_bytes *ret, bool *ret_there)
{
    const json_t *plain = json_object_get(object, key);
    const json_t *encoded;
    char base64_key[64];
    bool good = true;

    snprintf(base64_key, sizeof base64_key, "%s%s", key, DUMP_BASE64);
    encoded = json_object_get(object, base64_key);
    *ret_there = plain || encoded;
    dump_enter(reader, encoded ? base64_key : key);
    if (plain && encoded)
        return dump_wrong(reader, "either a text or base64, not both", encoded);
    if (encoded)
        good = read_encoded(reader, encoded, ret);
    else if (plain)
        good = read_plain(reader, plain, ret);
    if (good)
        dump_leave(reader);
    return good;
}

bool dump_text(struct dump_reader *reader, const json_t *object, const char *key, size_t max,
               const char **ret)
{
    struct warren_bytes bytes = {NULL, 0};
    char expected[64];
    bool there;

    if (!dump_bytes(reader, object, key, &bytes, &there))
        return false;
    if (!there)
        return true;
    snprintf(expected, sizeof expected, "at most %zu bytes", max);
    if (bytes.len > max) {
        dump_enter(reader, key);
        return dump_wrong(reader, expected, json_object_get(object, key));
    }
    *ret = bytes.data; /* a NUL stands behind it */
    return arena_note(reader->arena, *ret, bytes.len) == WARREN_OK || no_memory(reader);
}

bool dump_name(struct dump_reader *reader, const json_t *object, const char *key, size_t max,
               const char **ret)
{
    if (!dump_text(reader, object, key, max, ret))
        return false;
    if (!*ret || strlen(*ret) == arena_bytes(reader->arena, *ret).len)
        return true;
    dump_enter(reader, key);
    return dump_wrong(reader, "a name without a NUL", json_object_get(object, key));
}
