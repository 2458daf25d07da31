/* key_index.h - which row has a key: a table of fixed size in memory. It answers "surely new"
 * without touching the disk, and otherwise names the row to look at.
 *
 * Eight bytes a slot: 36 bits of the key and 28 of the row. Rows are numbered upwards and are only
 * ever removed from below: what lies below the floor is dead, and leaves the table by and by.
 * So the table on disk needs no index of its own. One on random keys would have to rewrite a page
 * for each row, the more of them the more rows there are.
 * Bound: key_index_new() says how many keys; memory is 8 bytes times the power of two above 1.5
 * times that, touched as it fills.
 * Thread: one at a time.
 */
#ifndef WARREN_STORE_KEY_INDEX_H
#define WARREN_STORE_KEY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most keys, and the rows that a table can tell apart. */
#define KEY_INDEX_KEYS_MAX 80000000
#define KEY_INDEX_ROW_BITS 28

struct key_index;

/** NULL: no memory. @keys: up to KEY_INDEX_KEYS_MAX. */
struct key_index *key_index_new(size_t keys);
/** NULL is fine. */
void key_index_free(struct key_index *index);

/**
 * The number that the next row may have: @row, or one more, for one in 2^28 cannot be kept. The
 * rows from the floor to the newest must be fewer than 2^27.
 */
int64_t key_index_fit(int64_t row);

/** Note that @row, higher than all before, has the key that begins with @hash. */
void key_index_put(struct key_index *index, uint64_t hash, int64_t row);
/** Rows below @floor are gone. */
void key_index_raise(struct key_index *index, int64_t floor);

/**
 * A row that perhaps has a key beginning with @hash: of 36 bits it has the same.
 *
 * @cursor  0 at first; what it is afterwards finds the next one, unless the index has changed
 * @return  the row; 0: no further one. 0 at once means that the key is surely new
 */
int64_t key_index_find(const struct key_index *index, uint64_t hash, size_t *cursor);

/** Rows from the floor up to @next. */
int64_t key_index_rows(const struct key_index *index, int64_t next);
/** Slots in use, dead ones included. */
size_t key_index_used(const struct key_index *index);

#endif
