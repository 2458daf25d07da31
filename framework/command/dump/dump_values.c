/* dump_values.c - the plain values of a dump file. */
#include "command/dump/dump_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/c_locale.h"
#include "base/error.h"
#include "base/suggest.h"

/* Characters of the file that an error quotes. */
#define QUOTE_MAX 40

/* Keys that an object may have. */
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
    static const char *const words[] = {[JSON_OBJECT] = "an object",
                                        [JSON_ARRAY] = "a list",
                                        [JSON_TRUE] = "true",
                                        [JSON_FALSE] = "false",
                                        [JSON_NULL] = "null"};
    char text[QUOTE_MAX + 1];

    if (json_is_string(found)) {
        quote(found, text, sizeof text);
        snprintf(out, size, "the text \"%s\"%s", text,
                 json_string_length(found) > QUOTE_MAX ? "..." : "");
    } else if (json_is_integer(found)) {
        snprintf(out, size, "%lld", (long long)json_integer_value(found));
    } else if (json_is_real(found)) {
        c_snprintf(out, size, "%g", json_real_value(found));
    } else {
        snprintf(out, size, "%s", words[json_typeof(found)]);
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

bool dump_no_memory(struct dump_reader *reader)
{
    reader->status =
        error_set(reader->error, WARREN_ENOMEM, "cannot read %s: no memory", reader->path);
    return false;
}

/* ---- members ---- */

static bool unknown_member(struct dump_reader *reader, const char *key, const char *const *names,
                           size_t count)
{
    const char *near = suggest(key, names, count);

    reader->status =
        error_set(reader->error, WARREN_EINVAL, "%s: %s%sunknown member \"%.*s\"%s%s%s",
                  reader->path, reader->where, reader->where[0] ? ": " : "", QUOTE_MAX, key,
                  near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return false;
}

static bool are_known(struct dump_reader *reader, const json_t *object,
                      const struct dump_member *members)
{
    const char *names[MEMBERS_MAX];
    const char *key;
    size_t count = 0;
    json_t *value;

    for (; members->key; members++) {
        assert(count + 2 <= MEMBERS_MAX);
        names[count++] = members->key;
        if (members->base64)
            names[count++] = members->base64;
    }
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;

        while (i < count && strcmp(key, names[i]) != 0)
            i++;
        if (i == count)
            return unknown_member(reader, key, names, count);
    }
    return true;
}

bool dump_take(struct dump_reader *reader, const json_t *object, const struct dump_member *member,
               void *to)
{
    const json_t *plain = json_object_get(object, member->key);
    const json_t *encoded = member->base64 ? json_object_get(object, member->base64) : NULL;

    if (!plain && !encoded && !member->required)
        return true;
    dump_enter(reader, encoded ? member->base64 : member->key);
    if (!plain && !encoded)
        return dump_wrong(reader, member->required, NULL);
    if (plain && encoded)
        return dump_wrong(reader, "either a text or base64, not both", encoded);
    reader->encoded = encoded;
    if (!member->take(reader, encoded ? encoded : plain, member, to))
        return false;
    dump_leave(reader);
    return true;
}

bool dump_object(struct dump_reader *reader, const json_t *object,
                 const struct dump_member *members, void *to)
{
    if (!json_is_object(object))
        return dump_wrong(reader, "an object", object);
    if (!are_known(reader, object, members))
        return false;
    for (; members->key; members++)
        if (members->take && !dump_take(reader, object, members, (char *)to + members->offset))
            return false;
    return true;
}

/* ---- values ---- */

bool dump_take_bool(struct dump_reader *reader, const json_t *value,
                    const struct dump_member *member, void *to)
{
    (void)member;
    *(bool *)to = json_is_true(value);
    return json_is_boolean(value) || dump_wrong(reader, "true or false", value);
}

bool dump_take_integer(struct dump_reader *reader, const json_t *value,
                       const struct dump_member *member, void *to)
{
    json_int_t number = json_integer_value(value);
    char expected[96];

    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)member->min,
             (long long)member->max);
    if (!json_is_integer(value) || number < member->min || number > member->max)
        return dump_wrong(reader, expected, value);
    if (member->size == sizeof(uint8_t))
        *(uint8_t *)to = (uint8_t)number;
    else if (member->size == sizeof(uint32_t))
        *(uint32_t *)to = (uint32_t)number;
    else
        *(int64_t *)to = number;
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

bool dump_take_timestamp(struct dump_reader *reader, const json_t *value,
                         const struct dump_member *member, void *to)
{
    (void)member;
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        *(uint64_t *)to = (uint64_t)json_integer_value(value);
    else if (!json_is_string(value) || !parse_digits(value, to))
        return dump_wrong(reader, "seconds since 1970", value);
    return true;
}

static bool decode(struct dump_reader *reader, const json_t *value, struct warren_bytes *ret)
{
    size_t len = json_string_length(value);
    char *data = arena_alloc(reader->arena, base64_decoded_max(len) + 1);

    if (!data)
        return dump_no_memory(reader);
    if (!base64_decode(json_string_value(value), len, data, &ret->len))
        return dump_wrong(reader, "base64", value);
    data[ret->len] = '\0';
    ret->data = data;
    return true;
}

bool dump_take_bytes(struct dump_reader *reader, const json_t *value,
                     const struct dump_member *member, void *to)
{
    struct warren_bytes *ret = to;

    (void)member;
    if (!json_is_string(value))
        return dump_wrong(reader, reader->encoded ? "base64" : "a text", value);
    if (reader->encoded)
        return decode(reader, value, ret);
    ret->len = json_string_length(value);
    ret->data = arena_copy(reader->arena, json_string_value(value), ret->len);
    return ret->data || dump_no_memory(reader);
}

bool dump_take_text(struct dump_reader *reader, const json_t *value,
                    const struct dump_member *member, void *to)
{
    struct warren_bytes bytes;
    char expected[64];

    if (!dump_take_bytes(reader, value, member, &bytes))
        return false;
    snprintf(expected, sizeof expected, "at most %lld bytes", (long long)member->max);
    if (bytes.len > (size_t)member->max)
        return dump_wrong(reader, expected, value);
    *(const char **)to = bytes.data; /* a NUL stands behind it */
    return arena_note(reader->arena, bytes.data, bytes.len) == WARREN_OK || dump_no_memory(reader);
}

bool dump_take_name(struct dump_reader *reader, const json_t *value,
                    const struct dump_member *member, void *to)
{
    const char *text = "";

    if (!dump_take_text(reader, value, member, &text))
        return false;
    *(const char **)to = text;
    return (*text && strlen(text) == arena_bytes(reader->arena, text).len) ||
           dump_wrong(reader, "a name without a NUL", value);
}
