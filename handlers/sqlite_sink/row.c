/* row.c - see row.h. */
#include "row.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_NAME_MAX 256

/* ---- the mapping ---- */

static const struct {
    const char *text;
    enum row_source source;
} sources[] = {
    {"@body", ROW_BODY},         {"@message_id", ROW_MESSAGE_ID},   {"@timestamp", ROW_TIMESTAMP},
    {"@exchange", ROW_EXCHANGE}, {"@routing_key", ROW_ROUTING_KEY},
};

static enum warren_status refuse(const char *text, const char *why, struct warren_error *error)
{
    snprintf(error->text, sizeof error->text, "columns: \"%.100s\": %s", text, why);
    return error->status = WARREN_ECONFIG;
}

static enum warren_status read_source(struct row_column *column, const char *source,
                                      const char *text, struct warren_error *error)
{
    if (source[0] != '@') {
        column->source = ROW_FIELD;
        column->path = strdup(strcmp(source, ".") == 0 ? "" : source);
        return column->path ? WARREN_OK : WARREN_ENOMEM;
    }
    if (strncmp(source, "@header.", 8) == 0 && source[8]) {
        column->source = ROW_HEADER;
        column->path = strdup(source + 8);
        return column->path ? WARREN_OK : WARREN_ENOMEM;
    }
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(source, sources[i].text) == 0) {
            column->source = sources[i].source;
            return WARREN_OK;
        }
    return refuse(text,
                  "a source is a field of the JSON object, @message_id, @timestamp, @exchange, "
                  "@routing_key, @header.NAME or @body",
                  error);
}

static enum warren_status read_column(struct row_column *column, const char *text,
                                      struct warren_error *error)
{
    size_t len = strcspn(text, "=");
    const char *source = text[len] ? text + len + 1 : text;

    if (len == 0 || !*source)
        return refuse(text, "write COLUMN or COLUMN=SOURCE", error);
    column->name = strndup(text, len);
    return column->name ? read_source(column, source, text, error) : WARREN_ENOMEM;
}

enum warren_status row_mapping_read(struct row_mapping *mapping, const char *const *texts,
                                    size_t count, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    if (count == 0 || count > ROW_COLUMNS_MAX) {
        snprintf(error->text, sizeof error->text, "columns: name 1 to %d of them", ROW_COLUMNS_MAX);
        return error->status = WARREN_ECONFIG;
    }
    for (size_t i = 0; status == WARREN_OK && i < count; i++)
        status = read_column(&mapping->columns[mapping->count++], texts[i], error);
    return status;
}

void row_mapping_done(struct row_mapping *mapping)
{
    for (size_t i = 0; i < mapping->count; i++) {
        free(mapping->columns[i].name);
        free(mapping->columns[i].path);
    }
    mapping->count = 0;
}

char *row_insert_text(const struct row_mapping *mapping, const char *verb, const char *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);

    sqlite3_str_appendf(text, "%s INTO \"%w\" (", verb, table);
    for (size_t i = 0; i < mapping->count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i ? ", " : "", mapping->columns[i].name);
    sqlite3_str_appendall(text, ") VALUES (");
    for (size_t i = 0; i < mapping->count; i++)
        sqlite3_str_appendall(text, i ? ", ?" : "?");
    sqlite3_str_appendall(text, ")");
    return sqlite3_str_finish(text);
}

/* ---- one row ---- */

static const json_t *find(const json_t *value, const char *path)
{
    char name[PATH_NAME_MAX];

    while (value && *path) {
        size_t len = strcspn(path, ".");

        if (len >= sizeof name)
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        value = json_object_get(value, name);
        path += len + (path[len] == '.');
    }
    return value;
}

static void bind_json(sqlite3_stmt *statement, int place, const json_t *value)
{
    locale_t before;
    char *text;

    switch (json_typeof(value)) {
    case JSON_STRING:
        sqlite3_bind_text(statement, place, json_string_value(value),
                          (int)json_string_length(value), SQLITE_STATIC);
        break;
    case JSON_INTEGER:
        sqlite3_bind_int64(statement, place, json_integer_value(value));
        break;
    case JSON_REAL:
        sqlite3_bind_double(statement, place, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        sqlite3_bind_int(statement, place, json_is_true(value));
        break;
    case JSON_NULL:
        sqlite3_bind_null(statement, place);
        break;
    default: /* an object or an array stays JSON; without memory it is absent */
        before = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        uselocale(before);
        if (text)
            sqlite3_bind_text(statement, place, text, -1, free);
    }
}

static bool bind_text(sqlite3_stmt *statement, int place, struct warren_bytes text)
{
    if (text.data)
        sqlite3_bind_text(statement, place, text.data, (int)text.len, SQLITE_STATIC);
    return text.data != NULL;
}

static bool bind_header(sqlite3_stmt *statement, int place, const struct warren_value *value)
{
    if (!value)
        return false;
    switch (value->type) {
    case WARREN_STRING:
        sqlite3_bind_text(statement, place, value->as.bytes.data, (int)value->as.bytes.len,
                          SQLITE_STATIC);
        return true;
    case WARREN_BYTES:
        sqlite3_bind_blob(statement, place, value->as.bytes.data, (int)value->as.bytes.len,
                          SQLITE_STATIC);
        return true;
    case WARREN_BOOL:
        sqlite3_bind_int(statement, place, value->as.boolean);
        return true;
    case WARREN_I8:
    case WARREN_U8:
    case WARREN_I16:
    case WARREN_U16:
    case WARREN_I32:
    case WARREN_U32:
    case WARREN_I64:
        sqlite3_bind_int64(statement, place, value->as.integer);
        return true;
    case WARREN_TIMESTAMP:
        sqlite3_bind_int64(statement, place, (int64_t)value->as.timestamp);
        return true;
    default:
        return false;
    }
}

static bool bind_body(sqlite3_stmt *statement, int place, struct warren_bytes body)
{
    sqlite3_bind_text(statement, place, body.data, (int)body.len, SQLITE_STATIC);
    return true;
}

static bool bind_timestamp(sqlite3_stmt *statement, int place, const struct warren_properties *p)
{
    if (p->has_timestamp)
        sqlite3_bind_int64(statement, place, (int64_t)p->timestamp);
    return p->has_timestamp;
}

/* @return false: there is no such value */
static bool bind(const struct row_column *column, struct warren_job *job, const json_t *object,
                 sqlite3_stmt *statement, int place)
{
    const struct warren_properties *properties = warren_job_properties(job);
    const json_t *value;

    switch (column->source) {
    case ROW_FIELD:
        value = find(object, column->path);
        if (value)
            bind_json(statement, place, value);
        return value != NULL;
    case ROW_BODY:
        return bind_body(statement, place, warren_job_body(job));
    case ROW_MESSAGE_ID:
        return bind_text(statement, place, warren_job_text(job, properties->message_id));
    case ROW_TIMESTAMP:
        return bind_timestamp(statement, place, properties);
    case ROW_EXCHANGE:
        return bind_text(statement, place, warren_job_text(job, warren_job_exchange(job)));
    case ROW_ROUTING_KEY:
        return bind_text(statement, place, warren_job_text(job, warren_job_routing_key(job)));
    case ROW_HEADER:
        break;
    }
    return bind_header(statement, place, warren_job_header(job, column->path));
}

const char *row_bind(const struct row_mapping *mapping, struct warren_job *job,
                     const json_t *object, sqlite3_stmt *statement)
{
    sqlite3_clear_bindings(statement);
    for (size_t i = 0; i < mapping->count; i++)
        if (!bind(&mapping->columns[i], job, object, statement, (int)i + 1) && mapping->needs_all)
            return mapping->columns[i].name;
    return NULL;
}
