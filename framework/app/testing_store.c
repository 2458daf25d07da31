/* testing_store.c - see testing_store.h. */
#include "app/testing_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

/* No test has more. */
#define KEYS_MAX 100000
#define RENEW_MS 1000

static enum warren_status make_directory(struct testing_store *store, struct warren_error *error)
{
    const char *base = getenv("TMPDIR");

    if (asprintf(&store->directory, "%s/warren-test-XXXXXX", base && *base ? base : "/tmp") < 0) {
        store->directory = NULL;
        return error_set(error, WARREN_ENOMEM, "no memory for the store");
    }
    if (!mkdtemp(store->directory)) {
        error_set(error, WARREN_EIO, "%s: the keys of handled messages cannot be kept there: %s",
                  store->directory, strerror(errno));
        free(store->directory);
        store->directory = NULL;
        return WARREN_EIO;
    }
    if (asprintf(&store->file, "%s/store.db", store->directory) < 0) {
        store->file = NULL;
        return error_set(error, WARREN_ENOMEM, "no memory for the store");
    }
    return WARREN_OK;
}

enum warren_status testing_store_open(struct testing_store *store, struct warren_error *error)
{
    enum warren_status status = make_directory(store, error);
    const struct key_writer_options options = {
        .database = {.path = store->file, .synchronous = DATABASE_OFF},
        .keys = {.keys_max = KEYS_MAX, .clock = clock_monotonic(), .wall_ms = clock_wall_ms},
        .renew_ms = RENEW_MS,
    };

    return status == WARREN_OK ? key_writer_new(&options, &store->key_writer, error) : status;
}

void testing_store_done(struct testing_store *store)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock"};
    char *name;

    key_writer_free(store->key_writer);
    for (size_t i = 0; store->file && i < sizeof suffixes / sizeof *suffixes; i++) {
        if (asprintf(&name, "%s%s", store->file, suffixes[i]) < 0)
            continue;
        unlink(name);
        free(name);
    }
    if (store->directory)
        rmdir(store->directory);
    free(store->file);
    free(store->directory);
    *store = (struct testing_store){0};
}
