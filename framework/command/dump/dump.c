/* dump.c - a dump file read: everything in it is looked at before anything is believed. */
#include "command/dump/dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "base/input_file.h"
#include "command/dump/dump_format.h"
#include "command/dump/dump_values.h"

/* Bytes of a name, as AMQP 0-9-1 has it (shortstr). */
#define NAME_MAX_BYTES 255

/* "PLUGIN.HANDLER" */
#define HANDLER_MAX_BYTES 511

#define READ_STEP ((size_t)65536)

/* What dump_read() allocates. */
struct dump_file {
    struct dump_message dump; /* first: its address is the file's */
    struct arena arena;
};

/* ---- the file's bytes ---- */

struct text {
    char *data;
    size_t len;
    size_t capacity;
};

static bool grow(struct text *text)
{
    size_t capacity = text->capacity ? text->capacity * 2 : READ_STEP;
    char *data = realloc(text->data, capacity);

    if (!data)
        return false;
    text->data = data;
    text->capacity = capacity;
    return true;
}

static enum warren_status read_fd(int fd, const char *path, struct text *text,
                                  struct warren_error *error)
{
    for (;;) {
        ssize_t len;

        if (text->len == text->capacity && !grow(text))
            return error_set(error, WARREN_ENOMEM, "cannot read %s: no memory", path);
        len = read(fd, text->data + text->len, text->capacity - text->len);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return error_set(error, WARREN_EIO, "cannot read %s: %s", path, strerror(errno));
        if (len == 0)
            return WARREN_OK;
        text->len += (size_t)len;
        if (text->len > DUMP_FILE_MAX)
            return error_set(error, WARREN_ETOOBIG, "%s: larger than 1 GiB: no dump", path);
    }
}

static enum warren_status read_file(const char *path, struct text *text, struct warren_error *error)
{
    const char *why;
    int fd = input_file_open(path, &why);
    enum warren_status status;

    if (fd < 0)
        return error_set(error, WARREN_EIO, "cannot read %s: %s", path, why);
    status = read_fd(fd, path, text, error);
    close(fd);
    return status;
}

/* Are there more values than a dump can have? Jansson takes some 200 bytes for an empty object, so
 * a file of nothing else costs seventy times its size. Counted is what begins a value: none is
 * less. */
static bool has_too_many_values(const struct text *text)
{
    size_t count = 0;
    bool quoted = false;

    for (size_t i = 0; i < text->len; i++) {
        char c = text->data[i];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else
            count += !quoted && (c == '{' || c == '[' || c == ',');
    }
    return count > DUMP_VALUES_MAX;
}

/* jansson quotes the file, and what a terminal would obey stays out of an error. */
static enum warren_status syntax_error(const char *path, const json_error_t *at,
                                       struct warren_error *error)
{
    enum warren_status status = error_set(error, WARREN_EINVAL, "%s:%d:%d: no dump: %s", path,
                                          at->line, at->column, at->text);

    for (char *c = error ? error->text : NULL; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return status;
}

/* ---- its members ---- */

static bool read_version(struct dump_reader *reader, const json_t *root)
{
    const json_t *version;

    if (!json_is_object(root))
        return dump_wrong(reader, "an object with warren_dump, queue and body", root);
    version = json_object_get(root, "warren_dump");
    dump_enter(reader, "warren_dump");
    if (!version)
        return dump_wrong(reader, "the version of the format (is this a dump of warren's?)", NULL);
    if (!json_is_integer(version) || json_integer_value(version) != DUMP_VERSION)
        return dump_wrong(reader, "version 1, for this warren reads no other", version);
    dump_leave(reader);
    return true;
}

static bool read_properties(struct dump_reader *reader, const json_t *object,
                            struct warren_properties *properties)
{
#define NAME_PROPERTY(name) #name, #name DUMP_BASE64,
    static const char *const members[] = {DUMP_TEXT_PROPERTIES(NAME_PROPERTY) "delivery_mode",
                                          "priority", "timestamp", NULL};
#undef NAME_PROPERTY
    int64_t mode = 0;
    int64_t priority = 0;

    if (!object)
        return true;
    dump_enter(reader, "properties");
    if (!dump_members(reader, object, members))
        return false;
#define READ_PROPERTY(name)                                                                        \
    if (!dump_text(reader, object, #name, NAME_MAX_BYTES, &properties->name))                      \
        return false;
    DUMP_TEXT_PROPERTIES(READ_PROPERTY)
#undef READ_PROPERTY
    if (!dump_integer(reader, object, "delivery_mode", 1, UINT8_MAX, &mode) ||
        !dump_integer(reader, object, "priority", 0, UINT8_MAX, &priority) ||
        !dump_timestamp(reader, object, "timestamp", &properties->timestamp))
        return false;
    properties->delivery_mode = (uint8_t)mode;
    properties->priority = (uint8_t)priority;
    properties->has_priority = json_object_get(object, "priority") != NULL;
    properties->has_timestamp = json_object_get(object, "timestamp") != NULL;
    dump_leave(reader);
    return true;
}

static bool read_headers(struct dump_reader *reader, const json_t *list,
                         struct warren_table *headers)
{
    bool good;

    if (!list)
        return true;
    dump_enter(reader, "headers");
    good = dump_table(reader, list, headers);
    dump_leave(reader);
    return good;
}

static bool read_place(struct dump_reader *reader, const json_t *root, struct dump_message *dump)
{
    int64_t attempts = 0;

    if (!dump_name(reader, root, "queue", NAME_MAX_BYTES, &dump->queue) ||
        !dump_name(reader, root, "handler", HANDLER_MAX_BYTES, &dump->handler) ||
        !dump_text(reader, root, "exchange", NAME_MAX_BYTES, &dump->exchange) ||
        !dump_text(reader, root, "routing_key", NAME_MAX_BYTES, &dump->routing_key) ||
        !dump_bool(reader, root, "redelivered", &dump->redelivered) ||
        !dump_integer(reader, root, "attempts", 0, UINT32_MAX, &attempts))
        return false;
    dump->attempts = (uint32_t)attempts;
    if (!dump->queue)
        return dump_missing(reader, "queue", "the name of the queue that it came from");
    if (!dump->exchange)
        dump->exchange = "";
    if (!dump->routing_key)
        dump->routing_key = "";
    return true;
}

static bool read_members(struct dump_reader *reader, const json_t *root, struct dump_message *dump)
{
    static const char *const members[] = {"warren_dump",
                                          "queue",
                                          "queue" DUMP_BASE64,
                                          "handler",
                                          "exchange",
                                          "handler" DUMP_BASE64,
                                          "exchange" DUMP_BASE64,
                                          "routing_key",
                                          "routing_key" DUMP_BASE64,
                                          "redelivered",
                                          "attempts",
                                          "properties",
                                          "headers",
                                          "body",
                                          "body" DUMP_BASE64,
                                          NULL};
    bool there;

    if (!read_version(reader, root) || !dump_members(reader, root, members) ||
        !read_place(reader, root, dump) ||
        !read_properties(reader, json_object_get(root, "properties"), &dump->message.properties) ||
        !read_headers(reader, json_object_get(root, "headers"),
                      &dump->message.properties.headers) ||
        !dump_bytes(reader, root, "body", &dump->message.body, &there))
        return false;
    return there || dump_missing(reader, "body", "the message's body as a text");
}

static enum warren_status read_dump(const char *path, const struct text *text,
                                    struct dump_file *file, struct warren_error *error)
{
    struct dump_reader reader = {.path = path, .arena = &file->arena, .error = error};
    locale_t before;
    json_error_t at;
    json_t *root;

    if (has_too_many_values(text))
        return error_set(error, WARREN_ETOOBIG, "%s: more than %d values: no dump", path,
                         DUMP_VALUES_MAX);
    before = c_locale_begin();
    root = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &at);
    c_locale_end(before);
    if (!root)
        return syntax_error(path, &at, error);
    read_members(&reader, root, &file->dump);
    json_decref(root);
    return reader.status;
}

enum warren_status dump_read(const char *path, struct dump_message **ret_dump,
                             struct warren_error *error)
{
    struct dump_file *file = calloc(1, sizeof *file);
    struct text text = {0};
    enum warren_status status;

    if (!file)
        return error_set(error, WARREN_ENOMEM, "cannot read %s: no memory", path);
    arena_init(&file->arena);
    file->dump.texts = &file->arena;
    status = read_file(path, &text, error);
    if (status == WARREN_OK)
        status = read_dump(path, &text, file, error);
    free(text.data);
    if (status != WARREN_OK) {
        dump_free(&file->dump);
        return status;
    }
    *ret_dump = &file->dump;
    return WARREN_OK;
}

void dump_free(struct dump_message *dump)
{
    struct dump_file *file = (struct dump_file *)dump;

    if (!file)
        return;
    arena_done(&file->arena);
    free(file);
}
