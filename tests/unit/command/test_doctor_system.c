/* test_doctor_system.c - what `warren doctor` makes of clock, limits and memory. */
#include <errno.h>

#include "doctor_rig.h"

#define MIB ((uint64_t)1 << 20)

/* All is well. */
static struct system_facts well(void)
{
    return (struct system_facts){.wall_s = 1800000000,
                                 .clock_synchronised = true,
                                 .clock_off_us = 2000,
                                 .descriptors = 65536,
                                 .descriptors_hard = 1048576,
                                 .stack = 8 * MIB,
                                 .processes = 10000,
                                 .tasks = NO_LIMIT,
                                 .memory = 1024 * MIB,
                                 .file_size = NO_LIMIT,
                                 .need_descriptors = 400,
                                 .need_threads = 20,
                                 .need_memory = 352 * MIB,
                                 .need_file_size = 1024 * MIB};
}

static void nothing_is_wrong(void **state)
{
    struct system_facts facts = well();

    (void)state;
    judge_clock(&found, &facts);
    expect(FINDING_OK, "clock", "off by 2 ms");
    judge_descriptors(&found, &facts);
    expect(FINDING_OK, "descriptors", "65536");
    judge_stack(&found, &facts);
    expect(FINDING_OK, "stack", "8192 KiB");
    judge_threads(&found, &facts);
    expect(FINDING_OK, "threads", "up to 20 threads");
    judge_memory(&found, &facts);
    expect(FINDING_OK, "memory", "1024 MiB");
    judge_file_size(&found, &facts);
    expect(FINDING_OK, "file-size", "any size");
}

static void clocks(void **state)
{
    struct system_facts facts = well();

    (void)state;
    facts.clock_off_us = 1500000;
    judge_clock(&found, &facts);
    expect(FINDING_WARN, "clock", "off by 1500 ms");
    facts.clock_synchronised = false;
    judge_clock(&found, &facts);
    expect(FINDING_WARN, "clock", "not synchronised");
    facts.clock_error = EPERM;
    judge_clock(&found, &facts);
    expect(FINDING_OK, "clock", "Operation not permitted");
    facts.wall_s = 1000;
    judge_clock(&found, &facts);
    expect(FINDING_FAIL, "clock", "before 2024");
}

static void limits(void **state)
{
    struct system_facts facts = well();

    (void)state;
    facts.descriptors = 799;
    judge_descriptors(&found, &facts);
    expect(FINDING_WARN, "descriptors", "LimitNOFILE=");
    facts.descriptors = 399;
    judge_descriptors(&found, &facts);
    expect(FINDING_FAIL, "descriptors", "may open 399 files (hard limit: 1048576)");
    facts.stack = MIB / 2;
    judge_stack(&found, &facts);
    expect(FINDING_WARN, "stack", "only 512 KiB");
    facts.stack = MIB / 16;
    judge_stack(&found, &facts);
    expect(FINDING_FAIL, "stack", "only 64 KiB");
    facts.stack = NO_LIMIT;
    judge_stack(&found, &facts);
    expect(FINDING_OK, "stack", "usual stack");
    facts.tasks = 39;
    judge_threads(&found, &facts);
    expect(FINDING_WARN, "threads", "TasksMax=");
    facts.tasks = 19;
    judge_threads(&found, &facts);
    expect(FINDING_FAIL, "threads", "the control group has room for 19");
    facts.tasks = NO_LIMIT;
    facts.processes = 19;
    judge_threads(&found, &facts);
    expect(FINDING_FAIL, "threads", "the user has room for 19");
}

static void sizes(void **state)
{
    struct system_facts facts = well();

    (void)state;
    facts.memory = 351 * MIB;
    judge_memory(&found, &facts);
    expect(FINDING_WARN, "memory", "allow the worker 352 MiB");
    facts.need_memory = 0;
    judge_memory(&found, &facts);
    expect(FINDING_OK, "memory", "351 MiB");
    facts.file_size = 1023 * MIB;
    judge_file_size(&found, &facts);
    expect(FINDING_WARN, "file-size", "spool.max_bytes is 1024 MiB");
    facts.file_size = MIB;
    judge_file_size(&found, &facts);
    expect(FINDING_FAIL, "file-size", "only 1024 KiB");
}

/* What the configuration needs is counted; what this process has is found. */
static void facts_are_gathered(void **state)
{
    struct config *config =
        helper_config("admin: {listen: '127.0.0.1:0'}\n"
                      "consumer: {memory_max: 100MiB, message_max: 1MiB, concurrency: 7}\n"
                      "spool: {path: s.db, max_bytes: 20MiB}\n"
                      "subscriptions:\n"
                      "- {queue: a, handler: p.h}\n"
                      "- {queue: b, handler: p.h, concurrency: 3}\n",
                      NULL, NULL);
    struct system_facts facts = system_gather(config);

    (void)state;
    assert_true(facts.wall_s > 1700000000);
    assert_true(facts.descriptors > 0 && facts.descriptors <= facts.descriptors_hard);
    assert_true(facts.memory > 0 && facts.memory != NO_LIMIT);
    assert_int_equal(facts.need_threads, 8 + 10);
    assert_int_equal(facts.need_descriptors, 48 + 10 + 256 + 8);
    assert_int_equal(facts.need_memory, (32 + 100 + 64) * MIB);
    assert_int_equal(facts.need_file_size, 20 * MIB);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(nothing_is_wrong),   RIG_TEST(clocks), RIG_TEST(limits), RIG_TEST(sizes),
        RIG_TEST(facts_are_gathered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
