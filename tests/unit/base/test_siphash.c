/* test_siphash.c - the vectors that its authors publish, and data in pieces. */
#include "base/siphash.h"
#include "support/test.h"

static const uint8_t key[SIPHASH_SIZE] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Of vectors.h of the reference implementation: the hash of 0, 1, 2 and of 63 bytes 00 01 02... */
static void the_published_vectors(void **state)
{
    static const struct {
        size_t len;
        uint8_t hash[SIPHASH_SIZE];
    } vectors[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
        {2,
         {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
          0xe4}},
        {63,
         {0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f, 0xbd,
          0x7c}},
    };
    uint8_t data[64];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct siphash hash;
        uint8_t out[SIPHASH_SIZE];

        siphash_begin(&hash, key);
        siphash_add(&hash, data, vectors[i].len);
        siphash_end(&hash, out);
        assert_memory_equal(out, vectors[i].hash, sizeof out);
    }
}

/* However the data is cut, the hash is that of the whole. */
static void pieces_are_the_whole(void **state)
{
    const char *text = "the quick brown fox jumps over the lazy dog";
    uint8_t whole[SIPHASH_SIZE];
    struct siphash hash;

    (void)state;
    siphash_begin(&hash, key);
    siphash_add(&hash, text, strlen(text));
    siphash_end(&hash, whole);
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        uint8_t out[SIPHASH_SIZE];

        siphash_begin(&hash, key);
        siphash_add(&hash, text, cut);
        siphash_add(&hash, text + cut, strlen(text) - cut);
        siphash_end(&hash, out);
        assert_memory_equal(out, whole, sizeof out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors),
        cmocka_unit_test(pieces_are_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
