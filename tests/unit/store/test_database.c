/* test_database.c - opening a file: new, again, not ours, damaged, of a newer warren, where nothing
 * can be written; and checking, measuring and copying one.
 */
#include "store_rig.h"

#include <sys/wait.h>

#include <sqlite3.h>

#include "store/db/database_private.h"

static enum warren_status try_open(struct rig *rig, const struct database_options *options)
{
    struct database *database = NULL;
    enum warren_status status = database_open(options, &database, &rig->error);

    database_close(database);
    return status;
}

static enum warren_status try_open_path(struct rig *rig, const char *path)
{
    struct database_options options = {.path = path, .synchronous = DATABASE_FULL};

    return try_open(rig, &options);
}

static int64_t number(struct rig *rig, struct database *database, const char *sql)
{
    int64_t value = -1;

    if (database_number(database, sql, &value, &rig->error) != WARREN_OK)
        fail_msg("%s: %s", sql, rig->error.text);
    return value;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A new file is warren's, in WAL mode, of the newest version, and each step is on record. */
static void a_new_file_has_the_schema(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);
    struct database_size size;

    assert_int_equal(number(rig, database, "PRAGMA application_id"), SCHEMA_APPLICATION_ID);
    assert_int_equal(number(rig, database, "SELECT count(*) FROM warren_schema"), schema_newest());
    assert_int_equal(
        number(rig, database, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode='wal'"),
        1);
    assert_int_equal(database_size(database, &size, &rig->error), WARREN_OK);
    assert_int_equal(size.version, schema_newest());
    assert_true(size.file > 0);
    database_close(database);
}

/* What was written is there after a second opening, which takes no step again. */
static void a_file_is_opened_again(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);

    rig_run(rig, database, "INSERT INTO setting VALUES ('a', 7)");
    database_close(database);
    database = rig_open(rig);
    assert_int_equal(number(rig, database, "SELECT value FROM setting"), 7);
    assert_int_equal(number(rig, database, "SELECT count(*) FROM warren_schema"), schema_newest());
    database_close(database);
}

/* The level of synchronous is what was asked for: FULL is 2, NORMAL 1. */
static void synchronous_is_as_asked(void **state)
{
    struct rig *rig = *state;
    struct database_options options = {.path = rig->path};
    struct database *database = NULL;

    assert_true(database_synchronous_parse("full", &options.synchronous));
    assert_int_equal(database_open(&options, &database, &rig->error), WARREN_OK);
    assert_int_equal(number(rig, database, "PRAGMA synchronous"), 2);
    database_close(database);
    assert_true(database_synchronous_parse("normal", &options.synchronous));
    assert_int_equal(database_open(&options, &database, &rig->error), WARREN_OK);
    assert_int_equal(number(rig, database, "PRAGMA synchronous"), 1);
    database_close(database);
    assert_false(database_synchronous_parse("fuller", &options.synchronous));
}

/* Another program's file is refused, whether it has an id of its own or none; it stays as it is. */
static void another_applications_file_is_refused(void **state)
{
    static const char *const theirs[] = {"CREATE TABLE bookmarks (url)",
                                         "PRAGMA application_id = 252006674"};
    struct rig *rig = *state;

    for (size_t i = 0; i < 2; i++) {
        sqlite3 *sqlite;
        struct stat before;
        struct stat after;

        unlink(rig->path);
        assert_int_equal(sqlite3_open(rig->path, &sqlite), SQLITE_OK);
        assert_int_equal(sqlite3_exec(sqlite, theirs[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(sqlite);
        assert_int_equal(stat(rig->path, &before), 0);
        assert_int_equal(try_open_path(rig, rig->path), WARREN_ECONFIG);
        assert_has(rig->error.text, "another application");
        assert_has(rig->error.text, rig->path);
        assert_int_equal(stat(rig->path, &after), 0);
        assert_int_equal(before.st_size, after.st_size);
        assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    }
}

/* A file that is no database is refused with advice, and not overwritten. */
static void a_text_file_is_refused(void **state)
{
    struct rig *rig = *state;
    char text[64] = "";
    FILE *file;

    write_file(rig->path, "dear diary\n");
    assert_int_equal(try_open_path(rig, rig->path), WARREN_EIO);
    assert_has(rig->error.text, "no SQLite database");
    assert_has(rig->error.text, "backup");
    file = fopen(rig->path, "r");
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "dear diary\n");
}

/* The beginning is overwritten: refused with advice. */
static void a_damaged_file_is_refused(void **state)
{
    struct rig *rig = *state;
    char garbage[4096];
    int fd;

    database_close(rig_open(rig));
    memset(garbage, 0x5a, sizeof garbage);
    fd = open(rig->path, O_WRONLY);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage - 100, 100), sizeof garbage - 100);
    close(fd);
    assert_int_equal(try_open_path(rig, rig->path), WARREN_EIO);
    assert_has(rig->error.text, "is damaged");
    assert_has(rig->error.text, "left as it is");
}

/* A version from the future is refused, by name of both versions. */
static void a_newer_schema_is_refused(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);

    rig_run(rig, database, "INSERT INTO warren_schema VALUES (99, 0, '9.9.9')");
    database_close(database);
    assert_int_equal(try_open_path(rig, rig->path), WARREN_ECONFIG);
    assert_has(rig->error.text, "newer warren");
    assert_has(rig->error.text, "version 99");
}

/* A damaged page says that the file is of version 6100498040124418730, or of none that there can
 * be: it is damaged, and not of a newer warren. */
static void a_damaged_version_is_not_a_newer_one(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);
    char garbage[3000];
    int64_t page;
    int fd;

    rig_run(rig, database,
            "DELETE FROM warren_schema; INSERT INTO warren_schema VALUES(-1, 0, '')");
    database_close(database);
    assert_int_equal(try_open_path(rig, rig->path), WARREN_EIO);
    assert_has(rig->error.text, "is damaged");
    unlink(rig->path);
    database = rig_open(rig);
    page = number(rig, database, "SELECT rootpage FROM sqlite_master WHERE name = 'warren_schema'");
    database_close(database);
    memset(garbage, 0xaa, sizeof garbage);
    fd = open(rig->path, O_WRONLY);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, page * 4096 - (int)sizeof garbage),
                     sizeof garbage);
    close(fd);
    assert_int_equal(try_open_path(rig, rig->path), WARREN_EIO);
    assert_has(rig->error.text, "is damaged");
    assert_has(rig->error.text, "left as it is");
}

/* A file of version 1 is brought to the newest, and keeps what it has. */
static void an_older_schema_is_brought_up(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);

    rig_run(rig, database, "INSERT INTO setting VALUES ('kept', 1)");
    rig_run(rig, database, "DROP TABLE spool; DELETE FROM warren_schema WHERE version > 1");
    database_close(database);
    database = rig_open(rig);
    assert_int_equal(number(rig, database, "SELECT count(*) FROM spool"), 0);
    assert_int_equal(number(rig, database, "SELECT value FROM setting"), 1);
    assert_int_equal(number(rig, database, "SELECT max(version) FROM warren_schema"),
                     schema_newest());
    database_close(database);
}

/* A file that must exist and does not is said so, and not made. */
static void a_missing_file_is_not_made(void **state)
{
    struct rig *rig = *state;
    struct database_options options = {.path = rig->path, .must_exist = true};

    assert_int_equal(try_open(rig, &options), WARREN_ENOTFOUND);
    assert_has(rig->error.text, "does not exist");
    assert_int_not_equal(access(rig->path, F_OK), 0);
}

/* The operating system's reason is in the error. */
static void an_impossible_path_says_why(void **state)
{
    struct rig *rig = *state;
    char path[192];

    snprintf(path, sizeof path, "%s/no/such/folder.db", rig->folder);
    assert_int_equal(try_open_path(rig, path), WARREN_EIO);
    assert_has(rig->error.text, path);
    assert_has(rig->error.text, "No such file or directory");
}

static mode_t mode_of(const struct rig *rig, const char *suffix)
{
    char path[192];
    struct stat file;

    snprintf(path, sizeof path, "%s%s", rig->path, suffix);
    assert_int_equal(stat(path, &file), 0);
    return file.st_mode & 0777;
}

/* A new database, and what SQLite makes beside it, is for its owner, whatever the umask allows. */
static void a_new_file_is_private(void **state)
{
    struct rig *rig = *state;
    mode_t before = umask(0);
    struct database *database = rig_open(rig);

    umask(before);
    assert_int_equal(mode_of(rig, ""), 0600);
    assert_int_equal(mode_of(rig, "-wal"), 0600);
    assert_int_equal(mode_of(rig, "-shm"), 0600);
    database_close(database);
}

/* One that is there, for a group to share, stays so. */
static void the_mode_of_a_file_is_kept(void **state)
{
    struct rig *rig = *state;
    struct database *database;

    database_close(rig_open(rig));
    assert_int_equal(chmod(rig->path, 0660), 0);
    database = rig_open(rig);
    assert_int_equal(mode_of(rig, ""), 0660);
    assert_int_equal(mode_of(rig, "-wal"), 0660);
    database_close(database);
}

/* In a child without root's rights: what opening answers, and @words that are in its error. */
static void assert_as_nobody(struct rig *rig, bool read_only, enum warren_status expected,
                             const char *words)
{
    struct database_options options = {.path = rig->path, .read_only = read_only};
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        if (try_open(rig, &options) != expected || !strstr(rig->error.text, words)) {
            fprintf(stderr, "error: %s\n", rig->error.text);
            _exit(1);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void assert_refused_to_nobody(struct rig *rig, const char *expected)
{
    assert_as_nobody(rig, false, WARREN_EIO, expected);
}

/* A folder in which nothing may be made. */
static void an_unwritable_folder_is_an_error(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(chmod(rig->folder, 0555), 0);
    assert_refused_to_nobody(rig, "Permission denied");
    assert_int_equal(chmod(rig->folder, 0755), 0);
}

/* A file whose folder may not be written is read all the same, whatever its name, unless a log lies
 * beside it: then the error has the reason and advice. */
static void it_is_read_in_an_unwritable_folder(void **state)
{
    struct rig *rig = *state;
    char path[192];

    snprintf(rig->path, sizeof rig->path, "%s/a?b#c%%41 &=.db", rig->folder);
    database_close(rig_open(rig));
    assert_int_equal(chmod(rig->path, 0644), 0);
    assert_int_equal(chmod(rig->folder, 0555), 0);
    assert_as_nobody(rig, true, WARREN_OK, "");
    assert_int_equal(chmod(rig->folder, 0755), 0);
    snprintf(path, sizeof path, "%s-wal", rig->path);
    write_file(path, "");
    assert_int_equal(chmod(rig->folder, 0555), 0);
    assert_as_nobody(rig, true, WARREN_EIO, "its folder may not be written (Permission denied)");
    assert_int_equal(chmod(rig->folder, 0755), 0);
}

/* A file that may only be read is an error at once, not at the first write. */
static void a_read_only_file_is_an_error(void **state)
{
    struct rig *rig = *state;

    database_close(rig_open(rig));
    assert_int_equal(chmod(rig->path, 0444), 0);
    assert_int_equal(chmod(rig->folder, 0555), 0);
    assert_refused_to_nobody(rig, "read-only");
    assert_int_equal(chmod(rig->folder, 0755), 0);
}

/* Another process holds the lock for writing: an error that says so, after the time to wait. */
static void a_locked_file_is_told(void **state)
{
    struct rig *rig = *state;
    struct database *one = rig_open(rig);
    struct database *two = rig_open(rig);

    assert_int_equal(database_begin(one, &rig->error), WARREN_OK);
    assert_int_equal(database_begin(two, &rig->error), WARREN_ETIMEOUT);
    assert_has(rig->error.text, "another process keeps it locked");
    database_rollback(one);
    assert_int_equal(database_begin(two, &rig->error), WARREN_OK);
    assert_int_equal(database_commit(two, &rig->error), WARREN_OK);
    database_close(one);
    database_close(two);
}

/* What is rolled back is not there; rolling back nothing is harmless. */
static void a_transaction_is_undone(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);

    assert_int_equal(database_begin(database, &rig->error), WARREN_OK);
    rig_run(rig, database, "INSERT INTO setting VALUES ('a', 1)");
    database_rollback(database);
    database_rollback(database);
    assert_int_equal(number(rig, database, "SELECT count(*) FROM setting"), 0);
    database_close(database);
}

/* ---- names ---- */

static void assert_file(struct rig *rig, const struct database *database, const char *name)
{
    char path[160];

    snprintf(path, sizeof path, "%s/%s", rig->folder, name);
    assert_string_equal(database_file(database), path);
}

static bool is_there(const struct rig *rig, const char *suffix)
{
    char path[192];

    snprintf(path, sizeof path, "%s%s", rig->path, suffix);
    return access(path, F_OK) == 0;
}

/* Through links, also to a file that is not there yet, it is the same file, with the same things
 * beside it. */
static void a_link_leads_to_one_file(void **state)
{
    struct rig *rig = *state;
    struct database *database;
    char path[sizeof rig->path];
    mode_t before = umask(0);

    memcpy(path, rig->path, sizeof path);
    rig_link(rig, "link.db");
    rig_link(rig, "second.db");
    for (int i = 0; i < 2; i++) {
        database = rig_open(rig);
        assert_file(rig, database, "store.db");
        assert_string_equal(database_path(database), rig->path);
        assert_false(is_there(rig, "-wal"));
        assert_int_equal(mode_of(rig, ""), 0600);
        assert_int_equal(database_in_place(database, &rig->error), WARREN_OK);
        database_close(database);
    }
    umask(before);
    memcpy(rig->path, path, sizeof path);
    database = rig_open(rig);
    assert_true(is_there(rig, "-wal"));
    database_close(database);
}

/* A link that comes to lead elsewhere, and what lies beside the file that it led to, are told of.
 */
static void a_link_is_watched(void **state)
{
    struct rig *rig = *state;
    struct database *database;
    char real[sizeof rig->path];
    char log[160];

    memcpy(real, rig->path, sizeof real);
    rig_link(rig, "link.db");
    database = rig_open(rig);
    assert_int_equal(unlink(rig->path), 0);
    assert_int_equal(symlink("/dev/null", rig->path), 0);
    assert_int_equal(database_in_place(database, &rig->error), WARREN_EIO);
    assert_has(rig->error.text, "link.db was replaced");
    assert_int_equal(unlink(rig->path), 0);
    assert_int_equal(symlink(real, rig->path), 0);
    assert_int_equal(database_in_place(database, &rig->error), WARREN_OK);
    snprintf(log, sizeof log, "%s-wal", real);
    assert_int_equal(unlink(log), 0);
    assert_int_equal(database_in_place(database, &rig->error), WARREN_EIO);
    assert_has(rig->error.text, "store.db-wal was deleted");
    database_close(database);
}

/* A file with two names would have two logs: refused, whether to be written or read. */
static void hard_links_are_refused(void **state)
{
    struct rig *rig = *state;
    struct database_options options = {.path = rig->path, .read_only = true};
    char other[160];

    database_close(rig_open(rig));
    snprintf(other, sizeof other, "%s.other", rig->path);
    assert_int_equal(link(rig->path, other), 0);
    assert_int_equal(try_open_path(rig, other), WARREN_ECONFIG);
    assert_has(rig->error.text, other);
    assert_has(rig->error.text, "2 names");
    assert_int_equal(try_open(rig, &options), WARREN_ECONFIG);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(try_open_path(rig, rig->path), WARREN_OK);
}

/* ---- care ---- */

static void keep_fault(void *user, const char *fault)
{
    snprintf(user, 256, "%s", fault);
}

static void fill_done(struct rig *rig, struct database *database)
{
    rig_run(rig, database,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
            " INSERT INTO done SELECT i, randomblob(16), 0, 0, randomblob(100) FROM n");
}

/* A sound file has no fault; one with a page of garbage has some, and they are told. */
static void a_check_finds_damage(void **state)
{
    struct rig *rig = *state;
    struct database_options options = {.path = rig->path, .read_only = true};
    struct database *database = rig_open(rig);
    char garbage[4096];
    char fault[256] = "";
    unsigned faults = 1;
    int fd;

    fill_done(rig, database);
    assert_int_equal(database_check(database, keep_fault, fault, &faults, &rig->error), WARREN_OK);
    assert_int_equal(faults, 0);
    database_close(database);

    memset(garbage, 0x5a, sizeof garbage);
    fd = open(rig->path, O_WRONLY);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, 4096 * 12), sizeof garbage);
    close(fd);
    assert_int_equal(database_open(&options, &database, &rig->error), WARREN_OK);
    assert_int_equal(database_check(database, keep_fault, fault, &faults, &rig->error), WARREN_OK);
    assert_true(faults > 0);
    assert_string_not_equal(fault, "");
    database_close(database);
}

/* A copy made in the middle of another's transaction is whole, and has what was committed. */
static void a_backup_is_a_consistent_copy(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);
    struct database *writer = rig_open(rig);
    char to[128];

    snprintf(to, sizeof to, "%s/copy.db", rig->folder);
    fill_done(rig, database);
    assert_int_equal(database_begin(writer, &rig->error), WARREN_OK);
    rig_run(rig, writer, "DELETE FROM done");
    assert_int_equal(database_backup(database, to, &rig->error), WARREN_OK);
    assert_int_equal(database_commit(writer, &rig->error), WARREN_OK);
    database_close(database);
    database_close(writer);
    snprintf(rig->path, sizeof rig->path, "%s", to);
    assert_int_equal(mode_of(rig, ""), 0600);
    database = rig_open(rig);
    assert_int_equal(number(rig, database, "SELECT count(*) FROM done"), 1000);
    database_close(database);
}

/* A file that is there is not overwritten, and a copy that cannot be made leaves nothing. */
static void a_backup_overwrites_nothing(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);
    char to[128];

    snprintf(to, sizeof to, "%s/copy.db", rig->folder);
    write_file(to, "mine");
    assert_int_equal(database_backup(database, to, &rig->error), WARREN_EINVAL);
    assert_has(rig->error.text, "exists already");
    snprintf(to, sizeof to, "%s/none/copy.db", rig->folder);
    assert_int_equal(database_backup(database, to, &rig->error), WARREN_EIO);
    assert_has(rig->error.text, "No such file or directory");
    database_close(database);
}

static void beside(const struct rig *rig, const char *suffix, char path[160])
{
    snprintf(path, 160, "%s%s", rig->path, suffix);
}

static void assert_displaced(struct rig *rig, struct database *database, const char *path,
                             const char *how)
{
    assert_int_equal(database_in_place(database, &rig->error), WARREN_EIO);
    assert_has(rig->error.text, path);
    assert_has(rig->error.text, how);
}

/* A file that is moved, replaced or deleted while it is open, or what lies beside it, is
 * told of; put back, it is the same again. */
static void a_displaced_file_is_told(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    struct rig *rig = *state;
    char path[160];
    char aside[160];

    for (int i = 0; i < 3; i++) {
        struct database *database = rig_open(rig);

        beside(rig, suffixes[i], path);
        beside(rig, ".aside", aside);
        assert_int_equal(database_in_place(database, &rig->error), WARREN_OK);
        assert_int_equal(rename(path, aside), 0);
        assert_displaced(rig, database, path, "deleted or moved");
        write_file(path, "of somebody else, who came meanwhile");
        assert_displaced(rig, database, path, "replaced");
        assert_int_equal(rename(aside, path), 0);
        assert_int_equal(database_in_place(database, &rig->error), WARREN_OK);
        unlink(path);
        assert_displaced(rig, database, path, "deleted or moved");
        database_close(database);
        for (int k = 0; k < 3; k++) {
            beside(rig, suffixes[k], path);
            unlink(path);
        }
    }
}

static void copy_over(const char *from, const char *to)
{
    char bytes[4096];
    size_t len;
    FILE *in = fopen(from, "r");
    FILE *out = fopen(to, "w");

    assert_non_null(in);
    assert_non_null(out);
    while ((len = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(in);
    fclose(out);
}

static void assert_same(const char *one, const char *other)
{
    FILE *files[] = {fopen(one, "r"), fopen(other, "r")};
    int byte;

    assert_non_null(files[0]);
    assert_non_null(files[1]);
    do {
        byte = getc(files[0]);
        assert_int_equal(getc(files[1]), byte);
    } while (byte != EOF);
    fclose(files[0]);
    fclose(files[1]);
}

/* A file that is emptied in its place, or overwritten by another one, is not the same any more,
 * also when it was filled again before anybody looked: for all connections of the process, and
 * nothing is written into it at the end. */
static void a_spoiled_file_stays_so(void **state)
{
    struct rig *rig = *state;
    struct rig other = *rig;

    snprintf(other.path, sizeof other.path, "%s/other.db", rig->folder);
    database_close(rig_open(&other));
    for (int i = 0; i < 4; i++) {
        struct database *one = rig_open(rig);
        struct database *two = rig_open_beside(rig, one);
        char log[160];

        beside(rig, "-wal", log);
        if (i != 1) /* else it is as new: all is in the log */
            rig_run(rig, one, "PRAGMA wal_checkpoint(TRUNCATE)");
        assert_int_equal(database_in_place(one, &rig->error), WARREN_OK);
        rig_run(rig, one, "INSERT INTO setting VALUES ('a', 1)");
        if (i < 3)
            assert_int_equal(truncate(rig->path, 0), 0);
        else
            copy_over(other.path, rig->path);
        if (i == 2) /* SQLite writes from the log */
            sqlite3_wal_checkpoint(database_handle(one), NULL);
        assert_displaced(rig, one, rig->path, "emptied or overwritten");
        copy_over(other.path, rig->path);
        assert_displaced(rig, one, rig->path, "emptied or overwritten");
        assert_displaced(rig, two, rig->path, "emptied or overwritten");
        database_close(two);
        database_close(one);
        assert_same(rig->path, other.path);
        assert_int_equal(unlink(rig->path), 0);
        unlink(log);
    }
}

/* So is one that is overwritten by a backup of itself. */
static void a_backup_over_it_is_another_file(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);
    char backup[160];

    beside(rig, ".backup", backup);
    assert_int_equal(database_backup(database, backup, &rig->error), WARREN_OK);
    assert_int_equal(database_in_place(database, &rig->error), WARREN_OK);
    copy_over(backup, rig->path);
    assert_displaced(rig, database, rig->path, "emptied or overwritten");
    database_close(database);
}

/* What people do to a file in use that is none of that: VACUUM, and a copy. */
static void a_vacuumed_file_is_the_same(void **state)
{
    struct rig *rig = *state;
    struct database *database = rig_open(rig);
    struct database *other = rig_open(rig);

    fill_done(rig, database);
    rig_run(rig, database, "PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM done WHERE id < 990");
    for (int i = 0; i < 5; i++) {
        struct database *writer = i % 2 ? database : other;

        assert_int_equal(database_in_place(database, &rig->error), WARREN_OK);
        assert_int_equal(database_in_place(other, &rig->error), WARREN_OK);
        rig_run(rig, writer, "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(100000))");
        rig_run(rig, writer, "PRAGMA wal_checkpoint(TRUNCATE)");
        assert_int_equal(database_in_place(database, &rig->error), WARREN_OK);
        rig_run(rig, writer, "DROP TABLE t; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
    }
    database_close(database);
    database_close(other);
}

/* Wherever the handler of a worker changes to, the file is where it was. */
static void a_place_is_no_matter_of_the_working_directory(void **state)
{
    struct database_options options = {.path = "store.db"};
    struct rig *rig = *state;
    struct database *database = NULL;
    char before[256];

    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(rig->folder), 0);
    assert_int_equal(database_open(&options, &database, &rig->error), WARREN_OK);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(database_in_place(database, &rig->error), WARREN_OK);
    assert_int_equal(unlink(rig->path), 0);
    assert_displaced(rig, database, rig->path, "deleted");
    database_close(database);
    assert_int_equal(chdir(before), 0);
}

/* Another process, which has nothing of this one's SQLite. */
struct other {
    pid_t pid;
    int commands[2];
    int answers[2];
};

/* Made before a file is opened: it opens @rig's when it is told to, begins to read @table, and says
 * how many rows there are. */
static void other_begin(struct other *other, struct rig *rig, const char *table)
{
    char sql[80];
    char byte;

    assert_int_equal(pipe(other->commands), 0);
    assert_int_equal(pipe(other->answers), 0);
    other->pid = fork();
    assert_true(other->pid >= 0);
    if (other->pid > 0)
        return;
    close(other->commands[1]);
    if (read(other->commands[0], &byte, 1) == 1) {
        struct database *database = rig_open(rig);

        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
        rig_run(rig, database, "BEGIN");
        byte = (char)number(rig, database, sql);
        if (write(other->answers[1], &byte, 1) == 1)
            byte = (char)read(other->commands[0], &byte, 1);
    }
    _exit(0);
}

static int other_count(struct other *other)
{
    char byte;

    assert_int_equal(write(other->commands[1], "", 1), 1);
    close(other->answers[1]); /* if it dies, it does not answer */
    assert_int_equal(read(other->answers[0], &byte, 1), 1);
    return byte;
}

static void other_end(struct other *other)
{
    close(other->commands[1]);
    assert_int_equal(waitpid(other->pid, NULL, 0), other->pid);
    close(other->commands[0]);
    close(other->answers[0]);
}

/* The log is deleted: what is in it is put into the file at once, for the process may be killed. */
static void a_deleted_log_is_rescued(void **state)
{
    struct rig *rig = *state;
    struct database *database;
    struct other other;
    char path[160];

    other_begin(&other, rig, "t");
    database = rig_open(rig);
    rig_run(rig, database, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    beside(rig, "-wal", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(database_in_place(database, &rig->error), WARREN_EIO);
    database_rollback(database);
    beside(rig, "-shm", path);
    unlink(path);
    assert_int_equal(other_count(&other), 1);
    other_end(&other);
    database_close(database);
}

/* Another process reads for long: the log grows beyond all measure, which is told once, with who it
 * is; when it has ended, the log is cut off. */
static void a_long_reader_is_named(void **state)
{
    struct rig *rig = *state;
    char text[DATABASE_LOG_TEXT] = "";
    struct database_size size;
    struct database *database;
    struct other other;
    char pid[32];

    other_begin(&other, rig, "t");
    snprintf(pid, sizeof pid, "process %d (", (int)other.pid);
    database = rig_open(rig);
    rig_run(rig, database, "CREATE TABLE t (a)");
    assert_int_equal(other_count(&other), 0);
    assert_int_equal(database_tend_log(database, text), DATABASE_LOG_AS_BEFORE);
    for (int i = 0; i < 20; i++)
        rig_run(rig, database, "INSERT INTO t VALUES (zeroblob(1000000))");
    assert_int_equal(database_tend_log(database, text), DATABASE_LOG_AS_BEFORE);
    assert_int_equal(database_tend_log(database, text), DATABASE_LOG_GREW);
    assert_has(text, rig->path);
    assert_has(text, pid);
    assert_int_equal(database_tend_log(database, text), DATABASE_LOG_AS_BEFORE);
    assert_true(database_log_is_large(database));
    other_end(&other);
    assert_int_equal(database_tend_log(database, text), DATABASE_LOG_SHRANK);
    assert_false(database_log_is_large(database));
    assert_int_equal(database_size(database, &size, &rig->error), WARREN_OK);
    assert_int_equal(size.wal, 0);
    assert_int_equal(database_tend_log(database, text), DATABASE_LOG_AS_BEFORE);
    assert_int_equal(number(rig, database, "SELECT count(*) FROM t"), 20);
    database_close(database);
}

/* What lies at the path by now is somebody else's, and so is the log beside it. */
static void closing_leaves_the_files_of_others(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    struct rig *rig = *state;
    struct database *database = rig_open(rig);
    char aside[160];
    char path[160];

    rig_run(rig, database, "CREATE TABLE t (a)");
    for (int i = 0; i < 3; i++) {
        beside(rig, suffixes[i], path);
        snprintf(aside, sizeof aside, "%s/aside.db%s", rig->folder, suffixes[i]);
        assert_int_equal(rename(path, aside), 0);
        write_file(path, "theirs");
    }
    database_close(database);
    for (int i = 0; i < 3; i++) {
        beside(rig, suffixes[i], path);
        assert_int_equal(access(path, F_OK), 0);
        unlink(path);
    }
    snprintf(aside, sizeof aside, "%s/aside.db", rig->folder);
    assert_int_equal(rename(aside, rig->path), 0);
    database = rig_open(rig);
    assert_int_equal(number(rig, database, "SELECT count(*) FROM t"), 0);
    database_close(database);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_has_the_schema),
        TEST(a_file_is_opened_again),
        TEST(synchronous_is_as_asked),
        TEST(another_applications_file_is_refused),
        TEST(a_text_file_is_refused),
        TEST(a_damaged_file_is_refused),
        TEST(a_newer_schema_is_refused),
        TEST(a_damaged_version_is_not_a_newer_one),
        TEST(an_older_schema_is_brought_up),
        TEST(a_missing_file_is_not_made),
        TEST(an_impossible_path_says_why),
        TEST(a_new_file_is_private),
        TEST(the_mode_of_a_file_is_kept),
        TEST(an_unwritable_folder_is_an_error),
        TEST(it_is_read_in_an_unwritable_folder),
        TEST(a_read_only_file_is_an_error),
        TEST(a_locked_file_is_told),
        TEST(a_transaction_is_undone),
        TEST(a_link_leads_to_one_file),
        TEST(a_link_is_watched),
        TEST(hard_links_are_refused),
        TEST(a_check_finds_damage),
        TEST(a_backup_is_a_consistent_copy),
        TEST(a_backup_overwrites_nothing),
        TEST(a_displaced_file_is_told),
        TEST(a_spoiled_file_stays_so),
        TEST(a_backup_over_it_is_another_file),
        TEST(a_vacuumed_file_is_the_same),
        TEST(a_place_is_no_matter_of_the_working_directory),
        TEST(a_deleted_log_is_rescued),
        TEST(a_long_reader_is_named),
        TEST(closing_leaves_the_files_of_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
