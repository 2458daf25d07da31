/* random.c - xoshiro256**, seeded by splitmix64.
 * Source: Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2018;
 * Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
 */
#include "base/random.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static uint64_t rotate_left(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void random_init(struct random *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++)
        random->state[i] = splitmix(&seed);
}

uint64_t random_seed(void)
{
    uint64_t seed;
    struct timespec now;

    /* Up to 256 bytes never come in part; GRND_NONBLOCK fails only early in a machine's boot. */
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        return seed;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return seed ^ ((uint64_t)getpid() << 32);
}

uint64_t random_u64(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_upto(struct random *random, uint64_t limit)
{
    uint64_t mask = limit;
    uint64_t number;

    for (int shift = 1; shift < 64; shift *= 2)
        mask |= mask >> shift;
    /* Rejecting keeps it even; more than half of the masked numbers fit. */
    do
        number = random_u64(random) & mask;
    while (number > limit);
    return number;
}

/* ---- UUIDs ---- */

#define UUID_SIZE 16

/** Random bytes of one id: all but the 48 bits of time. */
#define UUID_RANDOM_SIZE 10

/** One getrandom() for 25 ids; up to 256 bytes it never answers in part. */
#define POOL_SIZE 250

static _Thread_local struct {
    size_t left;
    uint8_t bytes[POOL_SIZE];
} pool;

static void forget_pool(void)
{
    pool.left = 0;
}

static void forget_pool_in_children(void)
{
    pthread_atfork(NULL, NULL, forget_pool);
}

static void fill_pool(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct random random;

    /* Or else a forked child would give out its parent's ids. */
    pthread_once(&once, forget_pool_in_children);
    if (getrandom(pool.bytes, sizeof pool.bytes, 0) != (ssize_t)sizeof pool.bytes) {
        random_init(&random, random_seed());
        for (size_t i = 0; i < sizeof pool.bytes; i++)
            pool.bytes[i] = (uint8_t)random_u64(&random);
    }
    pool.left = sizeof pool.bytes;
}

static void write_text(const uint8_t bytes[UUID_SIZE], char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = '\0';
}

void uuid_v7(char text[UUID_TEXT_SIZE])
{
    uint64_t now_ms = (uint64_t)clock_wall_ms();
    uint8_t bytes[UUID_SIZE];

    if (pool.left < UUID_RANDOM_SIZE)
        fill_pool();
    pool.left -= UUID_RANDOM_SIZE;
    for (size_t i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(now_ms >> (40 - 8 * i));
    memcpy(bytes + 6, pool.bytes + pool.left, UUID_RANDOM_SIZE);
    bytes[6] = (uint8_t)(0x70 | (bytes[6] & 0x0f)); /* version 7 */
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f)); /* the variant of RFC 9562 */
    write_text(bytes, text);
}
