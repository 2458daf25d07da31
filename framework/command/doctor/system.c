/* system.c - the clock, and what this process may take of the machine: see
 * judge.h. Elsewhere: the facts (system_facts.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/doctor/doctor.h"
#include "command/doctor/judge.h"

#define MIB ((uint64_t)1 << 20)

/* 2024-01-01: a clock before that was never set. */
#define LONG_AGO_S INT64_C(1704067200)
/* What a synchronised clock may be off, by the kernel's estimate, before it is worth a word. */
#define CLOCK_OFF_US 1000000

#define STACK_LEAST (128 << 10)
#define STACK_SMALL (1 << 20)

static const char limit_advice[] =
    "raise it where the worker is started: %s in its systemd unit, or ulimit";

/* ---- what they mean ---- */

void judge_clock(struct findings *findings, const struct system_facts *facts)
{
    static const char advice[] = "run chrony, systemd-timesyncd or ntpd on the host: times of dead "
                                 "letters and logs, max_age, and TLS go by this clock";

    if (facts->wall_s < LONG_AGO_S)
        findings_fail(findings, "clock", "set the clock: certificates will not be believed",
                      "the clock stands before 2024");
    else if (facts->clock_error)
        findings_ok(findings, "clock",
                    "set; whether it is synchronised the kernel does not tell here "
                    "(%s)",
                    strerrordesc_np(facts->clock_error));
    else if (!facts->clock_synchronised)
        findings_warn(findings, "clock", advice,
                      "the kernel says that the clock is not synchronised");
    else if (facts->clock_off_us > CLOCK_OFF_US)
        findings_warn(findings, "clock", advice, "the clock may be off by %" PRId64 " ms",
                      facts->clock_off_us / 1000);
    else
        findings_ok(findings, "clock", "synchronised, off by %" PRId64 " ms at the most",
                    facts->clock_off_us / 1000);
}

/* "1024", "no limit" */
static const char *number(uint64_t value, char text[32])
{
    if (value == NO_LIMIT)
        snprintf(text, 32, "no limit");
    else
        snprintf(text, 32, "%" PRIu64, value);
    return text;
}

static const char *bytes(uint64_t value, char text[32])
{
    if (value == NO_LIMIT)
        snprintf(text, 32, "no limit");
    else if (value >= 10 * MIB)
        snprintf(text, 32, "%" PRIu64 " MiB", value / MIB);
    else
        snprintf(text, 32, "%" PRIu64 " KiB", value >> 10);
    return text;
}

void judge_descriptors(struct findings *findings, const struct system_facts *facts)
{
    uint64_t need = facts->need_descriptors;
    char soft[32];
    char hard[32];
    char advice[128];

    number(facts->descriptors, soft);
    number(facts->descriptors_hard, hard);
    snprintf(advice, sizeof advice, limit_advice, "LimitNOFILE=");
    if (facts->descriptors < need)
        findings_fail(findings, "descriptors", advice,
                      "a process may open %s files (hard limit: %s), and the worker needs up to "
                      "%" PRIu64 " besides what its handlers open",
                      soft, hard, need);
    else if (facts->descriptors < 2 * need)
        findings_warn(findings, "descriptors", advice,
                      "a process may open %s files (hard limit: %s); the worker needs up to "
                      "%" PRIu64 ", which leaves few to its handlers",
                      soft, hard, need);
    else
        findings_ok(findings, "descriptors",
                    "a process may open %s files; the worker needs up to %" PRIu64
                    " besides what its handlers open",
                    soft, need);
}

void judge_stack(struct findings *findings, const struct system_facts *facts)
{
    char text[32];
    char advice[128];

    bytes(facts->stack, text);
    snprintf(advice, sizeof advice, limit_advice, "LimitSTACK=");
    if (facts->stack < STACK_LEAST)
        findings_fail(findings, "stack", advice, "a thread has a stack of only %s", text);
    else if (facts->stack < STACK_SMALL)
        findings_warn(
            findings, "stack", advice,
            "a thread has a stack of only %s: a handler with large local variables crashes", text);
    else if (facts->stack == NO_LIMIT)
        findings_ok(findings, "stack", "a thread has the usual stack of the C library");
    else
        findings_ok(findings, "stack", "a thread has a stack of %s", text);
}

void judge_threads(struct findings *findings, const struct system_facts *facts)
{
    uint64_t need = facts->need_threads;
    char processes[32];
    char tasks[32];
    bool few = facts->tasks < need;

    number(facts->processes, processes);
    number(facts->tasks, tasks);
    if (few || facts->processes < need)
        findings_fail(findings, "threads",
                      few ? "raise TasksMax= of the systemd unit, or pids of the container"
                          : "raise LimitNPROC= of the systemd unit, or ulimit -u",
                      "the worker needs up to %" PRIu64 " threads, and the %s has room for %s",
                      need, few ? "control group" : "user", few ? tasks : processes);
    else if (facts->tasks < 2 * need)
        findings_warn(
            findings, "threads", "raise TasksMax= of the systemd unit, or pids of the container",
            "the worker needs up to %" PRIu64 " threads, and its control group has room for "
            "%s: few are left to what handlers start",
            need, tasks);
    else
        findings_ok(findings, "threads",
                    "the worker needs up to %" PRIu64
                    " threads (limit of the user: %s, room in the "
                    "control group: %s)",
                    need, processes, tasks);
}

void judge_memory(struct findings *findings, const struct system_facts *facts)
{
    char has[32];
    char needs[32];

    bytes(facts->memory, has);
    bytes(facts->need_memory, needs);
    if (facts->need_memory > facts->memory)
        findings_warn(
            findings, "memory",
            "lower consumer.memory_max or publisher.window_bytes, or give it more",
            "the bounds of the configuration allow the worker %s besides its handlers, and "
            "there are %s: the kernel may kill it",
            needs, has);
    else if (facts->need_memory > 0)
        findings_ok(findings, "memory", "%s; the bounds of the configuration allow the worker %s",
                    has, needs);
    else
        findings_ok(findings, "memory", "%s", has);
}

void judge_file_size(struct findings *findings, const struct system_facts *facts)
{
    char limit[32];
    char needs[32];
    char advice[128];

    bytes(facts->file_size, limit);
    bytes(facts->need_file_size, needs);
    snprintf(advice, sizeof advice, limit_advice, "LimitFSIZE=");
    if (facts->file_size < PLACE_LEAST)
        findings_fail(findings, "file-size", advice, "a file may have only %s", limit);
    else if (facts->file_size < facts->need_file_size)
        findings_warn(findings, "file-size", advice,
                      "a file may have %s, and spool.max_bytes is %s", limit, needs);
    else
        findings_ok(findings, "file-size", "a file may have %s",
                    facts->file_size == NO_LIMIT ? "any size" : limit);
}

/* ---- the checks ---- */

#define SYSTEM_CHECK(subject)                                                                      \
    void check_##subject(struct doctor *doctor)                                                    \
    {                                                                                              \
        struct system_facts facts = system_gather(doctor->config);                                 \
                                                                                                   \
        judge_##subject(&doctor->findings, &facts);                                                \
    }

SYSTEM_CHECK(clock)
SYSTEM_CHECK(descriptors)
SYSTEM_CHECK(stack)
SYSTEM_CHECK(threads)
SYSTEM_CHECK(memory)
SYSTEM_CHECK(file_size)
