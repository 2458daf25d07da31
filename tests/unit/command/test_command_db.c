/* test_command_db.c - `warren db check` and `warren db backup`: what they print, and how they end.
 */
#include <unistd.h>

#include "command/commands.h"
#include "store/db/database.h"

#include "command_rig.h"
#include "support/test.h"

struct files {
    char folder[64];
    char store[128];
    char copy[128];
};

static int setup(void **state)
{
    struct files *files = calloc(1, sizeof *files);
    struct database_options options = {.path = files->store, .synchronous = DATABASE_OFF};
    struct database *database;

    snprintf(files->folder, sizeof files->folder, "/tmp/warren-db-XXXXXX");
    assert_non_null(mkdtemp(files->folder));
    snprintf(files->store, sizeof files->store, "%s/store.db", files->folder);
    snprintf(files->copy, sizeof files->copy, "%s/copy.db", files->folder);
    assert_int_equal(database_open(&options, &database, NULL), WARREN_OK);
    assert_int_equal(database_run(database,
                                  "INSERT INTO done VALUES (1, zeroblob(16), 1000, 0, NULL),"
                                  " (2, zeroblob(16), 86400000, 0, NULL)",
                                  NULL),
                     WARREN_OK);
    database_close(database);
    *state = files;
    return 0;
}

static int teardown(void **state)
{
    struct files *files = *state;
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm", "copy.db"};
    char path[192];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", files->folder, names[i]);
        unlink(path);
    }
    rmdir(files->folder);
    free(files);
    return 0;
}

/* A sound file is called so, with what is in it. */
static void a_sound_file(void **state)
{
    struct files *files = *state;

    assert_int_equal(RUN("db", "check", files->store), CLI_OK);
    assert_has(out, ": sound\n");
    assert_has(out, "done       2\n");
    assert_has(out, "1970-01-01T00:00:01Z");
    assert_has(out, "1970-01-02T00:00:00Z");
    assert_string_equal(err, "");
}

/* The same for a program. */
static void as_json(void **state)
{
    struct files *files = *state;
    char line[192];

    assert_int_equal(RUN("db", "check", "--json", files->store), CLI_OK);
    snprintf(line, sizeof line, "{\"file\":\"%s\",\"schema\":", files->store);
    assert_has(out, line);
    assert_has(out, "\"done\":2,\"oldest\":\"1970-01-01T00:00:01Z\",\"newest\":"
                    "\"1970-01-02T00:00:00Z\",\"claimed\":0,\"spooled\":0}\n");
    assert_string_equal(err, "");
}

/* A damaged file is a failure, and the advice is there. */
static void a_damaged_file(void **state)
{
    struct files *files = *state;
    FILE *file = fopen(files->store, "r+");

    assert_non_null(file);
    for (int page = 3; page < 12; page++) {
        fseek(file, page * 4096L, SEEK_SET);
        fputs("no page looks like this", file);
    }
    fclose(file);
    assert_int_equal(RUN("db", "check", files->store), CLI_FAILED);
    assert_has(err, "is damaged");
    assert_has(err, "backup");
    assert_string_equal(out, "");
}

/* No file, another program's file, no argument, one too many. */
static void what_cannot_be_checked(void **state)
{
    struct files *files = *state;

    assert_int_equal(RUN("db", "check", "/nonexistent.db"), CLI_FAILED);
    assert_has(err, "/nonexistent.db does not exist");
    assert_int_equal(RUN("db", "check", "/proc/self/exe"), CLI_FAILED);
    assert_has(err, "no SQLite database");
    assert_int_equal(RUN("db", "check"), CLI_USAGE);
    assert_has(err, "which file?");
    assert_int_equal(RUN("db", "check", files->store, "more"), CLI_USAGE);
}

/* The copy is a sound file with the same rows; a second copy to the same name is refused. */
static void a_backup(void **state)
{
    struct files *files = *state;

    assert_int_equal(RUN("db", "backup", files->store), CLI_USAGE);
    assert_int_equal(RUN("db", "backup", files->store, files->copy), CLI_OK);
    assert_int_equal(RUN("db", "check", files->copy), CLI_OK);
    assert_has(out, "done       2\n");
    assert_int_equal(RUN("db", "backup", files->store, files->copy), CLI_FAILED);
    assert_has(err, "exists already");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sound_file),           TEST(as_json),  TEST(a_damaged_file),
        TEST(what_cannot_be_checked), TEST(a_backup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
