/* uuid.c - UUID version 7. */
#include "base/uuid.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/random.h"

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
