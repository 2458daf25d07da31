/* database_private.h - the inside of a database, for the files that make it: database_open.c,
 * database.c (working with it), database_log.c (the log beside it) and database_place.c (whether it
 * is still where it was).
 */
#ifndef WARREN_STORE_DATABASE_PRIVATE_H
#define WARREN_STORE_DATABASE_PRIVATE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "store/db/database.h"

/** A file that was opened, to see whether it is still the one at its path. All zero: of no file. */
struct file_place {
    char *path; /* from the root, whatever the working directory becomes; NULL: of no file */
    dev_t device;
    ino_t inode;
};

/** The file, its log, the log's index, the locks of the store and of the spool, a link that leads
 * to the file. */
#define DATABASE_PLACES 6

/** Bytes of the file that never change: within the row of the schema's first step, which has more;
 * or the first ones of each file of SQLite's. */
#define DATABASE_MARK 16

/** Readers of the log that a report names. */
#define DATABASE_READERS 4

struct database {
    struct sqlite3 *sqlite;
    char *path;              /* as the user named it */
    char *file;              /* its real name */
    struct database *beside; /* what is known of the file stands there; NULL: here */
    atomic_bool is_spoiled;  /* the file was emptied or overwritten: for as long as it is open */
    int64_t log_reported;    /* the size of its log in the last report; 0: there was none */
    enum database_synchronous synchronous;
    bool is_set; /* to that */
    uint32_t busy_timeout_ms;
    uint64_t log_looks;                        /* at a log that was large, in a row */
    pid_t readers[DATABASE_READERS];           /* at the last of these */
    struct file_place places[DATABASE_PLACES]; /* the file's is the first */
    size_t place_count;
    bool is_displaced; /* as it was looked at last */
    uint8_t mark[DATABASE_MARK];
    bool has_mark;
    int64_t mark_at; /* in the file */
    uint32_t change; /* its number of changes, as it was read last */
    int file_fd;     /* SQLite's; 0 and -1: not known */
    int log_fd;
};

/* ---- database_place.c ---- */

/** Watch the file, what SQLite has made beside it, and links by which it was named. @return false:
 * no memory */
bool database_watch_all(struct database *database);
/** Was the file emptied or overwritten, as far as is known? */
bool database_is_spoiled(const struct database *database);
/** What is in the log goes into the file if one of them is displaced: it may outlive the other. Not
 * in a transaction. */
void database_rescue(struct database *database);
/** It is about to be closed. */
void database_part(struct database *database);

/* ---- database_place.c: descriptors ---- */

/** Those that this process has of one file and its log. Bound: what is beyond it is not known. */
#define DATABASE_OPEN_FILES 64

struct database_open_files {
    int fds[DATABASE_OPEN_FILES];
    size_t count;
};

/** Before SQLite opens the file: what others have of it. */
void database_list_descriptors(const char *file, struct database_open_files *before);
/** From now on those that came since are looked at (base/descriptors.h). The log is open by then.
 */
void database_add_descriptors(struct database *database, const struct database_open_files *before);
void database_remove_descriptors(struct database *database);

/* ---- database_open.c ---- */

/** May files be made in the folder of @path? @return 0; else why not, an errno */
int at_rest_folder_error(const char *path);

/* ---- schema ----
 *
 * the tables of a file of warren's, and the steps from each version to the next.
 *
 * A version once released stays as it is: what comes later is a further step. Table warren_schema
 * has a row for each step that was taken. Thread: the database's.
 */

/** In the file's header, so that `file` and warren know whose it is: "WRRN". */
#define SCHEMA_APPLICATION_ID 0x5752524e

/** How many steps there are: the version of a file that this warren writes. */
int64_t schema_newest(void);

/**
 * Whose file is it, and of which version?
 *
 * @ret_version  0: it is new and empty
 * @return       WARREN_OK; WARREN_ECONFIG if it is another program's or a newer warren's; or as
 *               database_fail()
 */
enum warren_status schema_look(struct database *database, int64_t *ret_version,
                               struct warren_error *error);

/** Take the steps that are missing, all or none. Several processes may try at once. */
enum warren_status schema_migrate(struct database *database, struct warren_error *error);

#endif
