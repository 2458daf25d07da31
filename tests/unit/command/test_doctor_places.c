/* test_doctor_places.c - what `warren doctor` makes of folders and disks, of plugins that do not
 * load, and of certificates.
 */
#include <errno.h>
#include <sys/stat.h>

#include "command/doctor/doctor.h"
#include "doctor_rig.h"

#define MIB  ((uint64_t)1 << 20)
#define EXT4 0xef53
#define DAY  INT64_C(86400)

/* A spool on a disk, and nothing is wrong. */
static struct place well(void)
{
    return (struct place){.what = "spool.path",
                          .path = "/var/lib/w/spool.db",
                          .database = true,
                          .synced = true,
                          .grows = 100 * MIB,
                          .facts = {.exists = true,
                                    .sync_least_us = 400,
                                    .sync_us = 900,
                                    .type = EXT4,
                                    .device = 1,
                                    .free = 1000 * MIB,
                                    .inodes = 100000}};
}

static void expect_folder(const struct place *place, enum finding_level level, const char *part)
{
    judge_state_folder(&found, place);
    expect(level, "state-folder", part);
}

static void a_folder_that_cannot_be_used(void **state)
{
    struct place place = well();

    (void)state;
    expect_folder(&place, FINDING_OK, "spool.path /var/lib/w/spool.db: can be written, on ext4");
    place.facts.file_error = EACCES;
    expect_folder(&place, FINDING_FAIL, "Permission denied");
    place.facts.write_error = EROFS;
    expect_folder(&place, FINDING_FAIL, "Read-only file system");
    place.facts.exists = false;
    place.facts.error = ENOENT;
    expect_folder(&place, FINDING_FAIL, "No such file or directory");
    place.facts.can_make = true;
    expect_folder(&place, FINDING_OK, "the worker will make it");
    place.facts.end = WITHIN_LATE;
    expect_folder(&place, FINDING_FAIL, "does not answer within 10 s");
    place.facts.end = WITHIN_NOT_RUN;
    expect_folder(&place, FINDING_FAIL, "no process");
}

/* On a network SQLite cannot work; what is not a database may. */
static void file_systems(void **state)
{
    struct place place = well();

    (void)state;
    place.facts.type = 0x01021994;
    expect_folder(&place, FINDING_WARN, "is in memory (tmpfs)");
    place.facts.type = 0x794c7630;
    expect_folder(&place, FINDING_WARN, "goes with the container");
    place.facts.type = 0x6969;
    expect_folder(&place, FINDING_FAIL, "is on a network (NFS)");
    place.facts.type = 0xff534d42;
    expect_folder(&place, FINDING_FAIL, "is on a network (CIFS)");
    place.facts.type = 0x65735546;
    expect_folder(&place, FINDING_WARN, "is on FUSE");
    place.database = false;
    place.facts.type = 0x6969;
    expect_folder(&place, FINDING_WARN, "is on NFS");
    place.facts.type = 0x12345;
    expect_folder(&place, FINDING_OK, "another file system");
    place.facts.lock_error = ENOLCK;
    expect_folder(&place, FINDING_FAIL, "does not lock files: No locks available");
    place.facts.lock_error = 0;
    place.facts.map_error = ENODEV;
    expect_folder(&place, FINDING_FAIL, "does not map files");
}

static void flushing(void **state)
{
    struct place place = well();

    (void)state;
    judge_fsync(&found, &place);
    expect(FINDING_OK, "fsync", "400 to 900 us");
    place.facts.sync_us = 250000;
    judge_fsync(&found, &place);
    expect(FINDING_WARN, "fsync", "up to 250 ms");
    place.facts.sync_us = 1;
    judge_fsync(&found, &place);
    expect(FINDING_WARN, "fsync", "which no disk does");
    place.synced = false; /* nobody relies on it */
    judge_fsync(&found, &place);
    expect(FINDING_OK, "fsync", "us");
    place.facts.sync_error = EIO;
    judge_fsync(&found, &place);
    expect(FINDING_FAIL, "fsync", "Input/output error");
    place.facts.write_error = EACCES; /* which is said elsewhere */
    judge_fsync(&found, &place);
    assert_int_equal(found.count, 0);
}

/* What grows on one disk is added up; each disk is told of once. */
static void room(void **state)
{
    struct place places[2] = {well(), well()};

    (void)state;
    places[1].what = "store.path";
    places[1].grows = 950 * MIB;
    places[1].facts.device = 2;
    judge_disk_space(&found, places, 1);
    expect(FINDING_OK, "disk-space", "1000 MiB left; what is kept there may grow by 100 MiB");
    judge_disk_space(&found, places, 2);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.counts[FINDING_OK], 2);
    findings_done(&found);
    findings_init(&found);
    places[1].facts.device = 1;
    judge_disk_space(&found, places, 2);
    expect(FINDING_WARN, "disk-space", "spool.path and 1 more");
    places[1].facts.has = 900 * MIB; /* of which most is there */
    judge_disk_space(&found, places, 2);
    expect(FINDING_OK, "disk-space", "grow by 150 MiB");
    places[0].facts.inodes = 3;
    judge_disk_space(&found, places, 1);
    expect(FINDING_FAIL, "disk-space", "only 3 files more");
    places[0].facts.free = 15 * MIB;
    judge_disk_space(&found, places, 1);
    expect(FINDING_FAIL, "disk-space", "only 15 MiB left");
}

static bool holds_nothing(const char *folder)
{
    return rmdir(folder) == 0 && mkdir(folder, 0700) == 0;
}

/* A real folder: it can be written, and nothing is left in it; what is missing is not made. */
static void facts_are_gathered(void **state)
{
    struct place place = {.what = "state_dir", .path = "kept", .is_folder = true};
    struct place file = {.what = "store.path", .path = "gone/store.db", .database = true};

    (void)state;
    assert_int_equal(mkdir("kept", 0700), 0);
    place_gather(&place, NULL, NULL);
    assert_int_equal(place.facts.end, WITHIN_DONE);
    assert_true(place.facts.exists);
    assert_int_equal(place.facts.write_error, 0);
    assert_int_equal(place.facts.sync_error, 0);
    assert_int_equal(place.facts.lock_error, 0);
    assert_int_equal(place.facts.map_error, 0);
    assert_true(place.facts.free > 0);
    assert_true(place.facts.sync_least_us <= place.facts.sync_us);
    assert_true(holds_nothing("kept"));
    assert_int_equal(rmdir("kept"), 0);
    place_gather(&place, NULL, NULL);
    assert_false(place.facts.exists);
    assert_true(place.facts.can_make);
    assert_int_equal(access("kept", F_OK), -1);
    place_gather(&file, NULL, NULL);
    assert_int_equal(file.facts.error, ENOENT);
    assert_false(file.facts.can_make);
    helper_write("taken", "x", 1);
    place.path = "taken";
    place_gather(&place, NULL, NULL);
    assert_int_equal(place.facts.error, ENOTDIR);
    unlink("taken");
}

/* Behind a link it is the folder of the file itself that counts. */
static void a_link_to_another_folder(void **state)
{
    struct place place = {.what = "store.path", .path = "link.db", .database = true};

    (void)state;
    assert_int_equal(mkdir("real", 0700), 0);
    helper_write("real/store.db", "12345", 5);
    assert_int_equal(symlink("/proc/self/status", "link.db"), 0);
    place_gather(&place, NULL, NULL);
    assert_int_not_equal(place.facts.write_error, 0); /* no file can be made in /proc */
    assert_int_equal(unlink("link.db"), 0);
    assert_int_equal(symlink("real/store.db", "link.db"), 0);
    place_gather(&place, NULL, NULL);
    assert_int_equal(place.facts.write_error, 0);
    assert_int_equal(place.facts.has, 5);
    unlink("link.db");
    unlink("real/store.db");
    assert_int_equal(rmdir("real"), 0);
}

/* ---- plugins, certificates ---- */

static void plugins(void **state)
{
    struct plugin_facts facts = {.name = "log", .version = "1.2", .handlers = 1};

    (void)state;
    judge_plugin(&found, "log.so", &facts);
    expect(FINDING_OK, "plugins", "log.so: log 1.2, 1 handler, 0 middlewares");
    facts.status = WARREN_EPLUGIN;
    strcpy(facts.text, "log.so: built for ABI 9");
    judge_plugin(&found, "log.so", &facts);
    expect(FINDING_FAIL, "plugins", "built for ABI 9");
    facts.end = WITHIN_LATE;
    judge_plugin(&found, "log.so", &facts);
    expect(FINDING_FAIL, "plugins", "longer than 10 s");
    facts.end = WITHIN_DIED;
    facts.signal = 11;
    judge_plugin(&found, "log.so", &facts);
    expect(FINDING_FAIL, "plugins", "Segmentation fault");
    facts.signal = 0;
    judge_plugin(&found, "log.so", &facts);
    expect(FINDING_FAIL, "plugins", "ended the process");
    facts.end = WITHIN_NOT_RUN;
    judge_plugin(&found, "log.so", &facts);
    expect(FINDING_FAIL, "plugins", "no process");
}

static void expect_certificate(int64_t from_s, int64_t until_s, enum finding_level level,
                               const char *part)
{
    struct certificate certificate = {.from_s = from_s, .until_s = until_s, .name = "mq"};

    judge_certificate(&found, "tls", "amqps://mq", "renew it", &certificate, 1000 * DAY);
    expect(level, "tls", part);
}

static void certificates(void **state)
{
    (void)state;
    expect_certificate(0, 1031 * DAY, FINDING_OK, "valid until 1972-10-28T00:00:00Z");
    expect_certificate(0, 1030 * DAY - 1, FINDING_WARN, "ends in 29 days");
    expect_certificate(0, 1001 * DAY, FINDING_WARN, "ends in 1 day,");
    expect_certificate(0, 1000 * DAY, FINDING_FAIL, "was valid until 1972-09-27T00:00:00Z");
    expect_certificate(1000 * DAY + 1, 2000 * DAY, FINDING_FAIL, "not valid before");
}

/* ---- printing ---- */

static void print(FILE *out, bool colour)
{
    for (size_t i = 0; i < found.count; i++)
        finding_write(out, &found.items[i], colour);
    findings_write_summary(out, &found);
    fclose(out);
}

/* A line each, and what to do below; the word says the level, with or without a colour. What would
 * ring is not written. */
static void a_report(void **state)
{
    char text[2000];

    (void)state;
    findings_ok(&found, "clock", "well");
    findings_warn(&found, "fsync", "a \ades\033[2Jk", "slow \033[31m");
    findings_fail(&found, "disk-space", "make room", "full");
    print(fmemopen(text, sizeof text, "w"), false);
    assert_string_equal(text, "ok    clock                 well\n"
                              "warn  fsync                 slow ?[31m\n"
                              "                            > a ?des?[2Jk\n"
                              "fail  disk-space            full\n"
                              "                            > make room\n"
                              "1 ok, 1 warning, 1 failed\n");
    print(fmemopen(text, sizeof text, "w"), true);
    assert_non_null(strstr(text, "\033[1;31mfail\033[0m  disk-space"));
    assert_true(findings_has_trouble(&found, "fsync"));
    assert_false(findings_has_trouble(&found, "clock"));
}

/* Each check has its row in the page of operations, and its name one column of the report. */
static void every_check_is_documented(void **state)
{
    FILE *file = fopen(WARREN_SOURCE_DIR "/docs/operations.md", "r");
    static char page[65536];
    char row[64];

    (void)state;
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    for (const struct doctor_check *check = doctor_checks; check->name; check++) {
        snprintf(row, sizeof row, "\n| `%s` | ", check->name);
        if (!strstr(page, row) || strlen(check->name) > 20 || !check->asks)
            fail_msg("docs/operations.md has no row for the check %s", check->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_folder_that_cannot_be_used),
        RIG_TEST(file_systems),
        RIG_TEST(flushing),
        RIG_TEST(room),
        RIG_TEST(facts_are_gathered),
        RIG_TEST(a_link_to_another_folder),
        RIG_TEST(plugins),
        RIG_TEST(certificates),
        RIG_TEST(a_report),
        RIG_TEST(every_check_is_documented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
