/* metric_cells.h - numbers that each thread adds to in a place of its own, and anybody may sum up.
 * A cell is one number: each thread has one for it, written by that thread alone with plain
 * stores, in chunks that are allocated when the thread first needs them. What a thread has counted
 * is kept when it ends.
 * Thread: any. Owner: the process. Elsewhere: which cells belong to what (metrics.h).
 */
#ifndef WARREN_BASE_METRIC_CELLS_H
#define WARREN_BASE_METRIC_CELLS_H

#include <stddef.h>
#include <stdint.h>

/** Cells there are, of which a thread has those of the chunks that it wrote to. */
#define METRIC_CELLS 131072
/** Of one chunk: a page. */
#define METRIC_CHUNK 512

/** To be called before whoever holds a lock of its own through fork(2), and comes here with it,
 * says so by pthread_atfork(3): that lock is then taken before those of here. */
void metric_cells_begin(void);

/**
 * The first of @count cells of one chunk that nobody else has, all zero; they are never given back.
 *
 * @return METRIC_CELLS: there are no more
 */
uint32_t metric_cells_take(uint32_t count);

/** How many were taken, or lie unused behind those of a chunk. */
uint32_t metric_cells_taken(void);

/** Add @value to the calling thread's @cell. Without memory nothing happens. */
void metric_cells_add(uint32_t cell, double value);
/** The same of two cells of one chunk, the first by 1. */
void metric_cells_add_both(uint32_t one, uint32_t cell, double value);

/** What all threads have in the @count cells from @first on, of one chunk. */
void metric_cells_sum(uint32_t first, uint32_t count, double *ret_sums);
/** The same of all cells that were taken, from 0 on: one walk through all threads in place of one
 * for each series. To be freed; NULL: no memory. */
double *metric_cells_sum_all(void);

#endif
