/* test_traceparent.c - which texts are a trace context, and what of them is passed on. */
#include "base/random.h"
#include "base/traceparent.h"
#include "support/test.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
#define GOOD   "00-" TRACE "-" PARENT "-01"

#define MUTATIONS 200000
#define SEED      20240611u

/* In memory of exactly its length, so that a sanitizer sees a byte too far. */
static bool parse(const char *text, size_t len, struct traceparent *parent)
{
    char *copy = malloc(len ? len : 1);
    struct warren_bytes bytes = {copy, len};
    bool valid;

    assert_non_null(copy);
    memcpy(copy, text, len);
    valid = traceparent_parse(bytes, parent);
    free(copy);
    return valid;
}

/* Every way of being wrong. */
static void malformed_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "00",
        "00-",
        "garbage",
        /* length: version 00 ends after the flags */
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-",
        "00-" TRACE "-" PARENT,
        GOOD "-",
        GOOD "-00",
        GOOD "0",
        GOOD " ",
        " " GOOD,
        "\t" GOOD,
        GOOD "\n",
        /* version */
        "ff-" TRACE "-" PARENT "-01",
        "0-" TRACE "-" PARENT "-01",
        "000-" TRACE "-" PARENT "-01",
        "0x-" TRACE "-" PARENT "-01",
        "x0-" TRACE "-" PARENT "-01",
        "CC-" TRACE "-" PARENT "-01",
        "-1-" TRACE "-" PARENT "-01",
        " 0-" TRACE "-" PARENT "-01",
        /* trace id */
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-" PARENT "-01",
        "00-.bf92f3577b34da6a3ce929d0e0e4736-" PARENT "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-" PARENT "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e47360-" PARENT "-01",
        "00-4bf92f35-7b34-a6a3-e929d0e0e4736-" PARENT "-01",
        "00-" TRACE "--" PARENT "-1",
        /* parent id */
        "00-" TRACE "-0000000000000000-01",
        "00-" TRACE "-00F067AA0BA902B7-01",
        "00-" TRACE "-00f067aa0ba902bg-01",
        "00-" TRACE "-00f067aa0ba902b-01",
        "00-" TRACE "-00f067aa0ba902b70-01",
        "00-" TRACE "-00f067aa-ba902b7-01",
        /* flags */
        "00-" TRACE "-" PARENT "-0g",
        "00-" TRACE "-" PARENT "-g1",
        "00-" TRACE "-" PARENT "-0A",
        "00-" TRACE "-" PARENT "--1",
        "00-" TRACE "-" PARENT "- 1",
        "00-" TRACE "-" PARENT "-1 ",
        /* what stands between */
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
        "00" TRACE "-" PARENT "-01-",
        "00-" TRACE PARENT "-01--",
        /* a later version is as strict in the part that is known */
        "01-" TRACE "-" PARENT "-0",
        "01-" TRACE "-" PARENT "-01what",
        "01-" TRACE "-" PARENT "-01.more",
        "01-" TRACE "-" PARENT "-0g-more",
        "01-00000000000000000000000000000000-" PARENT "-01-more",
        "01-" TRACE "-0000000000000000-01-more",
        "01-" TRACE "-00F067AA0BA902B7-01-more",
        "cc_" TRACE "-" PARENT "-01",
    };
    struct traceparent parent;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (parse(texts[i], strlen(texts[i]), &parent))
            fail_msg("taken for valid: \"%s\"", texts[i]);
}

/* A NUL is a byte like any other wrong one. */
static void a_nul_is_refused_everywhere(void **state)
{
    struct traceparent parent;
    char text[] = GOOD;

    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = '\0';
        assert_false(parse(text, sizeof text - 1, &parent));
        text[i] = GOOD[i];
    }
    assert_false(parse(text, sizeof text, &parent));
}

static void valid_texts_are_read(void **state)
{
    static const struct {
        const char *text;
        bool sampled;
    } texts[] = {
        {GOOD, true},
        {"00-" TRACE "-" PARENT "-00", false},
        /* other flags are not known */
        {"00-" TRACE "-" PARENT "-03", true},
        {"00-" TRACE "-" PARENT "-fe", false},
        {"00-" TRACE "-" PARENT "-ff", true},
        /* later versions, with and without more behind */
        {"01-" TRACE "-" PARENT "-01", true},
        {"cc-" TRACE "-" PARENT "-00", false},
        {"cc-" TRACE "-" PARENT "-01-", true},
        {"fe-" TRACE "-" PARENT "-09-what the future holds", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct traceparent parent;

        if (!parse(texts[i].text, strlen(texts[i].text), &parent))
            fail_msg("refused: \"%s\"", texts[i].text);
        assert_string_equal(parent.trace_id, TRACE);
        assert_string_equal(parent.parent_id, PARENT);
        assert_int_equal(parent.sampled, texts[i].sampled);
    }
}

/* What is written is version 00 with at most the sampled flag. */
static void a_later_version_is_written_as_ours(void **state)
{
    static const char later[] = "cc-" TRACE "-" PARENT "-ff-more";
    struct traceparent parent;
    char text[TRACEPARENT_SIZE];

    (void)state;
    assert_true(parse(later, strlen(later), &parent));
    traceparent_write(&parent, text);
    assert_string_equal(text, GOOD);
    parent.sampled = false;
    traceparent_write(&parent, text);
    assert_string_equal(text, "00-" TRACE "-" PARENT "-00");
}

static void hex_has_leading_zeros(void **state)
{
    char text[17];

    (void)state;
    traceparent_write_hex(0x1f, 16, text);
    assert_string_equal(text, "000000000000001f");
    traceparent_write_hex(UINT64_C(0xfedcba9876543210), 16, text);
    assert_string_equal(text, "fedcba9876543210");
}

/* ---- mutations ---- */

static size_t mutate(struct random *random, char *text, size_t len, size_t size)
{
    static const char bytes[] = "0123456789abcdefABCDEFgxyz- \t\n_.\x00\x7f\xff";
    size_t at = (size_t)random_upto(random, len ? len - 1 : 0);
    char byte = bytes[random_upto(random, sizeof bytes - 2)];

    switch (random_upto(random, 3)) {
    case 0: /* replace */
        if (len > 0)
            text[at] = byte;
        return len;
    case 1: /* remove */
        if (len == 0)
            return 0;
        memmove(text + at, text + at + 1, len - at - 1);
        return len - 1;
    case 2: /* put in */
        if (len == size)
            return len;
        memmove(text + at + 1, text + at, len - at);
        text[at] = byte;
        return len + 1;
    default: /* cut */
        return (size_t)random_upto(random, len);
    }
}

static bool is_id(const char *id, size_t len)
{
    return strlen(id) == len && strspn(id, "0123456789abcdef") == len && strspn(id, "0") < len;
}

/* However a text is damaged: what is taken for valid is well-formed, and reads back the same. */
static void no_mutation_gets_through_malformed(void **state)
{
    struct random random;
    unsigned valid = 0;

    (void)state;
    random_init(&random, SEED);
    for (int i = 0; i < MUTATIONS; i++) {
        char text[80] = GOOD "-more";
        size_t len = strlen(i % 2 ? GOOD : text);
        struct traceparent parent, again;
        char written[TRACEPARENT_SIZE];

        if (i % 4 == 2)
            memcpy(text, "7e", 2);
        for (uint64_t times = random_upto(&random, 3); times > 0; times--)
            len = mutate(&random, text, len, sizeof text);
        if (!parse(text, len, &parent))
            continue;
        valid++;
        assert_true(is_id(parent.trace_id, 32));
        assert_true(is_id(parent.parent_id, 16));
        assert_memory_equal(parent.trace_id, text + 3, 32);
        assert_memory_equal(parent.parent_id, text + 36, 16);
        assert_true(len == 55 || (len > 55 && memcmp(text, "00", 2) != 0 && text[55] == '-'));
        traceparent_write(&parent, written);
        assert_true(parse(written, strlen(written), &again));
        assert_string_equal(again.trace_id, parent.trace_id);
        assert_string_equal(again.parent_id, parent.parent_id);
        assert_int_equal(again.sampled, parent.sampled);
    }
    /* Neither all nor none, or the loop tests nothing. */
    assert_in_range(valid, MUTATIONS / 20, MUTATIONS / 2);
}

/* ---- tracestate ---- */

static bool copy(const char *from, size_t len, char text[TRACESTATE_SIZE])
{
    char *exact = malloc(len ? len : 1);
    struct warren_bytes bytes = {exact, len};
    bool passed;

    assert_non_null(exact);
    memcpy(exact, from, len);
    passed = tracestate_copy(bytes, text);
    free(exact);
    return passed;
}

static void a_tracestate_is_passed_on_as_it_is(void **state)
{
    static const char vendors[] = "rojo=00f067aa0ba902b7,\tcongo=t61rcWkgMzE , tenant@x=~!";
    char text[TRACESTATE_SIZE];

    (void)state;
    assert_true(copy(vendors, strlen(vendors), text));
    assert_string_equal(text, vendors);
}

/* What could break a line or a header does not travel on. */
static void a_tracestate_of_other_bytes_is_dropped(void **state)
{
    static const char *const texts[] = {"", "a=b\n", "a=\x7f", "a=\xc3\xa9", "\x01"};
    char text[TRACESTATE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(copy(texts[i], strlen(texts[i]), text));
    assert_false(copy("a=b\0c=d", 7, text));
}

/* Append "k=vvv...", @len bytes in all. */
static size_t add_member(char *to, size_t used, char key, size_t len)
{
    if (used > 0)
        to[used++] = ',';
    to[used] = key;
    to[used + 1] = '=';
    memset(to + used + 2, key, len - 2);
    return used + len;
}

/* 512 bytes pass, and stay when more come; with one byte more the last member goes. */
static void a_tracestate_is_at_most_512_bytes(void **state)
{
    char from[600], text[TRACESTATE_SIZE];
    size_t len = 0;

    (void)state;
    for (char key = 'a'; key < 'e'; key++)
        len = add_member(from, len, key, 120);
    len = add_member(from, len, 'e', 28);
    assert_int_equal(len, 512);
    assert_true(copy(from, len, text));
    assert_int_equal(strlen(text), 512);
    assert_true(copy(from, add_member(from, len, 'f', 10), text));
    assert_int_equal(strlen(text), 512);
    from[len++] = 'e';
    assert_true(copy(from, len, text));
    assert_int_equal(strlen(text), 4 * 120 + 3);
    assert_memory_equal(text, from, strlen(text));
}

/* Of a long one the members above 128 bytes are the first to go (W3C, section 3.3.1.5). */
static void long_members_go_first(void **state)
{
    char from[1024], text[TRACESTATE_SIZE];
    size_t len = add_member(from, 0, 'a', 10);

    (void)state;
    len = add_member(from, len, 'b', 400);
    len = add_member(from, len, 'c', 128);
    len = add_member(from, len, 'd', 10);
    assert_true(copy(from, len, text));
    assert_int_equal(strlen(text), 10 + 1 + 128 + 1 + 10);
    assert_memory_equal(text, "a=aaaaaaaa,c=c", 14);
    assert_string_equal(text + strlen(text) - 11, ",d=dddddddd");
    len = add_member(from, 0, 'x', 600);
    assert_false(copy(from, len, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_texts_are_refused),
        cmocka_unit_test(a_nul_is_refused_everywhere),
        cmocka_unit_test(valid_texts_are_read),
        cmocka_unit_test(a_later_version_is_written_as_ours),
        cmocka_unit_test(hex_has_leading_zeros),
        cmocka_unit_test(no_mutation_gets_through_malformed),
        cmocka_unit_test(a_tracestate_is_passed_on_as_it_is),
        cmocka_unit_test(a_tracestate_of_other_bytes_is_dropped),
        cmocka_unit_test(a_tracestate_is_at_most_512_bytes),
        cmocka_unit_test(long_members_go_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
