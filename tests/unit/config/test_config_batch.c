/* test_config_batch.c - `batch:` of a subscription, and what is wrong with one. */
#include "config_helper.h"

/* A subscription with this batch. */
#define BATCH(batch)                                                                               \
    "subscriptions:\n"                                                                             \
    "  - queue: a\n"                                                                               \
    "    handler: p.h\n"                                                                           \
    "    batch: " batch "\n"

static void what_is_written_is_read(void **state)
{
    struct config *config = helper_config(BATCH("{size: 20, wait: 2s, bytes: 64KiB}"), NULL, NULL);
    const struct config_batch *batch = config->subscriptions[0].batch;

    (void)state;
    assert_non_null(batch);
    assert_int_equal(batch->size, 20);
    assert_int_equal(batch->wait_ms, 2000);
    assert_int_equal(batch->bytes, 65536);
    config_free(config);
}

static void an_empty_one_has_the_defaults(void **state)
{
    struct config *config = helper_config(BATCH("{}"), NULL, NULL);
    const struct config_batch *batch = config->subscriptions[0].batch;

    (void)state;
    assert_non_null(batch);
    assert_int_equal(batch->size, 100);
    assert_int_equal(batch->wait_ms, 50);
    assert_int_equal(batch->bytes, 1 << 20);
    config_free(config);
}

static void nothing_is_no_batch(void **state)
{
    struct config *config =
        helper_config("subscriptions: [{queue: a, handler: p.h}]\n", NULL, NULL);

    (void)state;
    assert_null(config->subscriptions[0].batch);
    config_free(config);
}

static void mistakes_name_place_and_cause(void **state)
{
    static const struct helper_bad bads[] = {
        {BATCH(""), "batch is empty, expected a mapping such as"},
        {BATCH("100"), "worker.yaml:4:12: the batch of a subscription must be a mapping"},
        {BATCH("{size: 0}"), "worker.yaml:4:19: size"},
        {BATCH("{size: 1001}"), "size"},
        {BATCH("{size: many}"), "size"},
        {BATCH("{wait: 11m}"), "wait"},
        {BATCH("{bytes: 0}"), "bytes"},
        {BATCH("{sizes: 1}"), "did you mean 'size'?"},
        {BATCH("{size: 200}"),
         "worker.yaml:4:19: size of a batch is 200, above the prefetch (100): "
         "it would never be full"},
        {BATCH("{}") "    prefetch: 10\n",
         "worker.yaml:4:12: size of a batch is 100, above the prefetch (10)"},
        {BATCH("{size: 1000}") "    prefetch: 2000\n    concurrency: 66\n",
         "size of a batch (1000) times concurrency (66) must not exceed 65536"},
        {BATCH("{}") "    fair: {by: routing_key}\n",
         "worker.yaml:4:12: batch and fair do not go together"},
        {BATCH("{}") "    lanes: {slow: b}\n",
         "worker.yaml:4:12: batch and lanes do not go together"},
        {BATCH("{}") "    executor: x\nexecutors: {x: {threads: 2}}\n",
         "worker.yaml:4:12: batch and an executor do not go together"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bads);
}

/* What is in force can be read again. */
static void it_is_shown(void **state)
{
    struct config *config = helper_config(BATCH("{size: 20, wait: 2s}"), NULL, NULL);
    char text[16384];

    (void)state;
    helper_effective(config, text, sizeof text);
    if (!strstr(text, "    batch: {\"size\": 20, \"wait\": 2s}\n"))
        fail_msg("%s", text);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(what_is_written_is_read),
        HELPER_TEST(an_empty_one_has_the_defaults),
        HELPER_TEST(nothing_is_no_batch),
        HELPER_TEST(mistakes_name_place_and_cause),
        HELPER_TEST(it_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
