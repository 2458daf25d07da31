/* random.c - xoshiro256**, seeded by splitmix64.
 * Source: Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2018;
 * Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
 */
#include "base/random.h"

#include <stddef.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

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
