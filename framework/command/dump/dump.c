/* dump.c - a dump file read: everything in it is looked at before anything is believed. */
#include "command/dump/dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "amqp/wire/basic_property.h"
#include "base/c_locale.h"
#include "base/error.h"
#include "base/input_file.h"
#include "command/dump/dump_private.h"

/* "PLUGIN.HANDLER" */
#define HANDLER_MAX_BYTES 511

/* What dump_read() allocates. */
struct dump_file {
    struct dump_message dump; /* first: its address is the file's */
    struct arena arena;
};

/* ---- the file's bytes ---- */

struct source {
    int fd;
    uint64_t len;
    uint64_t values; /* what begins one: none is less */
    bool quoted;     /* in a text, */
    bool escaped;    /* behind a backslash of it */
    int failed;      /* errno */
};

/* Jansson takes some 200 bytes for an empty object, so a file of nothing else costs seventy times
 * its size. */
static void count_values(struct source *source, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (source->escaped)
            source->escaped = false;
        else if (source->quoted && c == '\\')
            source->escaped = true;
        else if (c == '"')
            source->quoted = !source->quoted;
        else
            source->values += !source->quoted && (c == '{' || c == '[' || c == ',');
    }
}

static bool is_too_big(const struct source *source)
{
    return source->len > DUMP_FILE_MAX || source->values > DUMP_VALUES_MAX;
}

/* For jansson; 0 is the end. */
static size_t read_piece(void *buffer, size_t size, void *user)
{
    struct source *source = user;
    ssize_t len;

    do
        len = read(source->fd, buffer, size);
    while (len < 0 && errno == EINTR);
    if (len < 0) {
        source->failed = errno;
        return 0;
    }
    source->len += (uint64_t)len;
    count_values(source, buffer, (size_t)len);
    return is_too_big(source) ? 0 : (size_t)len;
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

static bool take_properties(struct dump_reader *reader, const json_t *object,
                            const struct dump_member *member, void *to)
{
#define NO_TEXT(...)
#define TEXT_PROPERTY(name)                                                                        \
    {DUMP_TEXT(#name, dump_take_text, DUMP_SHORT_MAX, struct warren_properties, name)},
    static const struct dump_member members[] = {
        BASIC_PROPERTIES(TEXT_PROPERTY,
                         NO_TEXT){DUMP_MEMBER("delivery_mode", dump_take_integer,
                                              struct warren_properties, delivery_mode),
                                  .min = 1, .max = UINT8_MAX},
        {DUMP_MEMBER("priority", dump_take_integer, struct warren_properties, priority),
         .max = UINT8_MAX},
        {DUMP_MEMBER("timestamp", dump_take_timestamp, struct warren_properties, timestamp)},
        {.key = NULL}};
#undef TEXT_PROPERTY
#undef NO_TEXT
    struct warren_properties *properties = to;

    (void)member;
    properties->has_priority = json_object_get(object, "priority") != NULL;
    properties->has_timestamp = json_object_get(object, "timestamp") != NULL;
    return dump_object(reader, object, members, properties);
}

static const struct dump_member members[] = {
    {.key = "warren_dump"},
    {DUMP_TEXT("queue", dump_take_name, DUMP_SHORT_MAX, struct dump_message, queue),
     .required = "the name of the queue that it came from"},
    {DUMP_TEXT("handler", dump_take_name, HANDLER_MAX_BYTES, struct dump_message, handler)},
    {DUMP_TEXT("exchange", dump_take_text, DUMP_SHORT_MAX, struct dump_message, exchange)},
    {DUMP_TEXT("routing_key", dump_take_text, DUMP_SHORT_MAX, struct dump_message, routing_key)},
    {DUMP_MEMBER("redelivered", dump_take_bool, struct dump_message, redelivered)},
    {DUMP_MEMBER("attempts", dump_take_integer, struct dump_message, attempts), .max = UINT32_MAX},
    {DUMP_MEMBER("properties", take_properties, struct dump_message, message.properties)},
    {DUMP_MEMBER("headers", dump_take_table, struct dump_message, message.properties.headers)},
    {DUMP_TEXT("body", dump_take_bytes, 0, struct dump_message, message.body),
     .required = "the message's body as a text"},
    {.key = NULL}};

static enum warren_status read_dump(const char *path, int fd, struct dump_file *file,
                                    struct warren_error *error)
{
    struct dump_reader reader = {.path = path, .arena = &file->arena, .error = error};
    struct source source = {.fd = fd};
    locale_t before = c_locale_begin();
    json_error_t at;
    json_t *root =
        json_load_callback(read_piece, &source, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &at);

    c_locale_end(before);
    if (source.failed)
        reader.status =
            error_set(error, WARREN_EIO, "cannot read %s: %s", path, strerror(source.failed));
    else if (source.values > DUMP_VALUES_MAX)
        reader.status = error_set(error, WARREN_ETOOBIG, "%s: more than %d values: no dump", path,
                                  DUMP_VALUES_MAX);
    else if (is_too_big(&source))
        reader.status = error_set(error, WARREN_ETOOBIG, "%s: larger than 1 GiB: no dump", path);
    else if (!root)
        reader.status = syntax_error(path, &at, error);
    else if (read_version(&reader, root))
        dump_object(&reader, root, members, &file->dump);
    json_decref(root);
    return reader.status;
}

enum warren_status dump_read(const char *path, struct dump_message **ret_dump,
                             struct warren_error *error)
{
    struct dump_file *file = calloc(1, sizeof *file);
    enum warren_status status;
    const char *why;
    int fd;

    if (!file)
        return error_set(error, WARREN_ENOMEM, "cannot read %s: no memory", path);
    arena_init(&file->arena);
    file->dump.texts = &file->arena;
    file->dump.exchange = file->dump.routing_key = "";
    fd = input_file_open(path, &why);
    if (fd < 0) {
        status = error_set(error, WARREN_EIO, "cannot read %s: %s", path, why);
    } else {
        status = read_dump(path, fd, file, error);
        close(fd);
    }
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
