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
        {"consumer: {concurrency: 2-4}\n" JOBS(", concurrency_target_wait: 2s"), NULL, 2, 4, 2000},
        {"consumer: {concurrency: 2-4}\n" JOBS(", concurrency_target_wait: 2s"),
         "consumer.concurrency=1", 1, 1, 2000}, /* this run's, and no mistake of the file */
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
        {JOBS(", concurrency: 8, concurrency_target_wait: 1s"),
         "worker.yaml:1:86: concurrency_target_wait has no effect: concurrency is 8, expected a "
         "range "
         "beside it, such as 2-32"},
        {JOBS(", concurrency_target_wait: 1s"),
         "has no effect: concurrency is 4, expected a range"},
        {"consumer: {concurrency: 6}\n" JOBS(", concurrency_target_wait: 1s"),
         "has no effect: concurrency is 6"},
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
    assert_non_null(strstr(text, "\n    concurrency: 2-32\n    concurrency_target_wait: 100ms\n"));
    config_free(config);
}

/* What has no effect is no part of it, for it would be refused as a file. */
static void what_has_no_effect_is_not_shown(void **state)
{
    struct config *config = helper_config(JOBS(", concurrency: 3"), NULL, NULL);
    char text[16384];

    (void)state;
    helper_effective(config, text, sizeof text);
    assert_non_null(strstr(text, "\n    concurrency: 3\n"));
    assert_null(strstr(text, "\n    concurrency_target_wait"));
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

/* ---- executors ---- */

#define TWO(first, second)                                                                         \
    "executors: {mail: {threads: 8}, heavy: {threads: 2}}\n"                                       \
    "subscriptions:\n"                                                                             \
    "- {queue: a, handler: p.h" first "}\n"                                                        \
    "- {queue: b, handler: p.h" second "}\n"

/* What is not said is what the others leave. */
static void threads_are_shared_out(void **state)
{
    static const struct {
        const char *yaml;
        int64_t shares[2], most[2], workers[2];
    } rows[] = {
        {TWO("", ", executor: mail"), {0, 8}, {4, 8}, {4, 8}},
        {TWO(", executor: mail", ", executor: mail"), {4, 4}, {8, 8}, {8, 8}},
        {TWO(", executor: mail, share: 3", ", executor: mail"), {3, 5}, {8, 8}, {8, 8}},
        {TWO(", executor: mail, share: 6, concurrency: 7", ", executor: mail, concurrency: 1"),
         {6, 1},
         {7, 1},
         {8, 8}},
        {TWO(", executor: heavy", ", executor: mail, share: 8"), {2, 8}, {2, 8}, {2, 8}},
        {TWO(", executor: heavy, share: 1", ", executor: heavy, share: 1"), {1, 1}, {2, 2}, {2, 2}},
    };

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(rows); i++) {
        struct config *config = helper_config(rows[i].yaml, NULL, NULL);

        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(config->subscriptions[k].share, rows[i].shares[k]);
            assert_int_equal(config->subscriptions[k].concurrency, rows[i].most[k]);
            assert_int_equal(config->subscriptions[k].workers, rows[i].workers[k]);
        }
        config_free(config);
    }
}

static void wrong_executors_are_refused(void **state)
{
    static const struct helper_bad bad[] = {
        {TWO(", executor: ''", ""), "executor is empty, expected a name of `executors`"},
        {TWO(", executor: mial", ""),
         "executor is 'mial', which there is not; did you mean 'mail'?"},
        {TWO(", executor: other-one", ""), "which there is not, expected mail, heavy"},
        {JOBS(", executor: x"), "executor is 'x', and the file has none: at its top, such as "
                                "`executors: {x: {threads: 8}}`"},
        {JOBS(", share: 2"), "worker.yaml:1:52: share is of the threads of an executor"},
        {TWO(", executor: mail, share: 5", ", executor: mail, share: 4"),
         "worker.yaml:1:29: executor mail has 8 threads, but the shares of its 2 subscriptions are "
         "9 "
         "together"},
        {TWO(", executor: heavy, share: 2", ", executor: heavy"),
         "executor heavy has 2 threads, but the shares of its 2 subscriptions are 3 together"},
        {TWO(", executor: heavy, share: 3", ""),
         "executor heavy has 2 threads, but the share of its one subscription is 3"},
        {"executors: {x: {threads: 1}}\n" JOBS(", executor: x, share: 2"),
         "executor x has 1 thread, but the share of its one subscription is 2"},
        {"executors: {x: {threads: 1}}\n" JOBS(", executor: x, concurrency: 2"),
         "concurrency is 2, but executor x has 1 thread"},
        {TWO(", executor: mail, share: -1", ""),
         "share is '-1', expected a whole number, from 0 to 256"},
        {TWO(", executor: mail, share: 257", ""), "from 0 to 256"},
        {TWO(", executor: mail, concurrency: 9", ""),
         "concurrency is 9, but executor mail has 8 threads"},
        {TWO(", executor: mail, concurrency_target_wait: 1s", ""),
         "concurrency_target_wait has no effect: executor mail has a number of threads"},
        {TWO(", executor: mail, concurrency: 1-8", ""),
         "concurrency is a range, but the threads are those of executor mail"},
        {"semaphores: {db: 3}\n" TWO(", executor: mail, uses: {db: 1}", ""),
         "uses does not go with an executor: what holds semaphores needs threads of its own"},
        {TWO(", executor: mail, share: 3, concurrency: 2", ""),
         "share is 3, more than concurrency (2)"},
        {"executors: [mail]\n", "executors must be a mapping"},
        {"executors: {mail: 8}\n", "executors.mail must be a mapping"},
        {"executors: {mail: }\n", "'threads' is missing in executors.mail"},
        {"executors: {mail: {threads: 0}}\n",
         "threads is '0', expected a whole number, from 1 to 256"},
        {"executors: {mail: {threads: 2-8}}\n", "threads is '2-8', expected a whole number"},
        {"executors: {mail: {thread: 8}}\n", "did you mean 'threads'?"},
        {"executors: {a b: {threads: 8}}\n",
         "the name of an executor is 'a b', expected 1 to 64 letters"},
        {"executors: {a: {threads: 1}, a: {threads: 2}}\n", "a"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bad);
    helper_refused(NULL, "WARREN_EXECUTORS=x", NULL, "WARREN_EXECUTORS");
}

static void executors_are_shown(void **state)
{
    struct config *config =
        helper_config(TWO(", executor: mail, share: 3", ", executor: mail"), NULL, NULL);
    char text[16384];

    (void)state;
    helper_effective(config, text, sizeof text);
    assert_non_null(
        strstr(text, "\nexecutors:\n  \"mail\": {threads: 8}\n  \"heavy\": {threads: 2}\n"));
    assert_non_null(strstr(text, "\n    executor: \"mail\"\n    share: 3\n"));
    assert_null(strstr(strstr(text, "\nsubscriptions:"), "    concurrency: ")); /* consumer's */
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(a_range_has_two_ends),        HELPER_TEST(what_is_no_range_is_refused),
        HELPER_TEST(what_is_in_force_is_shown),   HELPER_TEST(what_has_no_effect_is_not_shown),
        HELPER_TEST(another_range_is_told),       HELPER_TEST(threads_are_shared_out),
        HELPER_TEST(wrong_executors_are_refused), HELPER_TEST(executors_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
