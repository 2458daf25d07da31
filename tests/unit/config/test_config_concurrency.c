/* How many messages are handled at once: a number or a range, whatever its source; what differs is
 * told, what is in force is shown, and what is no such thing is refused. */
#include "config_helper.h"

#define JOBS(more) "subscriptions: [{queue: jobs, handler: p.h" more "}]\n"

static void a_range_has_two_ends(void **state)
{
    static const struct {
        const char *yaml, *set;
        int64_t least, most, target_ms;
    } rows[] = {
        {JOBS(""), NULL, 4, 4, 100},
        {JOBS(", concurrency: 8"), NULL, 8, 8, 100},
        {JOBS(", concurrency: 2-32"), NULL, 2, 32, 100},
        {JOBS(", concurrency: 3-3, concurrency_target_wait: 2s"), NULL, 3, 3, 2000},
        {JOBS(""), "consumer.concurrency=1-256", 1, 256, 100},
        {JOBS(", concurrency: 5"), "consumer.concurrency=1-256", 5, 5, 100},
        {"consumer: {concurrency: '6-7', concurrency_target_wait: 1ms}\n" JOBS(""), NULL, 6, 7, 1},
    };

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(rows); i++) {
        struct config *config = helper_config(rows[i].yaml, NULL, rows[i].set);

        assert_int_equal(config->subscriptions[0].concurrency_least, rows[i].least);
        assert_int_equal(config->subscriptions[0].concurrency, rows[i].most);
        assert_int_equal(config->subscriptions[0].concurrency_target_wait_ms, rows[i].target_ms);
        config_free(config);
    }
}

static void what_is_no_range_is_refused(void **state)
{
#define EXPECTED                                                                                   \
    ", expected a whole number or a range, the least first, such as 2-32, from 1 to 256"
    static const struct helper_bad bad[] = {
        {JOBS(", concurrency: 32-2"), "worker.yaml:1:58: concurrency is '32-2'" EXPECTED},
        {JOBS(", concurrency: 0-4"), "concurrency is '0-4'" EXPECTED},
        {JOBS(", concurrency: 2-"), "concurrency is '2-'" EXPECTED},
        {JOBS(", concurrency: -2"), "concurrency is '-2'" EXPECTED},
        {JOBS(", concurrency: '-'"), "concurrency is '-'" EXPECTED},
        {JOBS(", concurrency: 2-257"), "concurrency is '2-257'" EXPECTED},
        {JOBS(", concurrency: 2-99999999999999999999"), EXPECTED},
        {JOBS(", concurrency: 2 - 4"), "concurrency is '2 - 4'" EXPECTED},
        {JOBS(", concurrency: 2-4-6"), "concurrency is '2-4-6'" EXPECTED},
        {JOBS(", concurrency: [2, 4]"), "concurrency is a list" EXPECTED},
        {JOBS(", concurrency: 2-4s"), "concurrency is '2-4s'" EXPECTED},
        {JOBS(", concurrency: ''"), "concurrency is empty" EXPECTED},
        {"consumer: {concurrency: 4-2}\n", "consumer.concurrency is '4-2'" EXPECTED},
        {JOBS(", concurrency_target_wait: 0"), "from 1ms to 1h"},
        {JOBS(", concurrency_target_wait: 2h"), "from 1ms to 1h"},
        {JOBS(", concurrency_target: 1s"), "did you mean 'concurrency_target_wait'?"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
    helper_refused(NULL, "WARREN_CONSUMER_CONCURRENCY=9-8", NULL,
                   "WARREN_CONSUMER_CONCURRENCY: consumer.concurrency is '9-8'");
}

static void what_is_in_force_is_shown(void **state)
{
    struct config *config =
        helper_config("consumer: {concurrency: 3}\n" JOBS(", concurrency: 2-32"), NULL, NULL);
    char text[16384];

    (void)state;
    helper_effective(config, text, sizeof text);
    assert_non_null(strstr(text, "\n  concurrency: 3  # worker.yaml:1:25\n"));
    assert_non_null(strstr(text, "\n    concurrency: 2-32\n"));
    config_free(config);
}

struct told {
    char text[256];
    int times;
};

static void tell(void *user, const char *name, const char *why)
{
    struct told *told = user;

    assert_null(why);
    snprintf(told->text, sizeof told->text, "%s", name);
    told->times++;
}

static void another_range_is_told(void **state)
{
    struct config *before = helper_config(JOBS(", concurrency: 2-32"), NULL, NULL);
    struct config *now = helper_config(JOBS(", concurrency: 4-32"), NULL, NULL);
    struct told told = {"", 0};

    (void)state;
    config_subscription_changes(before->subscriptions, before->subscriptions, tell, &told);
    assert_int_equal(told.times, 0);
    config_subscription_changes(before->subscriptions, now->subscriptions, tell, &told);
    assert_int_equal(told.times, 1);
    assert_string_equal(told.text, "concurrency of jobs: 2-32 > 4-32");
    config_free(before);
    config_free(now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(a_range_has_two_ends),
        HELPER_TEST(what_is_no_range_is_refused),
        HELPER_TEST(what_is_in_force_is_shown),
        HELPER_TEST(another_range_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
