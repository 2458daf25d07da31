/* shard_spread.h - which worker has which shard, so that none has more than one above another.
 *
 * Workers agree without a word: each reckons the same from the seats that are taken. A shard goes
 * to the seat with the highest number that a hash of both draws (rendezvous hashing), among those
 * that have room; so when a worker comes or goes, most shards stay where they are.
 * What comes out must never change: workers of different versions run side by side.
 * Pure. Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998.
 */
#ifndef WARREN_CONSUME_SHARD_SPREAD_H
#define WARREN_CONSUME_SHARD_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

/** Most shards, and most seats: more workers than shards have nothing to do. */
#define SHARD_SPREAD_MAX 128

/**
 * Share @count shards out.
 *
 * @taken      of @count seats, which are
 * @ret_owner  of each shard the seat; untouched if none is taken
 * @return     how many are taken
 */
uint32_t shard_spread(const bool *taken, uint32_t count, uint8_t *ret_owner);

#endif
