/* metric_cells.c - see metric_cells.h. */
#include "base/metric_cells.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

#define CHUNKS (METRIC_CELLS / METRIC_CHUNK)

/* A double as the bits of an integer: those are atomic everywhere. */
struct chunk {
    _Atomic uint64_t cells[METRIC_CHUNK];
};

struct thread_cells {
    struct list link;
    _Atomic(struct chunk *) chunks[CHUNKS];
};

static struct {
    pthread_mutex_t lock; /* guards the list, what ended, and `taken` */
    struct list threads;
    struct chunk *ended[CHUNKS]; /* sums of threads that are no more */
    uint32_t taken;
    pthread_key_t key; /* its destructor knows when a thread ends */
    bool usable;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .threads = {&all.threads, &all.threads}};

/* The model spares the call that a library's thread-local variable costs else. */
static _Thread_local struct thread_cells *own __attribute__((tls_model("initial-exec")));

static double number(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* By the only thread that writes it. */
static void add(_Atomic uint64_t *cell, double value)
{
    double before = number(atomic_load_explicit(cell, memory_order_relaxed));

    atomic_store_explicit(cell, bits_of(before + value), memory_order_relaxed);
}

/* ---- threads come and go ---- */

/* Under the lock. @return false: there is no memory, and @from stays */
static bool keep(uint32_t index, struct chunk *from)
{
    struct chunk *kept = all.ended[index];

    if (!kept) {
        all.ended[index] = from;
        return true;
    }
    for (size_t i = 0; i < METRIC_CHUNK; i++)
        add(&kept->cells[i], number(atomic_load_explicit(&from->cells[i], memory_order_relaxed)));
    return false;
}

static void thread_ends(void *arg)
{
    struct thread_cells *cells = arg;

    own = NULL;
    pthread_mutex_lock(&all.lock);
    list_remove(&cells->link);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct chunk *chunk = atomic_load_explicit(&cells->chunks[i], memory_order_relaxed);

        if (chunk && !keep(i, chunk))
            free(chunk);
    }
    pthread_mutex_unlock(&all.lock);
    free(cells);
}

/* In a child of fork(2) the lock is free: its parent held it through the call. */
static void lock_all(void)
{
    pthread_mutex_lock(&all.lock);
}

static void unlock_all(void)
{
    pthread_mutex_unlock(&all.lock);
}

static void begin(void)
{
    all.usable = pthread_key_create(&all.key, thread_ends) == 0;
    pthread_atfork(lock_all, unlock_all, unlock_all);
}

void metric_cells_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, begin);
}

static struct thread_cells *thread_begins(void)
{
    struct thread_cells *cells;

    metric_cells_begin();
    cells = all.usable ? calloc(1, sizeof *cells) : NULL;
    if (!cells || pthread_setspecific(all.key, cells) != 0) {
        free(cells);
        return NULL;
    }
    pthread_mutex_lock(&all.lock);
    list_push(&all.threads, &cells->link);
    pthread_mutex_unlock(&all.lock);
    own = cells;
    return cells;
}

/* ---- counting ---- */

static struct chunk *new_chunk(struct thread_cells *cells, uint32_t index)
{
    struct chunk *chunk = aligned_alloc(64, sizeof *chunk);

    if (!chunk)
        return NULL;
    memset(chunk, 0, sizeof *chunk);
    atomic_store_explicit(&cells->chunks[index], chunk, memory_order_release);
    return chunk;
}

static struct chunk *chunk_of(uint32_t cell)
{
    struct thread_cells *cells = own ? own : thread_begins();
    uint32_t index = cell / METRIC_CHUNK;
    struct chunk *chunk;

    if (!cells || index >= CHUNKS)
        return NULL;
    chunk = atomic_load_explicit(&cells->chunks[index], memory_order_relaxed);
    return chunk ? chunk : new_chunk(cells, index);
}

void metric_cells_add(uint32_t cell, double value)
{
    struct chunk *chunk = chunk_of(cell);

    if (chunk)
        add(&chunk->cells[cell % METRIC_CHUNK], value);
}

void metric_cells_add_both(uint32_t one, uint32_t cell, double value)
{
    struct chunk *chunk = chunk_of(cell);

    if (!chunk)
        return;
    add(&chunk->cells[one % METRIC_CHUNK], 1);
    add(&chunk->cells[cell % METRIC_CHUNK], value);
}

/* ---- taking and reading ---- */

uint32_t metric_cells_take(uint32_t count)
{
    uint32_t first;

    pthread_mutex_lock(&all.lock);
    first = all.taken;
    if (first / METRIC_CHUNK != (first + count - 1) / METRIC_CHUNK)
        first = (first / METRIC_CHUNK + 1) * METRIC_CHUNK;
    if (count > METRIC_CHUNK || first + count > METRIC_CELLS)
        first = METRIC_CELLS;
    else
        all.taken = first + count;
    pthread_mutex_unlock(&all.lock);
    return first;
}

uint32_t metric_cells_taken(void)
{
    uint32_t taken;

    pthread_mutex_lock(&all.lock);
    taken = all.taken;
    pthread_mutex_unlock(&all.lock);
    return taken;
}

static void sum_chunk(const struct chunk *chunk, uint32_t first, uint32_t count, double *sums)
{
    if (!chunk)
        return;
    for (uint32_t i = 0; i < count; i++)
        sums[i] += number(
            atomic_load_explicit(&chunk->cells[first % METRIC_CHUNK + i], memory_order_relaxed));
}

double *metric_cells_sum_all(void)
{
    double *sums;
    uint32_t chunks;

    pthread_mutex_lock(&all.lock);
    chunks = (all.taken + METRIC_CHUNK - 1) / METRIC_CHUNK;
    sums = calloc((size_t)chunks * METRIC_CHUNK + 1, sizeof *sums);
    for (uint32_t i = 0; sums && i < chunks; i++)
        sum_chunk(all.ended[i], 0, METRIC_CHUNK, sums + (size_t)i * METRIC_CHUNK);
    LIST_EACH(link, &all.threads) {
        struct thread_cells *cells = list_entry(link, struct thread_cells, link);

        for (uint32_t i = 0; sums && i < chunks; i++)
            sum_chunk(atomic_load_explicit(&cells->chunks[i], memory_order_acquire), 0,
                      METRIC_CHUNK, sums + (size_t)i * METRIC_CHUNK);
    }
    pthread_mutex_unlock(&all.lock);
    return sums;
}

void metric_cells_sum(uint32_t first, uint32_t count, double *ret_sums)
{
    uint32_t index = first / METRIC_CHUNK;

    memset(ret_sums, 0, count * sizeof *ret_sums);
    if (index >= CHUNKS)
        return;
    pthread_mutex_lock(&all.lock);
    sum_chunk(all.ended[index], first, count, ret_sums);
    LIST_EACH(link, &all.threads) {
        struct thread_cells *cells = list_entry(link, struct thread_cells, link);

        sum_chunk(atomic_load_explicit(&cells->chunks[index], memory_order_acquire), first, count,
                  ret_sums);
    }
    pthread_mutex_unlock(&all.lock);
}
