/* siphash.c - see siphash.h. */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void rounds(uint64_t v[4], unsigned count)
{
    while (count-- > 0) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void compress(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;
}

static uint64_t load(const uint8_t *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return le64toh(word);
}

static void store(uint8_t *bytes, uint64_t word)
{
    word = htole64(word);
    memcpy(bytes, &word, sizeof word);
}

void siphash_begin(struct siphash *hash, const uint8_t key[SIPHASH_SIZE])
{
    uint64_t k0 = load(key);
    uint64_t k1 = load(key + 8);

    hash->v[0] = k0 ^ UINT64_C(0x736f6d6570736575);
    hash->v[1] = k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee;
    hash->v[2] = k0 ^ UINT64_C(0x6c7967656e657261);
    hash->v[3] = k1 ^ UINT64_C(0x7465646279746573);
    hash->tail = 0;
    hash->len = 0;
}

void siphash_add(struct siphash *hash, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    while (len > 0) {
        unsigned have = (unsigned)(hash->len & 7);

        if (have == 0 && len >= 8) {
            compress(hash->v, load(bytes));
            hash->len += 8;
            bytes += 8;
            len -= 8;
            continue;
        }
        hash->tail |= (uint64_t)*bytes++ << (8 * have);
        hash->len++;
        len--;
        if (have == 7) {
            compress(hash->v, hash->tail);
            hash->tail = 0;
        }
    }
}

void siphash_end(struct siphash *hash, uint8_t out[SIPHASH_SIZE])
{
    uint64_t *v = hash->v;

    compress(v, hash->tail | hash->len << 56);
    v[2] ^= 0xee;
    rounds(v, 4);
    store(out, v[0] ^ v[1] ^ v[2] ^ v[3]);
    v[1] ^= 0xdd;
    rounds(v, 4);
    store(out + 8, v[0] ^ v[1] ^ v[2] ^ v[3]);
}
