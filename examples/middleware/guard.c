/* guard.c - a plugin with two middlewares and no handler.
 *
 *   guard.no_duplicates  discards a message whose id was acked among the last ones
 *   guard.size_limit     rejects a body above a limit, which SIGHUP may change
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <warren/middleware.h>

/* ---- no_duplicates ---- */

/* Hashes of the last ids, a ring. With a few thousand ids of 64 bits, two that are the same by
 * chance are as good as impossible. */
struct memory {
    pthread_mutex_t mutex; /* `call` runs on several threads at once */
    size_t size;
    size_t next;
    uint64_t ids[];
};

static const struct warren_option no_duplicates_options[] = {
    {.name = "remember",
     .type = WARREN_OPTION_INT,
     .fallback = "1000",
     .min = 1,
     .max = 100000,
     .help = "How many acked message ids are known."},
    {0},
};

static enum warren_status no_duplicates_open(const struct warren_subscription_info *info,
                                             void **state, struct warren_error *error)
{
    size_t size = (size_t)warren_options_int(info->options, "remember");
    struct memory *memory = calloc(1, sizeof *memory + size * sizeof memory->ids[0]);

    if (!memory) {
        snprintf(error->text, sizeof error->text, "no memory for %zu ids", size);
        return WARREN_ENOMEM;
    }
    pthread_mutex_init(&memory->mutex, NULL);
    memory->size = size;
    *state = memory;
    return WARREN_OK;
}

/* FNV-1a of all of it, for an id may hold a NUL; never 0, which is an empty place. */
static uint64_t hash(struct warren_bytes id)
{
    const unsigned char *bytes = id.data;
    uint64_t sum = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < id.len; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
    return sum ? sum : 1;
}

static bool is_known(struct memory *memory, uint64_t id)
{
    bool known = false;

    pthread_mutex_lock(&memory->mutex);
    for (size_t i = 0; i < memory->size && !known; i++)
        known = memory->ids[i] == id;
    pthread_mutex_unlock(&memory->mutex);
    return known;
}

static void remember(struct memory *memory, uint64_t id)
{
    pthread_mutex_lock(&memory->mutex);
    memory->ids[memory->next] = id;
    memory->next = (memory->next + 1) % memory->size;
    pthread_mutex_unlock(&memory->mutex);
}

static enum warren_outcome no_duplicates(struct warren_job *job, const struct warren_link *next,
                                         void *state)
{
    struct warren_bytes id = warren_job_text(job, warren_job_properties(job)->message_id);
    enum warren_outcome outcome;

    if (!id.data)
        return warren_next(job, next);
    if (is_known(state, hash(id))) {
        warren_job_fail(job, "a message with this id was handled before");
        return WARREN_DISCARD; /* the rest of the chain does not run */
    }
    outcome = warren_next(job, next);
    if (outcome == WARREN_ACK) /* a failed attempt will come again, and must be let through */
        remember(state, hash(id));
    return outcome;
}

static void no_duplicates_close(void *state)
{
    struct memory *memory = state;

    pthread_mutex_destroy(&memory->mutex);
    free(memory);
}

/* ---- size_limit ---- */

static const struct warren_option size_limit_options[] = {
    {.name = "max",
     .type = WARREN_OPTION_SIZE,
     .min = 1,
     .max = 1 << 30,
     .help = "The largest body that the handler gets."},
    {0},
};

/* SIGHUP: other threads may be in `call`. */
static void size_limit_reload(void *state, const struct warren_options *options)
{
    _Atomic int64_t *max = state;

    atomic_store(max, warren_options_int(options, "max"));
}

static enum warren_status size_limit_open(const struct warren_subscription_info *info, void **state,
                                          struct warren_error *error)
{
    _Atomic int64_t *max = malloc(sizeof *max);

    if (!max) {
        snprintf(error->text, sizeof error->text, "no memory");
        return WARREN_ENOMEM;
    }
    atomic_init(max, warren_options_int(info->options, "max"));
    *state = max;
    return WARREN_OK;
}

static enum warren_outcome size_limit(struct warren_job *job, const struct warren_link *next,
                                      void *state)
{
    int64_t max = atomic_load((_Atomic int64_t *)state);
    size_t size = warren_job_body(job).len;

    if (size <= (size_t)max)
        return warren_next(job, next);
    warren_job_fail(job, "%zu bytes are more than %lld", size, (long long)max);
    return WARREN_REJECT; /* it will never be smaller: dead-letter it */
}

static const struct warren_middleware middlewares[] = {
    {.name = "no_duplicates",
     .help = "Discards a message whose id was acked among the last ones.",
     .options = no_duplicates_options,
     .open = no_duplicates_open,
     .call = no_duplicates,
     .close = no_duplicates_close},
    {.name = "size_limit",
     .help = "Rejects a message whose body is too large.",
     .options = size_limit_options,
     .open = size_limit_open,
     .call = size_limit,
     .reload = size_limit_reload,
     .close = free},
    {0},
};

WARREN_PLUGIN(.name = "guard", .version = "1.0.0", WARREN_MIDDLEWARES(middlewares))
