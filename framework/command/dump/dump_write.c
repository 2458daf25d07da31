/* dump_write.c - a dump file: one member a line, and each header on a line of its own. */
#include "command/dump/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "command/dump/dump_json.h"

/* The first failure counts; after it nothing is written. */
struct writer {
    FILE *file;
    const char *path;
    enum warren_status status;
    struct warren_error *error;
    struct dump_json json;
    bool more; /* the next member or header is not the first one */
};

static void fail(struct writer *writer, enum warren_status status, const char *what)
{
    if (writer->status == WARREN_OK)
        writer->status =
            error_set(writer->error, status, "cannot write %s: %s", writer->path, what);
}

/* ---- lines ---- */

static void end_line(struct writer *writer, const char *indent)
{
    fprintf(writer->file, "%s\n%s", writer->more ? "," : "", indent);
    writer->more = true;
}

/* What was made so far is whole. */
static bool is_good(struct writer *writer)
{
    if (writer->json.status != WARREN_OK)
        fail(writer, writer->json.status, writer->json.why);
    return writer->status == WARREN_OK;
}

static void write_json(struct writer *writer, const json_t *value, int digits)
{
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)digits);
    locale_t before = c_locale_begin();
    int failed = json_dumpf(value, writer->file, flags);

    c_locale_end(before);
    if (failed < 0)
        fail(writer, WARREN_EIO, strerror(errno));
}

/* Each member of @object on a line; frees it. */
static void write_members(struct writer *writer, const char *indent, json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        if (!is_good(writer))
            break;
        end_line(writer, indent);
        fprintf(writer->file, "\"%s\": ", key);
        write_json(writer, value, DUMP_DIGITS_MAX);
    }
    json_decref(object);
}

static void write_properties(struct writer *writer, const struct warren_properties *properties)
{
    end_line(writer, "  ");
    fputs("\"properties\": {", writer->file);
    writer->more = false;
    write_members(writer, "    ", dump_json_properties(&writer->json, properties));
    fputs(writer->more ? "\n  }" : "}", writer->file);
    writer->more = true;
}

static void write_headers(struct writer *writer, const struct warren_table *headers)
{
    end_line(writer, "  ");
    fputs("\"headers\": [", writer->file);
    writer->more = false;
    for (size_t i = 0; writer->status == WARREN_OK && i < headers->count; i++) {
        json_t *field = dump_json_field(&writer->json, &headers->fields[i]);

        if (is_good(writer)) {
            end_line(writer, "    ");
            write_json(writer, field, dump_json_digits(&headers->fields[i].value));
        }
        json_decref(field);
    }
    fputs(writer->more ? "\n  ]" : "]", writer->file);
    writer->more = true;
}

static void write_place(struct writer *writer, const struct dump_message *dump)
{
    const char *exchange = dump->exchange ? dump->exchange : "";
    const char *key = dump->routing_key ? dump->routing_key : "";
    struct dump_json *json = &writer->json;
    json_t *object = json_object(); /* NULL: putting into it fails */

    dump_json_put(json, object, "warren_dump", json_integer(DUMP_VERSION));
    dump_json_put_text(json, object, "queue", warren_text(dump->queue));
    if (dump->handler)
        dump_json_put_text(json, object, "handler", warren_text(dump->handler));
    dump_json_put_text(json, object, "exchange", arena_bytes(json->texts, exchange));
    dump_json_put_text(json, object, "routing_key", arena_bytes(json->texts, key));
    dump_json_put(json, object, "redelivered", json_boolean(dump->redelivered));
    dump_json_put(json, object, "attempts", json_integer(dump->attempts));
    write_members(writer, "  ", object);
}

static void write_message(struct writer *writer, const struct warren_message *message)
{
    json_t *last = json_object();

    write_properties(writer, &message->properties);
    write_headers(writer, &message->properties.headers);
    dump_json_put_text(&writer->json, last, "body", message->body);
    write_members(writer, "  ", last);
    fputs("\n}\n", writer->file);
}

enum warren_status dump_print_message(FILE *out, const struct warren_message *message,
                                      const struct arena *texts, struct warren_error *error)
{
    struct writer writer = {.file = out, .path = "a message", .error = error, .json.texts = texts};

    fputc('{', out);
    write_message(&writer, message);
    is_good(&writer);
    return writer.status;
}

/* ---- the file ---- */

static void finish(struct writer *writer)
{
    bool written = fflush(writer->file) == 0 && !ferror(writer->file);

    if (written && (uint64_t)ftello(writer->file) > DUMP_FILE_MAX)
        fail(writer, WARREN_ETOOBIG, "it would be above 1 GiB");
    else if (!written || (fdatasync(fileno(writer->file)) < 0 && errno != EINVAL))
        fail(writer, WARREN_EIO, strerror(errno));
}

enum warren_status dump_write(const char *path, const struct dump_message *dump,
                              struct warren_error *error)
{
    struct writer writer = {.path = path, .error = error, .json.texts = dump->texts};
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
    fputc('{', writer.file);
    write_place(&writer, dump);
    write_message(&writer, &dump->message);
    if (is_good(&writer))
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
