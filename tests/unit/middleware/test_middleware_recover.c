/* test_middleware_recover.c - a panic ends in the chain, from any depth, and leaves it sound.
 * Built without and with optimisation (CMakeLists.txt), for a compiler may keep in registers what
 * a jump does not bring back.
 */
#include <signal.h>

#include "fake_job.h"
#include "middleware/builtin.h"
#include "support/test.h"

#define DEPTH 100

struct guest {
    int calls;
    int depth;
    bool panics;
};

static volatile bool is_burning = true; /* or the compiler would see that no call returns */

/* Not a tail call, and every frame has something of its own. */
static __attribute__((noinline)) int dive(struct warren_job *job, int depth)
{
    volatile char frame[64];

    frame[depth % 64] = (char)depth;
    if (depth == 0 && is_burning)
        warren_panic(job, "card %d is on %s", 42, "fire");
    if (depth == 0)
        return 0;
    return dive(job, depth - 1) + frame[depth % 64];
}

static enum warren_outcome handle(struct warren_job *job, const struct warren_link *next,
                                  void *state)
{
    struct guest *guest = state;

    (void)next;
    guest->calls++;
    if (guest->panics)
        return (enum warren_outcome)dive(job, guest->depth);
    return job->outcome;
}

static void *open_recover(struct warren_subscription_info *info)
{
    return fake_open(&middleware_recover, info, NULL);
}

/* The attempt failed with the panic's text; nothing guards the job any more. */
static void a_panic_is_a_failed_attempt(void **state)
{
    static const int depths[] = {0, 1, DEPTH};
    struct warren_subscription_info info;
    struct guest guest = {.panics = true};
    struct warren_link links[] = {{middleware_recover.call, open_recover(&info), 0},
                                  {handle, &guest, 0}};
    struct fake_log log;

    (void)state;
    fake_log_begin(&log, WARREN_LOG_ERROR);
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        struct warren_job job = {0};

        guest.depth = depths[i];
        assert_int_equal(warren_next(&job, links), WARREN_RETRY);
        assert_string_equal(warren_job_error(&job), "card 42 is on fire");
        assert_null(job.recovery);
        assert_int_equal(guest.calls, i + 1);
    }
    fake_log_end(&log);
    assert_string_equal(log.text, "");
}

/* One line, with all that finds the message. */
static void a_panic_is_logged_once(void **state)
{
    struct warren_subscription_info info;
    struct guest guest = {.panics = true, .depth = DEPTH};
    struct warren_link links[] = {{middleware_recover.call, open_recover(&info), 0},
                                  {handle, &guest, 0}};
    struct warren_job job = {.attempt = 2, .properties = {.message_id = "m-1"}};
    struct fake_log log;

    (void)state;
    fake_log_begin(&log, WARREN_LOG_WARN);
    warren_next(&job, links);
    fake_log_end(&log);
    assert_int_equal(fake_log_lines(&log), 1);
    fake_log_has(&log, "level=warn msg=\"handler panicked\" queue=bills handler=pay.charge "
                       "message_id=m-1 attempt=2 error=\"card 42 is on fire\"");
}

/* Without a panic the outcome passes, unlogged, unlooked at, and unguarded afterwards. */
static void an_outcome_passes(void **state)
{
    struct warren_subscription_info info;
    struct guest guest = {0};
    struct warren_link links[] = {{middleware_recover.call, open_recover(&info), 0},
                                  {handle, &guest, 0}};
    struct fake_log log;

    (void)state;
    fake_log_begin(&log, WARREN_LOG_DEBUG);
    for (int outcome = WARREN_ACK; outcome <= WARREN_REQUEUE; outcome++) {
        struct warren_job job = {.outcome = (enum warren_outcome)outcome};

        assert_int_equal(warren_next(&job, links), outcome);
        assert_null(job.recovery);
        assert_int_equal(job.asked, 0);
    }
    fake_log_end(&log);
    assert_string_equal(log.text, "");
}

/* ---- nested ---- */

/* A middleware between two guards: panics before or after the rest of the chain ran. */
struct between {
    bool before;
    bool after;
    enum warren_outcome seen;
};

static enum warren_outcome stand_between(struct warren_job *job, const struct warren_link *next,
                                         void *state)
{
    struct between *between = state;

    if (between->before)
        dive(job, DEPTH);
    between->seen = warren_next(job, next);
    if (between->after)
        dive(job, DEPTH);
    return between->seen;
}

static enum warren_outcome run_nested(struct warren_job *job, struct guest *guest,
                                      struct between *between)
{
    struct warren_subscription_info info;
    void *state = open_recover(&info);
    struct warren_link links[] = {{middleware_recover.call, state, 0},
                                  {stand_between, between, 0},
                                  {middleware_recover.call, state, 0},
                                  {handle, guest, 0}};
    struct fake_log log;
    enum warren_outcome outcome;

    fake_log_begin(&log, WARREN_LOG_ERROR);
    outcome = warren_next(job, links);
    fake_log_end(&log);
    assert_null(job->recovery);
    return outcome;
}

/* The handler's panic ends at the inner guard: what stands between sees a failed attempt. */
static void the_inner_guard_catches_first(void **state)
{
    struct guest guest = {.panics = true, .depth = DEPTH};
    struct between between = {.seen = WARREN_ACK};
    struct warren_job job = {0};

    (void)state;
    assert_int_equal(run_nested(&job, &guest, &between), WARREN_RETRY);
    assert_int_equal(between.seen, WARREN_RETRY);
    assert_int_equal(guest.calls, 1);
}

/* A panic between the guards ends at the outer one, whether the inner one came to be, went, or
 * caught something. */
static void the_outer_guard_catches_the_rest(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct guest guest = {.panics = i == 2, .depth = DEPTH};
        struct between between = {.before = i == 0, .after = i > 0, .seen = WARREN_REQUEUE};
        struct warren_job job = {0};

        assert_int_equal(run_nested(&job, &guest, &between), WARREN_RETRY);
        assert_int_equal(guest.calls, i == 0 ? 0 : 1);
        assert_int_equal(between.seen, i == 0   ? WARREN_REQUEUE
                                       : i == 1 ? WARREN_ACK
                                                : WARREN_RETRY);
    }
}

/* ---- what the frame of the guard holds ---- */

/* A function as a worker thread has one: what lives in registers around the chain survives. */
static __attribute__((noinline)) uint64_t many(struct warren_job *job, struct warren_link *links,
                                               struct guest *guest, uint64_t a, uint64_t b)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < 1000; i++) {
        guest->panics = i % 3 == 0;
        guest->depth = (int)(i % DEPTH);
        if (warren_next(job, links) == WARREN_RETRY)
            sum += a * i;
        else
            sum += b;
    }
    return sum;
}

static void the_callers_registers_survive(void **state)
{
    struct warren_subscription_info info;
    struct guest guest = {0};
    struct warren_link links[] = {{middleware_recover.call, open_recover(&info), 0},
                                  {handle, &guest, 0}};
    struct warren_job job = {0};
    struct fake_log log;
    uint64_t expected = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        expected += i % 3 == 0 ? 7 * i : 11;
    fake_log_begin(&log, WARREN_LOG_ERROR);
    assert_int_equal(many(&job, links, &guest, 7, 11), expected);
    fake_log_end(&log);
    assert_int_equal(guest.calls, 1000);
    assert_null(job.recovery);
}

static enum warren_outcome block_and_panic(struct warren_job *job, const struct warren_link *next,
                                           void *state)
{
    (void)next;
    pthread_sigmask(SIG_BLOCK, state, NULL);
    warren_panic(job, "with a signal blocked");
}

/* The mask is neither saved nor restored: that would be two system calls a message. */
static void the_signal_mask_is_left_alone(void **state)
{
    struct warren_subscription_info info;
    sigset_t set, now;
    struct warren_link links[] = {{middleware_recover.call, open_recover(&info), 0},
                                  {block_and_panic, &set, 0}};
    struct warren_job job = {0};
    struct fake_log log;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    fake_log_begin(&log, WARREN_LOG_ERROR);
    assert_int_equal(warren_next(&job, links), WARREN_RETRY);
    fake_log_end(&log);
    pthread_sigmask(SIG_UNBLOCK, &set, &now);
    assert_int_equal(sigismember(&now, SIGUSR1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_panic_is_a_failed_attempt),
        cmocka_unit_test(a_panic_is_logged_once),
        cmocka_unit_test(an_outcome_passes),
        cmocka_unit_test(the_inner_guard_catches_first),
        cmocka_unit_test(the_outer_guard_catches_the_rest),
        cmocka_unit_test(the_callers_registers_survive),
        cmocka_unit_test(the_signal_mask_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
