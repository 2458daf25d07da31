/* siphash.h - SipHash-2-4 with 128 bits of output: a short name for data of any length, which
 * nobody who does not know the key can make collide.
 * Source: Aumasson, Bernstein: SipHash: a fast short-input PRF, and https://www.aumasson.jp/siphash
 * Thread: any.
 */
#ifndef WARREN_BASE_SIPHASH_H
#define WARREN_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_SIZE 16

/** Data in pieces: siphash_add() as often as needed, then siphash_end(). */
struct siphash {
    uint64_t v[4];
    uint64_t tail; /* bytes that do not fill a word yet, the first one lowest */
    uint64_t len;
};

void siphash_begin(struct siphash *hash, const uint8_t key[SIPHASH_SIZE]);
void siphash_add(struct siphash *hash, const void *data, size_t len);
void siphash_end(struct siphash *hash, uint8_t out[SIPHASH_SIZE]);

#endif
