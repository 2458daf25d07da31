/* database.h - one SQLite file of warren's: opened with care, brought to the schema of this
 * version, written in transactions, checked, measured, copied while in use.
 *
 * Who opens a file gets it in WAL mode and can rely on its tables (schema.h). A file that is not
 * warren's, is damaged, or was made by a newer warren is refused and left as it is.
 * Thread: one at a time for each struct database; several may be open on one file, in one process
 * or in many.
 * Elsewhere: what is kept in the tables (the other files of this folder).
 */
#ifndef WARREN_STORE_DATABASE_H
#define WARREN_STORE_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <warren/status.h>

struct sqlite3;
struct sqlite3_stmt;
struct database;

/** When a commit counts as done. Source: https://www.sqlite.org/pragma.html#pragma_synchronous */
enum database_synchronous {
    DATABASE_OFF,    /* the process may die, the machine may not */
    DATABASE_NORMAL, /* sound after a loss of power, but without the last commits */
    DATABASE_FULL    /* on disk before the commit returns */
};

/** "off", "normal", "full" as an enum; false: it is none of them. */
bool database_synchronous_parse(const char *word, enum database_synchronous *ret);

/** How long a call waits for another process that writes, if the options say 0. */
#define DATABASE_BUSY_TIMEOUT_MS 5000

struct database_options {
    const char *path;
    enum database_synchronous synchronous;
    uint32_t busy_timeout_ms; /* 0: DATABASE_BUSY_TIMEOUT_MS */
    size_t cache_bytes;       /* of pages in memory; 0: SQLite's default, 2 MB */
    bool must_exist;          /* an error in place of a new file */
    bool read_only;           /* nothing is written or migrated; implies must_exist */
    /* Another one of this process to the same file, which outlives it: what becomes of the file
     * holds for both. NULL: there is none. */
    struct database *beside;
};

/**
 * Open the file, or make it, readable by its owner alone (base/input_file.h); bring it to the
 * schema of this version.
 *
 * @return WARREN_OK; WARREN_EIO, WARREN_ENOTFOUND (must_exist), WARREN_ECONFIG (another program's
 *         file, a newer warren's, or one with several names: hard links), WARREN_ETIMEOUT (locked
 * by another process), WARREN_EFULL (no space left) or WARREN_ENOMEM, with @error, which names the
 * file and what to do
 */
enum warren_status database_open(const struct database_options *options,
                                 struct database **ret_database, struct warren_error *error);
/** Statements prepared with database_prepare() must be finalized before. NULL is fine. */
void database_close(struct database *database);

/** For the files of this folder, and for a handler's own statements. */
struct sqlite3 *database_handle(struct database *database);
/** As the options named it: for what is said of it. */
const char *database_path(const struct database *database);
/** Its one name, whatever links lead to it (database_open.c): what lies beside it has that and a
 * suffix.
 */
const char *database_file(const struct database *database);

/* ---- work ---- */

/** Run @sql, of one or more statements, whose rows are of no interest. Status as database_fail().
 */
enum warren_status database_run(struct database *database, const char *sql,
                                struct warren_error *error);

/** Compile @sql to be used often; the caller finalizes it with database_finalize(). */
enum warren_status database_prepare(struct database *database, const char *sql,
                                    struct sqlite3_stmt **ret_statement,
                                    struct warren_error *error);
/** NULL is fine. */
void database_finalize(struct sqlite3_stmt *statement);

/** Execute a bound statement that gives no row, and reset it, also on failure. */
enum warren_status database_step(struct database *database, struct sqlite3_stmt *statement,
                                 struct warren_error *error);

/** Ask with @sql for one whole number. */
enum warren_status database_number(struct database *database, const char *sql, int64_t *ret,
                                   struct warren_error *error);

/** Take the lock for writing; other processes that have it are waited for. Do not nest. */
enum warren_status database_begin(struct database *database, struct warren_error *error);
/** On failure everything is rolled back, and the transaction is over. */
enum warren_status database_commit(struct database *database, struct warren_error *error);
/** Harmless without a transaction. */
void database_rollback(struct database *database);

/** When a commit counts as done from now on. Not in a transaction; nothing if it is so already. */
enum warren_status database_set_synchronous(struct database *database,
                                            enum database_synchronous synchronous,
                                            struct warren_error *error);

/**
 * Is the file still the one at its path, and so is what lies beside it? To be asked before what is
 * written counts as kept: a file that was deleted, moved or replaced takes everything, and loses
 * it. Four system calls, and one more if a link leads to it; some bytes of the
 * file are read, which are in memory. A file that was emptied or overwritten in its place is so for
 * all connections of this process, and stays so: what is in it later may have holes.
 *
 * @return WARREN_OK; WARREN_EIO with @error, which names the path, and what to do
 */
enum warren_status database_in_place(struct database *database, struct warren_error *error);
/** From now on this holds for the file with the real name of the database and @suffix, too, which
 * is open.
 * @return false: no memory */
bool database_watch(struct database *database, const char *suffix);
/** It does so no more; harmless if it did not. */
void database_unwatch(struct database *database, const char *suffix);

/**
 * What a SQLite call that returned @code (not SQLITE_OK) means, with file and advice in @error.
 *
 * @doing  such as "cannot record a message"
 * @return WARREN_ETIMEOUT (locked), WARREN_EFULL (no space), WARREN_ENOMEM, WARREN_EIO
 */
enum warren_status database_fail(struct database *database, int code, const char *doing,
                                 struct warren_error *error);

/** The version of SQLite that runs. Static storage. Thread: any. */
const char *database_library_version(void);

/* ---- care ---- */

/** Bytes of the log beside a file (-wal), which is cut off above that, as soon as nobody reads. */
#define DATABASE_LOG_MAX ((int64_t)8 << 20)
/** Bytes of what is said of it. */
#define DATABASE_LOG_TEXT 1024

enum database_log_news {
    DATABASE_LOG_AS_BEFORE,
    DATABASE_LOG_GREW,  /* much, for somebody reads all the time: who, is in the text */
    DATABASE_LOG_SHRANK /* after that */
};

/**
 * Look after the log: to be called once a second or so while the file is written, and as long as
 * the log is large. Not in a transaction. It is cut off if nobody in this process writes meanwhile.
 * News are reported once.
 */
enum database_log_news database_tend_log(struct database *database, char text[DATABASE_LOG_TEXT]);
/** What takes long of it, and can be done while others write. */
void database_flush_log(struct database *database);
/** Bytes of the log, as they are on disk. Thread: any. */
int64_t database_log_bytes(const struct database *database);
bool database_log_is_large(const struct database *database);

/** Called with a sentence for each fault that database_check() finds. */
typedef void database_fault_fn(void *user, const char *fault);

/**
 * Read everything and look whether it holds together; at most 100 faults are reported. Takes as
 * long as reading the file takes; others may write meanwhile.
 *
 * @return WARREN_OK: it could be read to the end, look at @ret_faults; else as database_fail()
 */
enum warren_status database_check(struct database *database, database_fault_fn *on_fault,
                                  void *user, unsigned *ret_faults, struct warren_error *error);

/** How large it is. Bytes. */
struct database_size {
    int64_t file;   /* of pages, free ones included */
    int64_t wal;    /* the file beside it */
    int64_t unused; /* of file: free pages, to be used again */
    int64_t version;
};

enum warren_status database_size(struct database *database, struct database_size *size,
                                 struct warren_error *error);

/**
 * Copy a consistent state to the new file @to while others read and write. An existing file is not
 * overwritten; a copy that fails leaves none behind.
 */
enum warren_status database_backup(struct database *database, const char *to,
                                   struct warren_error *error);

/* ---- how much is in a file, for people ---- */

/** Counts of rows; times in ms since 1970, of no meaning if nothing is done. */
struct census {
    int64_t done; /* keys of messages that were handled */
    int64_t oldest_ms;
    int64_t newest_ms;
    int64_t claimed; /* keys of messages being handled, where processes share the file */
    int64_t spooled; /* messages that wait for the broker */
};

/** Count. Status as database_fail(). */
enum warren_status census_take(struct database *database, struct census *census,
                               struct warren_error *error);

#endif
