/* fault_vfs.h - a disk that fails when it is told to: SQLite's own way to files, with the nth write
 * or sync answered by an error.
 */
#ifndef FAULT_VFS_H
#define FAULT_VFS_H

#include <stddef.h>

#include <sqlite3.h>

static struct {
    int after; /* so many writes and syncs succeed yet; below 0: all do */
    int once;  /* only the next one fails */
    int code;  /* what the others are answered */
    unsigned calls;
    sqlite3_vfs vfs;
    const sqlite3_vfs *real;
    struct {
        const sqlite3_io_methods *real;
        sqlite3_io_methods changed;
    } methods[4]; /* those of a database differ from those of its log */
    int (*write)(sqlite3_file *file, const void *data, int size, sqlite3_int64 at);
    int (*sync)(sqlite3_file *file, int flags);
} fault = {.after = -1};

static int fault_now(void)
{
    fault.calls++;
    if (fault.after < 0)
        return 0;
    if (fault.after > 0) {
        fault.after--;
        return 0;
    }
    if (fault.once)
        fault.after = -1;
    return 1;
}

static int fault_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 at)
{
    return fault_now() ? fault.code : fault.write(file, data, size, at);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    return fault_now() ? fault.code : fault.sync(file, flags);
}

/* All ways of opening a file share one way to write and one to sync. */
static const sqlite3_io_methods *fault_methods(const sqlite3_io_methods *real)
{
    size_t i = 0;

    while (fault.methods[i].real && fault.methods[i].real != real)
        i++;
    if (!fault.methods[i].real) {
        fault.write = real->xWrite;
        fault.sync = real->xSync;
        fault.methods[i].real = real;
        fault.methods[i].changed = *real;
        fault.methods[i].changed.xWrite = fault_write;
        fault.methods[i].changed.xSync = fault_sync;
    }
    return &fault.methods[i].changed;
}

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    int code = fault.real->xOpen(vfs, name, file, flags, out);

    if (code == SQLITE_OK && file->pMethods)
        file->pMethods = fault_methods(file->pMethods);
    return code;
}

/** Every file that is opened from now on is on the failing disk. */
static inline void fault_install(void)
{
    fault.real = sqlite3_vfs_find(NULL);
    fault.vfs = *fault.real;
    fault.vfs.zName = "fault";
    fault.vfs.xOpen = fault_open;
    fault.vfs.pNext = NULL;
    sqlite3_vfs_register(&fault.vfs, 1);
}

#endif
