/* database_log.c - the log beside a file. SQLite begins it anew when everything in it is in the
 * file and nobody reads it; one who reads for long makes it grow, and it never shrinks by itself.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/proc.h"
#include "store/db/database_private.h"

/* ---- which processes have locks (fcntl(2)) on a file, as the kernel lists them: for reports ----
 *
 * Nothing is opened but the list: to close a file ends the locks that this process has on it.
 * Source: proc(5), /proc/locks.
 */

/* The list comes in pages, and a line is left out if one before it is taken away meanwhile. */
#define LIST_LOOKS 3

struct held {
    int pid;
    unsigned long long inode;
    long long first;
    long long last;
};

/* "6: POSIX  ADVISORY  READ 4711 fd:01:1053 124 124"; who waits for a lock has "->" in it. */
static bool read_line(const char *line, struct held *held)
{
    char last[24];

    if (strstr(line, "->") || sscanf(line, "%*d: %*s %*s %*s %d %*x:%*x:%llu %lld %23s", &held->pid,
                                     &held->inode, &held->first, last) != 4)
        return false;
    held->last = strcmp(last, "EOF") == 0 ? INT64_MAX : strtoll(last, NULL, 10);
    return held->pid > 0;
}

static size_t add(pid_t pid, pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return count;
    pids[count] = pid;
    return count + 1;
}

/*
 * @inode  of the file. File systems disagree with the list about the device, so it is not compared
 * @first  to @last: a lock that has one of these bytes counts
 * @return how many different processes were written to @pids, @max at most; none that this one
 *         cannot see, such as those of other containers
 */
static size_t lock_holders(ino_t inode, int64_t first, int64_t last, pid_t *pids, size_t max)
{
    FILE *list = fopen("/proc/locks", "re");
    char line[256];
    struct held held;
    size_t count = 0;

    for (int look = 0; list && look < LIST_LOOKS; look++, rewind(list))
        while (count < max && fgets(line, sizeof line, list))
            if (read_line(line, &held) && held.inode == inode && held.first <= last &&
                held.last >= first)
                count = add(held.pid, pids, count);
    if (list)
        fclose(list);
    return count;
}

#define MIB ((int64_t)1 << 20)
/* A log of this size that cannot be put into the file is reported, and again whenever it is twice
 * as large. */
#define HELD_TOLD (16 * MIB)

/* The locks of readers in the log's index. Source: https://www.sqlite.org/walformat.html, "WAL
 * Locks". */
#define READERS_FIRST 123
#define READERS_LAST  127

static bool stat_beside(const struct database *database, const char *suffix, struct stat *info)
{
    char path[PATH_MAX];

    return snprintf(path, sizeof path, "%s%s", database->file, suffix) < (int)sizeof path &&
           stat(path, info) == 0;
}

int64_t database_log_bytes(const struct database *database)
{
    struct stat info;

    return stat_beside(database, "-wal", &info) ? (int64_t)info.st_size : 0;
}

void database_flush_log(struct database *database)
{
    sqlite3_wal_checkpoint_v2(database->sqlite, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* It is cut off, if nobody reads.
 *
 * @return bytes of it that somebody who reads keeps from the file */
static int64_t shrink(struct database *database)
{
    struct warren_error error;
    int64_t page = 0;
    int frames = 0;
    int done = 0;

    sqlite3_wal_checkpoint_v2(database->sqlite, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &done);
    if (frames > done)
        database_number(database, "PRAGMA page_size", &page, &error);
    sqlite3_busy_timeout(database->sqlite, 0);
    sqlite3_wal_checkpoint_v2(database->sqlite, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(database->sqlite, (int)database->busy_timeout_ms);
    return (frames - done) * page;
}

/* ---- who reads ---- */

static size_t find_readers(const struct database *database, pid_t readers[DATABASE_READERS])
{
    struct stat info;

    if (!stat_beside(database, "-shm", &info))
        return 0;
    return lock_holders(info.st_ino, READERS_FIRST, READERS_LAST, readers, DATABASE_READERS);
}

static bool was_reading(const struct database *database, pid_t pid)
{
    for (size_t i = 0; i < DATABASE_READERS; i++)
        if (database->readers[i] == pid)
            return true;
    return false;
}

static void name_reader(pid_t pid, char *text, size_t size)
{
    char path[64];
    char name[32];
    size_t len = strlen(text);

    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    proc_line(path, "", name, sizeof name);
    snprintf(text + len, size - len, "%s %d (%s)", *text ? "," : "process", (int)pid,
             pid == getpid() ? "this one: a handler's own connection, or statement" : name);
}

/* Who reads now and did so a second ago: others come and go. */
static void name_readers(struct database *database, char *text, size_t size)
{
    pid_t readers[DATABASE_READERS] = {0};
    size_t count = find_readers(database, readers);

    *text = '\0';
    for (size_t i = 0; i < count; i++)
        if (was_reading(database, readers[i]))
            name_reader(readers[i], text, size);
    if (!*text)
        snprintf(text, size, "a process that cannot be seen from here");
    memcpy(database->readers, readers, sizeof readers);
}

/* ---- looking after it ---- */

static enum database_log_news tell_growth(struct database *database, int64_t bytes, int64_t held,
                                          char text[DATABASE_LOG_TEXT])
{
    char readers[DATABASE_LOG_TEXT / 2];
    bool is_new = database->log_looks++ == 0;

    name_readers(database, readers, sizeof readers);
    if (is_new || held < HELD_TOLD || bytes < 2 * database->log_reported)
        return DATABASE_LOG_AS_BEFORE;
    database->log_reported = bytes;
    snprintf(text, DATABASE_LOG_TEXT,
             "%s-wal has grown to %" PRId64
             " MiB, and grows until whoever reads the file has ended "
             "that: %s",
             database->file, bytes / MIB, readers);
    return DATABASE_LOG_GREW;
}

enum database_log_news database_tend_log(struct database *database, char text[DATABASE_LOG_TEXT])
{
    int64_t bytes = database_log_bytes(database);
    int64_t held = 0;

    if (bytes > DATABASE_LOG_MAX && !database_is_spoiled(database)) {
        held = shrink(database);
        bytes = database_log_bytes(database);
    }
    if (bytes > DATABASE_LOG_MAX)
        return tell_growth(database, bytes, held, text);
    database->log_looks = 0;
    if (database->log_reported == 0)
        return DATABASE_LOG_AS_BEFORE;
    database->log_reported = 0;
    snprintf(text, DATABASE_LOG_TEXT, "%s-wal is small again", database->file);
    return DATABASE_LOG_SHRANK;
}

bool database_log_is_large(const struct database *database)
{
    return database_log_bytes(database) > DATABASE_LOG_MAX;
}
