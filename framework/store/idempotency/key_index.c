/* key_index.c - see key_index.h. Linear probing; what is removed leaves no gap, for those behind it
 * move up.
 */
#include "store/idempotency/key_index.h"

#include <stdlib.h>
#include <sys/mman.h>

#define ROW_MASK ((UINT64_C(1) << KEY_INDEX_ROW_BITS) - 1)
/* Slots looked at for dead rows at each put: all of the table is seen while an eighth of it comes
 * in, so the dead make up no more than that. */
#define SWEEP_SLOTS 8
#define BITS_MIN    10

struct key_index {
    uint64_t *slots; /* 0: free */
    size_t mask;
    unsigned shift; /* home of a key: its top bits */
    size_t used;
    size_t sweep;   /* the slot that is looked at next */
    int64_t floor;  /* rows below are dead */
    int64_t newest; /* highest row that was put */
};

static size_t table_bytes(const struct key_index *index)
{
    return (index->mask + 1) * sizeof *index->slots;
}

struct key_index *key_index_new(size_t keys)
{
    struct key_index *index = calloc(1, sizeof *index);
    unsigned bits = BITS_MIN;

    if (!index)
        return NULL;
    while ((size_t)1 << bits < keys + keys / 2)
        bits++;
    index->mask = ((size_t)1 << bits) - 1;
    index->shift = 64 - bits;
    index->slots = mmap(NULL, table_bytes(index), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (index->slots == MAP_FAILED) {
        free(index);
        return NULL;
    }
    /* A miss of the page table costs as much as one of the cache. */
    madvise(index->slots, table_bytes(index), MADV_HUGEPAGE);
    return index;
}

void key_index_free(struct key_index *index)
{
    if (!index)
        return;
    munmap(index->slots, table_bytes(index));
    free(index);
}

int64_t key_index_rows(const struct key_index *index, int64_t next)
{
    int64_t floor = index->floor > 0 ? index->floor : 1;

    return next > floor ? next - floor : 0;
}

size_t key_index_used(const struct key_index *index)
{
    return index->used;
}

int64_t key_index_fit(int64_t row)
{
    return ((uint64_t)row & ROW_MASK) == 0 ? row + 1 : row;
}

/* Of all rows that end in these bits, the highest that is not above the newest. */
static int64_t row_of(const struct key_index *index, uint64_t slot)
{
    return index->newest - (int64_t)(((uint64_t)index->newest - slot) & ROW_MASK);
}

static size_t home_of(const struct key_index *index, uint64_t slot)
{
    return slot >> index->shift;
}

static bool is_dead(const struct key_index *index, uint64_t slot)
{
    return row_of(index, slot) < index->floor;
}

/* How far @place lies behind the home of what stands there. */
static size_t distance(const struct key_index *index, size_t place)
{
    return (place - home_of(index, index->slots[place])) & index->mask;
}

static void take_out(struct key_index *index, size_t place)
{
    size_t gap = place;

    for (size_t i = (gap + 1) & index->mask; index->slots[i]; i = (i + 1) & index->mask) {
        /* It may move up to the gap if its home is not behind that. */
        if (distance(index, i) >= ((i - gap) & index->mask)) {
            index->slots[gap] = index->slots[i];
            gap = i;
        }
    }
    index->slots[gap] = 0;
    index->used--;
}

static void sweep(struct key_index *index, size_t slots)
{
    while (slots-- > 0) {
        uint64_t slot = index->slots[index->sweep];

        if (slot && is_dead(index, slot))
            take_out(index, index->sweep); /* look at the same place again: one may have moved up */
        else
            index->sweep = (index->sweep + 1) & index->mask;
    }
}

void key_index_put(struct key_index *index, uint64_t hash, int64_t row)
{
    uint64_t slot = (hash & ~ROW_MASK) | ((uint64_t)row & ROW_MASK);
    size_t place = home_of(index, slot);

    sweep(index, SWEEP_SLOTS);
    /* Rows come in more quickly than is written down: only if the floor was raised by much. */
    if (index->used > index->mask - index->mask / 16)
        sweep(index, 2 * (index->mask + 1));
    index->newest = row;
    while (index->slots[place])
        place = (place + 1) & index->mask;
    index->slots[place] = slot;
    index->used++;
}

void key_index_raise(struct key_index *index, int64_t floor)
{
    if (floor > index->floor)
        index->floor = floor;
}

int64_t key_index_find(const struct key_index *index, uint64_t hash, size_t *cursor)
{
    size_t home = home_of(index, hash);

    for (size_t step = *cursor; step <= index->mask; step++) {
        uint64_t slot = index->slots[(home + step) & index->mask];

        if (!slot)
            break;
        if ((slot & ~ROW_MASK) == (hash & ~ROW_MASK) && !is_dead(index, slot)) {
            *cursor = step + 1;
            return row_of(index, slot);
        }
    }
    return 0;
}
