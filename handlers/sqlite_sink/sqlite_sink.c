/* sqlite_sink.c - the plugin `sqlite_sink`: `sqlite_sink.insert` inserts each JSON message as a row
 * into a table of the store's file, in the transaction in which the message's key is noted: however
 * often it comes, and whatever dies when, there is one row.
 *
 * A body is an object, or an array of objects that are inserted together. Messages that wait at the
 * same time share a commit; with `batch:` all of a batch, of which each that fails is left out
 * alone.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <warren/batch.h>
#include <warren/sqlite.h>

#include "row.h"

struct sink {
    struct sqlite3 *database;
    sqlite3_stmt *insert; /* used within the transaction alone, so by one thread at a time */
    struct row_mapping mapping;
};

static const struct warren_option insert_options[] = {
    {"table", WARREN_OPTION_STRING, NULL, 0, 0, NULL, "The table."},
    {"columns", WARREN_OPTION_LIST, NULL, 0, 0, NULL,
     "What is filled: COLUMN, from the field of that name, or COLUMN=SOURCE. A source is a field "
     "of the JSON object (customer.name goes down into objects, . is the whole), @message_id, "
     "@timestamp, @exchange, @routing_key, @header.NAME or @body."},
    {"create", WARREN_OPTION_STRING, "", 0, 0, NULL,
     "SQL that is run first, such as CREATE TABLE IF NOT EXISTS."},
    {"on_conflict", WARREN_OPTION_ENUM, "reject", 0, 0, "reject|ignore|replace",
     "What becomes of a row that a constraint forbids: its message is rejected, the row is left "
     "out, or it replaces the one that is there."},
    {"missing", WARREN_OPTION_ENUM, "null", 0, 0, "null|reject",
     "What becomes of a message without one of the values: the column is NULL, or the message is "
     "rejected."},
    {0}};

/* ---- open ---- */

static const char *verb_of(const char *on_conflict)
{
    if (strcmp(on_conflict, "ignore") == 0)
        return "INSERT OR IGNORE";
    return strcmp(on_conflict, "replace") == 0 ? "INSERT OR REPLACE" : "INSERT";
}

static enum warren_status fail(struct sink *sink, const char *option, struct warren_error *error)
{
    snprintf(error->text, sizeof error->text, "%s: %s", option, sqlite3_errmsg(sink->database));
    return error->status = WARREN_ECONFIG;
}

static enum warren_status prepare(struct sink *sink, const struct warren_options *options,
                                  struct warren_error *error)
{
    const char *create = warren_options_text(options, "create");
    char *text;
    int code;

    if (sqlite3_exec(sink->database, create, NULL, NULL, NULL) != SQLITE_OK)
        return fail(sink, "create", error);
    text = row_insert_text(&sink->mapping, verb_of(warren_options_text(options, "on_conflict")),
                           warren_options_text(options, "table"));
    if (!text)
        return WARREN_ENOMEM;
    code = sqlite3_prepare_v3(sink->database, text, -1, SQLITE_PREPARE_PERSISTENT, &sink->insert,
                              NULL);
    sqlite3_free(text);
    return code == SQLITE_OK ? WARREN_OK : fail(sink, "table, columns", error);
}

static void sink_close(void *state)
{
    struct sink *sink = state;

    sqlite3_finalize(sink->insert);
    row_mapping_done(&sink->mapping);
    free(sink);
}

static enum warren_status sink_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    struct sink *sink = calloc(1, sizeof *sink);
    size_t count;
    const char *const *columns = warren_options_list(info->options, "columns", &count);
    enum warren_status status;

    if (!sink)
        return WARREN_ENOMEM;
    sink->database = warren_subscription_sqlite(info);
    sink->mapping.needs_all = strcmp(warren_options_text(info->options, "missing"), "reject") == 0;
    status = row_mapping_read(&sink->mapping, columns, count, error);
    if (status == WARREN_OK && !sink->database) {
        snprintf(error->text, sizeof error->text, "there is no store to insert into");
        status = WARREN_ECONFIG;
    }
    if (status == WARREN_OK)
        status = prepare(sink, info->options, error);
    if (status != WARREN_OK) {
        sink_close(sink);
        return status;
    }
    *state = sink;
    return WARREN_OK;
}

/* ---- handle ---- */

/* What a constraint or a type forbids now, it forbids for ever. */
static enum warren_outcome judge(struct warren_job *job, struct sink *sink, int code)
{
    warren_job_fail(job, "cannot insert: %s", sqlite3_errmsg(sink->database));
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        return WARREN_REJECT;
    default:
        return WARREN_RETRY;
    }
}

static enum warren_outcome insert_one(struct warren_job *job, struct sink *sink,
                                      const json_t *object)
{
    const char *missing;
    int code;

    if (!json_is_object(object)) {
        warren_job_fail(job, "the body is no JSON object and no array of objects");
        return WARREN_REJECT;
    }
    missing = row_bind(&sink->mapping, job, object, sink->insert);
    if (missing) {
        warren_job_fail(job, "there is no value for the column %s", missing);
        return WARREN_REJECT;
    }
    code = sqlite3_step(sink->insert);
    if (code != SQLITE_DONE) {
        enum warren_outcome outcome = judge(job, sink, code);

        sqlite3_reset(sink->insert);
        return outcome;
    }
    sqlite3_reset(sink->insert);
    return WARREN_ACK;
}

static enum warren_outcome insert_all(struct warren_job *job, struct sink *sink, const json_t *body)
{
    enum warren_outcome outcome = WARREN_ACK;
    const json_t *object;
    size_t i;

    if (!warren_job_sqlite(job))
        return WARREN_RETRY;
    if (!json_is_array(body))
        return insert_one(job, sink, body);
    json_array_foreach(body, i, object)
    {
        outcome = insert_one(job, sink, object);
        if (outcome != WARREN_ACK)
            break;
    }
    return outcome;
}

/* NULL: it is none, and the job says why. */
static json_t *parse(struct warren_job *job)
{
    struct warren_bytes body = warren_job_body(job);
    locale_t before = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
    json_error_t why;
    json_t *json = json_loadb(body.data, body.len,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);

    uselocale(before);
    if (!json)
        warren_job_fail(job, "the body is no JSON: %s, at byte %d", why.text, why.position);
    return json;
}

static enum warren_outcome insert_parsed(struct warren_job *job, struct sink *sink, json_t *json)
{
    enum warren_outcome outcome = json ? insert_all(job, sink, json) : WARREN_REJECT;

    json_decref(json);
    return outcome;
}

static enum warren_outcome sink_insert(struct warren_job *job, void *state)
{
    return insert_parsed(job, state, parse(job));
}

/* All is parsed before the transaction begins, for that keeps everybody else out of the file. */
static enum warren_outcome sink_insert_batch(struct warren_batch *batch, void *state)
{
    size_t count = warren_batch_count(batch);
    json_t **parsed = warren_job_alloc(warren_batch_job(batch, 0), count * sizeof(json_t *));

    if (!parsed)
        return WARREN_RETRY;
    for (size_t i = 0; i < count; i++)
        parsed[i] = parse(warren_batch_job(batch, i));
    for (size_t i = 0; i < count; i++)
        warren_batch_set(batch, i, insert_parsed(warren_batch_job(batch, i), state, parsed[i]));
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {
    {.name = "insert",
     .help = "Inserts JSON messages into a table of the store, each exactly once.",
     .options = insert_options,
     .open = sink_open,
     .handle = sink_insert,
     .handle_batch = sink_insert_batch,
     .close = sink_close,
     .transactional = true},
    {0}};

WARREN_PLUGIN(.name = "sqlite_sink", .version = WARREN_VERSION, .handlers = handlers)
