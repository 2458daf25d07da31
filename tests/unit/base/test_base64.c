/* test_base64.c - bytes as text and back. */
#include "base/base64.h"
#include "support/test.h"

/* The vectors of RFC 4648, section 10. */
static const char *const vectors[][2] = {{"", ""},
                                         {"f", "Zg=="},
                                         {"fo", "Zm8="},
                                         {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="},
                                         {"fooba", "Zm9vYmE="},
                                         {"foobar", "Zm9vYmFy"}};

static void the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const char *plain = vectors[i][0];
        char text[16] = "";
        char back[16] = "";
        size_t len = 99;

        assert_int_equal(base64_encoded_len(strlen(plain)), strlen(vectors[i][1]));
        base64_encode(plain, strlen(plain), text);
        assert_string_equal(text, vectors[i][1]);
        assert_true(base64_decode(text, strlen(text), back, &len));
        assert_int_equal(len, strlen(plain));
        assert_memory_equal(back, plain, len);
    }
}

/* Every byte, at each of the three places in a group. */
static void every_byte_comes_back(void **state)
{
    (void)state;
    for (size_t from = 0; from < 3; from++) {
        uint8_t bytes[258];
        uint8_t back[258];
        char text[344];
        size_t len;

        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(i + from);
        base64_encode(bytes, sizeof bytes - from, text);
        assert_true(base64_decode(text, base64_encoded_len(sizeof bytes - from), back, &len));
        assert_int_equal(len, sizeof bytes - from);
        assert_memory_equal(back, bytes, len);
    }
}

/* Short, foreign, badly padded, and with bits that no encoder sets. */
static void anything_else_is_refused(void **state)
{
    static const char *const wrong[] = {
        "Z",    "Zg",         "Zg=",  "Zg==Zg==", "Z===", "====", "Zm9 ",
        "Zm-_", "Zm9v\n\n\n", "Zh==", "Zm9=",     "=m9v", "Zm=v"};
    char back[16];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (base64_decode(wrong[i], strlen(wrong[i]), back, &len))
            fail_msg("taken: %s", wrong[i]);
    }
    assert_false(base64_decode("Zm9\0", 4, back, &len));
}

static void a_length_that_does_not_fit_is_told(void **state)
{
    (void)state;
    assert_int_equal(base64_encoded_len(SIZE_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(a_length_that_does_not_fit_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
