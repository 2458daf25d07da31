/* fuzz_spool.c - a spool that was damaged or edited. Input that begins with an even byte is columns
 * of rows, each with its kind; otherwise patches to a sound file (4 bytes offset, 1 byte length,
 * the bytes). What is in it is counted, read, shown, restored and removed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "amqp/wire/frame.h"
#include "amqp/wire/properties.h"
#include "amqp/wire/wire.h"
#include "command/dump/dump_json.h"
#include "command/spool/command_spool.h"
#include "fuzz/fuzz.h"
#include "publish/delay/delay.h"
#include "publish/spool/spooler_private.h"

#define ROWS_MAX    8
#define SOUND_ROWS  5
#define COLUMNS     12
#define REMOVED_MAX 1000

enum kind { KIND_SOUND, KIND_NULL, KIND_INTEGER, KIND_TEXT, KIND_BLOB, KIND_LONG, KINDS };

struct input {
    const uint8_t *at;
    size_t left;
};

static char folder[] = "/tmp/warren-fuzz-XXXXXX";
static char path[64];
static struct spool *kept; /* of the columns; each run is rolled back */
static uint8_t *image;     /* of a sound file */
static size_t image_size;

/* ---- the files ---- */

static void remove_files(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-spool-lock"};
    char name[96];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

static void end(void)
{
    spool_close(kept);
    free(image);
    remove_files();
    snprintf(path, sizeof path, "%s/kept.db", folder);
    remove_files();
    rmdir(folder);
}

static struct spool *open_spool(void)
{
    const struct database_options options = {.path = path, .synchronous = DATABASE_OFF};
    struct spool *spool = NULL;
    struct warren_error error;

    return spool_open(&options, &spool, &error) == WARREN_OK ? spool : NULL;
}

static void append(struct spool *spool)
{
    struct warren_error error;

    for (int i = 0; i < SOUND_ROWS; i++) {
        struct spool_message message = {.message_id = warren_text("id"),
                                        .routing_key = warren_text("q"),
                                        .delay_s = (uint32_t)i,
                                        .delay_to = warren_text("later"),
                                        .properties = {"\x80\0\4text", 7},
                                        .body = warren_text("body")};

        fuzz_expect(spool_append(spool, &message, &error) == WARREN_OK, "a sound row");
    }
}

static void read_image(void)
{
    FILE *file = fopen(path, "rb");

    fuzz_expect(file != NULL, "the file");
    fseek(file, 0, SEEK_END);
    image_size = (size_t)ftell(file);
    rewind(file);
    image = malloc(image_size);
    fuzz_expect(image && fread(image, 1, image_size, file) == image_size, "the file's bytes");
    fclose(file);
}

static void begin(void)
{
    struct warren_error error;
    struct spool *spool;

    if (image)
        return;
    fuzz_expect(mkdtemp(folder) != NULL, "a folder");
    atexit(end);
    snprintf(path, sizeof path, "%s/kept.db", folder);
    kept = open_spool();
    snprintf(path, sizeof path, "%s/file.db", folder);
    spool = open_spool();
    fuzz_expect(kept && spool, "two spools");
    append(spool);
    fuzz_expect(database_run(spool_database(spool), "PRAGMA wal_checkpoint(TRUNCATE)", &error) ==
                    WARREN_OK,
                "one file");
    spool_close(spool);
    read_image();
}

/* ---- what is done with them ---- */

static void look_at_record(const struct record *record)
{
    char name[DELAY_NAME_SIZE];

    fuzz_expect(record_exchange(record).len <= 255, "a name of AMQP");
    if (!record->delay)
        return;
    fuzz_expect(strlen(record->delay->destination) <= 255, "a name of AMQP");
    fuzz_expect(record->delay->seconds > 0 && delay_top(record->delay) < DELAY_LEVELS_MAX,
                "a delay of all levels");
    fuzz_expect(delay_level_header(delay_top(record->delay)) != NULL, "a level");
    delay_departure_name(record->delay, name);
}

static bool look(void *user, const struct spool_message *m)
{
    struct arena *arena = user;
    struct warren_message message = {.body = m->body};
    struct record *record;
    const char *why = NULL;

    arena_reset(arena);
    json_decref(spool_message_json(m));
    if (properties_check(m->properties, &why) == WARREN_OK &&
        properties_decode(m->properties, arena, &message.properties) == WARREN_OK)
        json_decref(dump_json_message(&message, arena));
    if (spooler_restore(m, &record, &why) == WARREN_OK) {
        look_at_record(record);
        record_free(record);
    } else {
        fuzz_expect(why != NULL, "a reason");
    }
    return true;
}

static bool count(void *user, const struct spool_message *message)
{
    fuzz_expect(message->message_id.len <= 255, "an id of AMQP");
    fuzz_expect(++*(int *)user < REMOVED_MAX, "an end");
    return true;
}

static void use(struct spool *spool)
{
    int gone = 0;
    struct spool_removal old = {.bytes = INT64_MAX, .before_ms = 1, .each = count, .user = &gone};
    struct spool_removal any = old;
    struct spool_removed removed;
    struct spool_totals totals;
    struct warren_error error;
    struct arena arena;

    any.before_ms = INT64_MAX;
    arena_init(&arena);
    spool_count(spool, &totals, &error);
    spool_read(spool, INT64_MIN, SPOOL_ALL, true, look, &arena, &error);
    spool_remove_oldest(spool, &old, &removed, &error);
    spool_remove_oldest(spool, &any, &removed, &error);
    arena_done(&arena);
}

/* ---- columns ---- */

static size_t take_number(struct input *input, size_t width)
{
    size_t number = 0;

    for (; width > 0; width--) {
        number = number << 8 | (input->left > 0 ? *input->at : 0);
        input->at += input->left > 0;
        input->left -= input->left > 0;
    }
    return number;
}

static const void *take_bytes(struct input *input, size_t *len)
{
    const void *bytes;

    *len = take_number(input, 2);
    bytes = input->at;
    *len = *len < input->left ? *len : input->left;
    input->at += *len;
    input->left -= *len;
    return bytes;
}

static void bind_sound(sqlite3_stmt *statement, int column)
{
    if (column == 11 || column == 12)
        sqlite3_bind_zeroblob(statement, column, 2);
    else if (column == 2)
        sqlite3_bind_int64(statement, column, 1700000000000);
    else if (column == 1 || column == 10)
        sqlite3_bind_null(statement, column);
    else if (column == 6 || column == 7 || column == 8)
        sqlite3_bind_int64(statement, column, 0);
    else
        sqlite3_bind_text(statement, column, "name", -1, SQLITE_STATIC);
}

/* Of so many times one byte: what no input is long enough for. */
static void bind_long(sqlite3_stmt *statement, int column, struct input *input)
{
    size_t len = take_number(input, 3) & 0x3fffff;
    int byte = (int)take_number(input, 1);
    void *bytes = malloc(len + 1);

    fuzz_expect(bytes != NULL, "memory");
    memset(bytes, byte, len);
    sqlite3_bind_text64(statement, column, bytes, len, free, SQLITE_UTF8);
}

static void bind(sqlite3_stmt *statement, int column, struct input *input)
{
    size_t len;
    const void *bytes;

    switch ((enum kind)(take_number(input, 1) % KINDS)) {
    case KIND_NULL:
        sqlite3_bind_null(statement, column);
        break;
    case KIND_INTEGER:
        sqlite3_bind_int64(statement, column, (int64_t)take_number(input, 8));
        break;
    case KIND_TEXT:
        bytes = take_bytes(input, &len);
        sqlite3_bind_text64(statement, column, bytes, len, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    case KIND_BLOB:
        bytes = take_bytes(input, &len);
        sqlite3_bind_blob64(statement, column, bytes, len, SQLITE_TRANSIENT);
        break;
    case KIND_LONG:
        bind_long(statement, column, input);
        break;
    default:
        bind_sound(statement, column);
    }
}

/* One row after the other; then perhaps what the file says of its newest number. */
static void forge(struct input *input)
{
    static const char sql[] = "INSERT OR REPLACE INTO spool (id, at, message_id, exchange,"
                              " routing_key, flags, bytes, delay, delay_to, refused, properties,"
                              " body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    struct sqlite3 *database = database_handle(spool_database(kept));
    sqlite3_stmt *statement;

    fuzz_expect(sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK,
                "a statement");
    for (int row = 0; row < ROWS_MAX && input->left > 0; row++) {
        for (int column = 1; column <= COLUMNS; column++)
            bind(statement, column, input);
        sqlite3_step(statement);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    if (take_number(input, 1) % 2 == 1)
        sqlite3_exec(database, "UPDATE sqlite_sequence SET seq = 2", NULL, NULL, NULL);
}

static void run_columns(struct input *input)
{
    struct warren_error error;

    fuzz_expect(database_begin(spool_database(kept), &error) == WARREN_OK, "a transaction");
    forge(input);
    use(kept);
    database_rollback(spool_database(kept));
}

/* ---- patches ---- */

static void run_patches(struct input *input)
{
    struct spool *spool;
    uint8_t *bytes = malloc(image_size);
    FILE *file;

    fuzz_expect(bytes != NULL, "memory");
    memcpy(bytes, image, image_size);
    while (input->left >= 5) {
        size_t at = take_number(input, 4) % image_size;
        size_t len = take_number(input, 1);

        len = len < input->left ? len : input->left;
        len = len < image_size - at ? len : image_size - at;
        memcpy(bytes + at, input->at, len);
        input->at += len;
        input->left -= len;
    }
    remove_files();
    file = fopen(path, "wb");
    fuzz_expect(file && fwrite(bytes, 1, image_size, file) == image_size, "the file written");
    fclose(file);
    free(bytes);
    spool = open_spool();
    if (spool)
        use(spool);
    spool_close(spool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    begin();
    if (take_number(&input, 1) % 2 == 0)
        run_columns(&input);
    else
        run_patches(&input);
    return 0;
}
