/* test_failure_groups.c - consume/job/failure_groups.h */
#include "consume/job/failure_groups.h"
#include "support/test.h"

struct shown {
    size_t count;
    struct failure_group groups[FAILURE_GROUPS];
};

static void show(void *user, const struct failure_group *group)
{
    struct shown *shown = user;

    shown->groups[shown->count++] = *group;
}

static struct failure_groups groups;
static struct shown shown;

static int setup(void **state)
{
    (void)state;
    failure_groups_init(&groups);
    memset(&shown, 0, sizeof shown);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    failure_groups_done(&groups);
    return 0;
}

static void add(const char *queue, const char *error, const char *id, int64_t at_ms)
{
    const struct failure failure = {.queue = queue,
                                    .handler = "p.h",
                                    .reason = "error",
                                    .error = error,
                                    .message_id = {id, id ? strlen(id) : 0},
                                    .attempt = 2,
                                    .at_ms = at_ms};

    failure_groups_add(&groups, &failure);
}

/* What has digits is a number or an id; all else stays. */
static void numbers_are_left_out(void **state)
{
    static const struct {
        const char *error;
        const char *signature;
    } rows[] = {
        {"timeout after 350 ms", "timeout after # ms"},
        {"order 7f3a-22c1: no such customer c42", "order #: no such customer #"},
        {"10.0.0.1:5432 refused", "#.#.#.#:# refused"},
        {"plain words, no numbers", "plain words, no numbers"},
        {"", ""},
    };
    char signature[FAILURE_SIGNATURE_SIZE];
    char longest[2000];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        failure_signature(rows[i].error, signature);
        assert_string_equal(signature, rows[i].signature);
    }
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    failure_signature(longest, signature);
    assert_int_equal(strlen(signature), FAILURE_SIGNATURE_SIZE - 1);
}

/* The same but for numbers is one group with the latest example; another queue is another one. */
static void the_same_error_is_one_group(void **state)
{
    (void)state;
    add("q", "timeout after 1 ms", "a", 100);
    add("q", "timeout after 22 ms", "b", 200);
    add("other", "timeout after 22 ms", NULL, 150);
    assert_int_equal(failure_groups_read(&groups, show, &shown), 0);
    assert_int_equal(shown.count, 2);
    assert_int_equal(shown.groups[0].count, 2);
    assert_int_equal(shown.groups[0].first_ms, 100);
    assert_int_equal(shown.groups[0].last_ms, 200);
    assert_string_equal(shown.groups[0].error, "timeout after 22 ms");
    assert_string_equal(shown.groups[0].message_id, "b");
    assert_int_equal(shown.groups[0].attempt, 2);
    assert_string_equal(shown.groups[1].queue, "other");
    assert_int_equal(shown.groups[1].message_id_len, 0);
}

/* The bound holds; who failed longest ago makes room, and that is counted. */
static void the_oldest_makes_room(void **state)
{
    char error[FAILURE_GROUPS + 32];

    (void)state;
    for (int i = 0; i < FAILURE_GROUPS + 5; i++) {
        memset(error, 'e', sizeof error);
        error[i + 1] = '\0';
        add("q", error, NULL, 1000 + i);
    }
    assert_int_equal(failure_groups_read(&groups, show, &shown), 5);
    assert_int_equal(shown.count, FAILURE_GROUPS);
    assert_int_equal(shown.groups[0].last_ms, 1000 + FAILURE_GROUPS + 4);
    assert_int_equal(shown.groups[FAILURE_GROUPS - 1].last_ms, 1005);
}

/* Whatever is missing or far too long. */
static void texts_are_cut(void **state)
{
    char longest[10000];
    struct failure failure = {.queue = "q", .handler = "h", .reason = "crash", .at_ms = 1};

    (void)state;
    failure_groups_add(&groups, &failure);
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    failure.error = failure.backtrace = failure.signal = longest;
    failure.message_id = (struct warren_bytes){longest, sizeof longest};
    failure_groups_add(&groups, &failure);
    failure_groups_add(&groups, &failure);
    failure_groups_read(&groups, show, &shown);
    assert_int_equal(shown.count, 2);
    assert_int_equal(strlen(shown.groups[0].backtrace), FAILURE_BACKTRACE_SIZE - 1);
    assert_int_equal(shown.groups[0].message_id_len, FAILURE_NAME_SIZE - 1);
    assert_int_equal(strlen(shown.groups[0].error), FAILURE_ERROR_SIZE - 1);
}

#define GROUPS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROUPS_TEST(numbers_are_left_out),
        GROUPS_TEST(the_same_error_is_one_group),
        GROUPS_TEST(the_oldest_makes_room),
        GROUPS_TEST(texts_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
