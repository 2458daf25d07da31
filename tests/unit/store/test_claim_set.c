/* test_claim_set.c - the set of claims against a plain list. */
#include "base/random.h"
#include "store/idempotency/idempotency_private.h"
#include "support/test.h"

static struct idempotency_key key_of(unsigned number)
{
    struct idempotency_key key = {{0}};

    /* Many share a home, so that chains form; the numbers differ at the end. */
    key.bytes[0] = (uint8_t)(number % 5);
    key.bytes[15] = (uint8_t)number;
    key.bytes[14] = (uint8_t)(number >> 8);
    return key;
}

/* Added, removed, asked for at random: the set says the same as the list. */
static void it_is_a_set(void **state)
{
    enum { KEYS = 1000 };
    bool is_in[KEYS] = {false};
    struct claim_set set = {NULL, 0, 0};
    struct random random;
    size_t count = 0;

    (void)state;
    random_init(&random, 7);
    for (int i = 0; i < 20000; i++) {
        unsigned number = (unsigned)random_upto(&random, KEYS - 1);
        struct idempotency_key key = key_of(number);

        assert_int_equal(claim_set_has(&set, &key), is_in[number]);
        if (is_in[number])
            claim_set_remove(&set, &key);
        else
            assert_true(claim_set_add(&set, &key));
        count += is_in[number] ? (size_t)-1 : 1;
        is_in[number] = !is_in[number];
        assert_int_equal(set.count, count);
    }
    claim_set_done(&set);
}

/* Removing what is not there, and asking an empty set, is fine. */
static void an_empty_set(void **state)
{
    struct claim_set set = {NULL, 0, 0};
    struct idempotency_key key = key_of(1);

    (void)state;
    assert_false(claim_set_has(&set, &key));
    claim_set_remove(&set, &key);
    claim_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_set),
        cmocka_unit_test(an_empty_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
