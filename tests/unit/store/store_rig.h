/* store_rig.h - what the tests of the store share: a folder that goes away, files in it. */
#ifndef STORE_RIG_H
#define STORE_RIG_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/db/database.h"
#include "support/test.h"

struct rig {
    char folder[64];
    char path[128]; /* of a database that does not exist yet */
    struct warren_error error;
};

static inline int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    snprintf(rig->folder, sizeof rig->folder, "/tmp/warren-store-XXXXXX");
    if (!mkdtemp(rig->folder))
        return -1;
    snprintf(rig->path, sizeof rig->path, "%s/store.db", rig->folder);
    *state = rig;
    return 0;
}

static inline int rig_teardown(void **state)
{
    struct rig *rig = *state;
    DIR *folder = opendir(rig->folder);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    rmdir(rig->folder);
    free(rig);
    return 0;
}

/* From now on the rig's path is a link of this name, which leads to where it was. */
static inline void rig_link(struct rig *rig, const char *name)
{
    char target[sizeof rig->path];

    memcpy(target, rig->path, sizeof target);
    snprintf(rig->path, sizeof rig->path, "%s/%s", rig->folder, name);
    assert_int_equal(symlink(strrchr(target, '/') + 1, rig->path), 0);
}

static inline struct database *rig_open_beside(struct rig *rig, struct database *beside)
{
    struct database_options options = {
        .path = rig->path, .synchronous = DATABASE_OFF, .busy_timeout_ms = 1, .beside = beside};
    struct database *database = NULL;

    if (database_open(&options, &database, &rig->error) != WARREN_OK)
        fail_msg("%s", rig->error.text);
    return database;
}

static inline struct database *rig_open(struct rig *rig)
{
    return rig_open_beside(rig, NULL);
}

static inline void rig_run(struct rig *rig, struct database *database, const char *sql)
{
    if (database_run(database, sql, &rig->error) != WARREN_OK)
        fail_msg("%s: %s", sql, rig->error.text);
}

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (!strstr(text, part))                                                                   \
            fail_msg("\"%s\" is not in: %s", part, text);                                          \
    } while (0)

#endif
