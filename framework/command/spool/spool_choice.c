/* spool_choice.c - messages of a spool that a command is to change; see command_spool.h. */
#include "command/spool/command_spool.h"

#include <stdlib.h>
#include <time.h>

#include "base/error.h"

/* A transaction ends behind so much; SQLite lets a publisher poll for its turn, hence the pause. */
#define STEP_BYTES ((int64_t)4 * 1024 * 1024)
#define PAUSE_MS   10

#define CAPACITY_MIN 64

struct spool_chosen {
    int64_t id;
    int64_t bytes;
};

/* ---- choosing ---- */

struct choosing {
    struct spool_choice *choice;
    const struct spool_ids *ids;
    bool failed;
};

static bool grow(struct spool_choice *choice)
{
    size_t capacity = choice->capacity > 0 ? choice->capacity * 2 : CAPACITY_MIN;
    struct spool_chosen *items = realloc(choice->items, capacity * sizeof *items);

    if (!items)
        return false;
    choice->items = items;
    choice->capacity = capacity;
    return true;
}

static bool choose_one(void *user, const struct spool_message *message)
{
    struct choosing *choosing = user;
    struct spool_choice *choice = choosing->choice;

    if (choosing->ids && !spool_ids_have(choosing->ids, message->id))
        return true;
    if (choice->count == choice->capacity && !grow(choice)) {
        choosing->failed = true;
        return false;
    }
    choice->items[choice->count++] =
        (struct spool_chosen){message->id, spool_message_bytes(message)};
    choice->unsent += !message->refused;
    return true;
}

enum warren_status spool_choose(struct spool_choice *choice, struct spool *spool,
                                enum spool_which which, const struct spool_ids *ids,
                                struct warren_error *error)
{
    struct choosing choosing = {choice, ids, false};
    enum warren_status status =
        spool_read(spool, INT64_MIN, which, false, choose_one, &choosing, error);

    return choosing.failed ? error_set(error, WARREN_ENOMEM, "out of memory") : status;
}

void spool_choice_done(struct spool_choice *choice)
{
    free(choice->items);
}

/* ---- changing ---- */

/* @next  the first that is not changed yet. @ret_count: of these that were there */
static enum warren_status change_some(const struct spool_choice *choice, struct spool *spool,
                                      spool_change_fn *change, size_t *next, int64_t *ret_count,
                                      struct warren_error *error)
{
    enum warren_status status = database_begin(spool_database(spool), error);
    int64_t bytes = 0;

    *ret_count = 0;
    if (status != WARREN_OK)
        return status;
    while (status == WARREN_OK && *next < choice->count && bytes < STEP_BYTES) {
        bool done = false;

        status = change(spool, choice->items[*next].id, &done, error);
        bytes += choice->items[(*next)++].bytes;
        *ret_count += done;
    }
    if (status == WARREN_OK)
        return database_commit(spool_database(spool), error);
    database_rollback(spool_database(spool));
    return status;
}

enum warren_status spool_choice_change(const struct spool_choice *choice, struct spool *spool,
                                       spool_change_fn *change, int64_t *ret_count,
                                       struct warren_error *error)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    enum warren_status status = WARREN_OK;
    size_t next = 0;

    *ret_count = 0;
    while (status == WARREN_OK && next < choice->count) {
        int64_t count;

        if (next > 0)
            nanosleep(&pause, NULL);
        status = change_some(choice, spool, change, &next, &count, error);
        if (status == WARREN_OK)
            *ret_count += count;
    }
    return status;
}
