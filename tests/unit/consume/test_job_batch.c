/* test_job_batch.c - messages that are handled together: the chain of each around one call of the
 * handler, what becomes of each, panics, the parts of a transaction.
 */
#include <pthread.h>

#include <warren/sqlite.h>

#include "base/log.h"
#include "consume/job/chain.h"
#include "consume/job/job_batch.h"
#include "support/attempt.h"
#include "support/fake_clock.h"
#include "support/test.h"

#define MESSAGES 5

struct rig {
    struct clock_fake clock;
    _Atomic int64_t deadline_ms;
    struct job_source source;
    struct warren_job *jobs[MESSAGES];
    struct warren_job *members[MESSAGES];
    struct attempt *attempts[MESSAGES];
    struct chain chain;
    struct warren_batch batch;
    char trail[512];
};

static struct rig *rig;
/* What the handler does. */
static enum warren_outcome (*act)(struct warren_batch *batch);

static char name_of(const struct warren_job *job)
{
    for (int i = 0; i < MESSAGES; i++)
        if (rig->jobs[i] == job)
            return (char)('1' + i);
    return '?';
}

static void note(const char *format, char name)
{
    size_t len = strlen(rig->trail);

    snprintf(rig->trail + len, sizeof rig->trail - len, format, name);
}

static enum warren_outcome handle_batch(struct warren_batch *batch, void *state)
{
    assert_string_equal(state, "state");
    note("%c", '[');
    for (size_t i = 0; i < warren_batch_count(batch); i++)
        note("%c", name_of(warren_batch_job(batch, i)));
    note("%c", ']');
    return act(batch);
}

/* Notes that it begins, and with which outcome it ends. */
static enum warren_outcome around(struct warren_job *job, const struct warren_link *next,
                                  void *state)
{
    enum warren_outcome outcome;

    (void)state;
    note("%c(", name_of(job));
    outcome = warren_next(job, next);
    note(")%c", warren_outcome_name(outcome)[2]); /* ack, retry, reject, discard, requeue: ktjsq */
    return outcome;
}

/* Turns the messages away whose names are in @state. */
static enum warren_outcome turn_away(struct warren_job *job, const struct warren_link *next,
                                     void *state)
{
    return strchr(state, name_of(job)) ? WARREN_REJECT : warren_next(job, next);
}

static enum warren_outcome recover(struct warren_job *job, const struct warren_link *next,
                                   void *state)
{
    struct warren_recovery recovery;

    (void)state;
    warren_job_guard(job, &recovery);
    if (setjmp(recovery.at) != 0) {
        note("!%c", name_of(job));
        return WARREN_RETRY;
    }
    return warren_next(job, next);
}

static const struct warren_middleware noting = {.call = around};
static const struct warren_middleware turning = {.call = turn_away};
static const struct warren_middleware recovering = {.call = recover};

static void set_chain(const struct chain_member *members, size_t count)
{
    static const struct warren_handler handler = {.name = "h", .handle_batch = handle_batch};

    chain_done(&rig->chain);
    assert_int_equal(chain_init(&rig->chain, members, count, false, &handler, "state"), WARREN_OK);
}

/* The usual one. */
static void set_usual_chain(void)
{
    const struct chain_member members[] = {{&noting, NULL, false}, {&recovering, NULL, false}};

    set_chain(members, 2);
}

static int setup(void **state)
{
    struct warren_bytes none = {"", 0};

    (void)state;
    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    rig = calloc(1, sizeof *rig);
    clock_fake_init(&rig->clock, 5000);
    atomic_store(&rig->deadline_ms, INT64_MAX);
    rig->source = (struct job_source){.queue = "q",
                                      .handler = "p.h",
                                      .clock = &rig->clock.clock,
                                      .deadline_ms = &rig->deadline_ms};
    for (int i = 0; i < MESSAGES; i++) {
        rig->jobs[i] = job_new(&rig->source);
        rig->attempts[i] = attempt_new(none, none, none, 0);
        job_begin(rig->jobs[i], rig->attempts[i], 5000000000);
        rig->jobs[i]->batch = &rig->batch;
    }
    rig->batch = (struct warren_batch){
        .chain = &rig->chain, .jobs = rig->jobs, .planned = MESSAGES, .members = rig->members};
    set_usual_chain();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    chain_done(&rig->chain);
    for (int i = 0; i < MESSAGES; i++) {
        job_free(rig->jobs[i]);
        attempt_free(rig->attempts[i]);
    }
    free(rig);
    return 0;
}

static void expect(const char *trail, const char *answers)
{
    assert_string_equal(rig->trail, trail);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(warren_outcome_name(rig->jobs[i]->answer)[2], answers[i]);
}

/* ---- outcomes ---- */

static enum warren_outcome discard(struct warren_batch *batch)
{
    (void)batch;
    return WARREN_DISCARD;
}

/* One inside of the other, all see what the handler answers for all. */
static void the_chain_of_each_is_around_the_handler(void **state)
{
    (void)state;
    act = discard;
    job_batch_run(&rig->batch);
    expect("1(2(3(4(5([12345])s)s)s)s)s", "sssss");
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(warren_job_batched(rig->jobs[i]), MESSAGES);
}

static enum warren_outcome some_fail(struct warren_batch *batch)
{
    assert_int_equal(warren_batch_set(batch, 1, WARREN_REJECT), WARREN_OK);
    assert_int_equal(warren_batch_set(batch, 3, WARREN_REJECT), WARREN_OK);
    assert_int_equal(warren_batch_set(batch, 3, WARREN_RETRY), WARREN_OK);
    assert_int_equal(warren_batch_set(batch, 5, WARREN_ACK), WARREN_EINVAL);
    assert_int_equal(warren_batch_set(batch, 0, (enum warren_outcome)17), WARREN_EINVAL);
    assert_null(warren_batch_job(batch, 5));
    warren_job_fail(warren_batch_job(batch, 3), "no row");
    return WARREN_ACK;
}

static void some_have_outcomes_of_their_own(void **state)
{
    (void)state;
    act = some_fail;
    job_batch_run(&rig->batch);
    expect("1(2(3(4(5([12345])k)t)k)j)k", "kjktk");
    assert_string_equal(warren_job_error(rig->jobs[3]), "no row");
    assert_null(warren_job_error(rig->jobs[1]));
}

static enum warren_outcome nonsense(struct warren_batch *batch)
{
    warren_batch_set(batch, 0, WARREN_ACK);
    return (enum warren_outcome)99;
}

static void an_answer_that_is_none_is_a_failure(void **state)
{
    (void)state;
    act = nonsense;
    job_batch_run(&rig->batch);
    expect("1(2(3(4(5([12345])t)t)t)t)k", "ktttt");
    assert_non_null(strstr(warren_job_error(rig->jobs[4]), "99, which is no outcome"));
    assert_null(warren_job_error(rig->jobs[0]));
}

/* Whoever is turned away takes no part; who comes behind it goes on in its place. */
static void some_never_come_to_the_handler(void **state)
{
    static const struct {
        char names[8];
        const char *trail;
        const char *answers;
    } rows[] = {{"1", "1()j2(3(4(5([2345])k)k)k)k", "jkkkk"},
                {"35", "1(2(3()j4(5()j[124])k)k)k", "kkjkj"},
                {"2345", "1(2()j3()j4()j5()j[1])k", "kjjjj"},
                {"12345", "1()j2()j3()j4()j5()j", "jjjjj"}};

    (void)state;
    act = some_fail;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct chain_member members[] = {{&noting, NULL, false},
                                               {&turning, (void *)(uintptr_t)rows[i].names, false}};
        void *again = NULL;

        if (i > 0) {
            teardown(NULL);
            setup(&again);
        }
        act = discard;
        set_chain(members, 2);
        job_batch_run(&rig->batch);
        for (char *at = rig->trail; *at; at++)
            *at = *at == 's' ? 'k' : *at;
        assert_string_equal(rig->trail, rows[i].trail);
        for (int k = 0; k < MESSAGES; k++)
            assert_int_equal(rig->jobs[k]->answer,
                             rows[i].answers[k] == 'j' ? WARREN_REJECT : WARREN_DISCARD);
    }
}

/* A handler of batches that gets one message at a time. */
static void one_by_itself_is_a_batch(void **state)
{
    (void)state;
    act = discard;
    rig->jobs[0]->batch = NULL;
    assert_int_equal(chain_run(&rig->chain, rig->jobs[0]), WARREN_DISCARD);
    assert_string_equal(rig->trail, "1([1])s");
    assert_int_equal(warren_job_batched(rig->jobs[0]), 0);
    assert_null(rig->jobs[0]->batch);
}

/* ---- time ---- */

static enum warren_outcome ask_the_time(struct warren_batch *batch)
{
    assert_int_equal(warren_batch_time_left_ms(batch), INT64_MAX);
    assert_false(warren_batch_cancelled(batch));
    warren_job_limit(warren_batch_job(batch, 2), 5700);
    warren_job_limit(warren_batch_job(batch, 4), 5300);
    assert_int_equal(warren_batch_time_left_ms(batch), 300);
    clock_fake_advance_ms(&rig->clock, 300);
    assert_true(warren_batch_cancelled(batch));
    assert_false(warren_job_cancelled(warren_batch_job(batch, 2)));
    return WARREN_ACK;
}

static void the_time_is_that_of_the_first_that_ends(void **state)
{
    (void)state;
    act = ask_the_time;
    job_batch_run(&rig->batch);
    assert_int_equal(rig->jobs[4]->answer, WARREN_ACK);
}

/* ---- panic ---- */

static enum warren_outcome panic_with_the_third(struct warren_batch *batch)
{
    warren_batch_set(batch, 0, WARREN_ACK);
    warren_batch_set(batch, 2, WARREN_ACK);
    warren_panic(warren_batch_job(batch, 2), "%s", "too much");
}

/* The one has failed; of whom nothing was said is attempted again, for no fault of its own. All
 * chains go on as always, and recover has nothing to do. */
static void a_panic_is_one_messages(void **state)
{
    (void)state;
    act = panic_with_the_third;
    job_batch_run(&rig->batch);
    expect("1(2(3(4(5([12345])t)t)t)t)k", "ktttt");
    assert_string_equal(warren_job_error(rig->jobs[2]), "too much");
    assert_false(warren_job_forgiven(rig->jobs[2]));
    assert_int_equal(warren_job_retry_delay_ms(rig->jobs[2]), -1);
    for (int i = 1; i < MESSAGES; i += 2) {
        assert_true(warren_job_forgiven(rig->jobs[i]));
        assert_int_equal(warren_job_retry_delay_ms(rig->jobs[i]), BATCH_AGAIN_MS);
    }
}

static enum warren_outcome panic_early(struct warren_job *job, const struct warren_link *next,
                                       void *state)
{
    (void)next;
    (void)state;
    if (name_of(job) == '2')
        warren_panic(job, "before the handler");
    return warren_next(job, next);
}

/* In a middleware, before the handler: that message's own recover takes it, and the others go on.
 */
static void a_middleware_may_panic(void **state)
{
    static const struct warren_middleware panicking = {.call = panic_early};
    const struct chain_member members[] = {
        {&noting, NULL, false}, {&recovering, NULL, false}, {&panicking, NULL, false}};

    (void)state;
    act = discard;
    set_chain(members, 3);
    job_batch_run(&rig->batch);
    expect("1(2(!2)t3(4(5([1345])s)s)s)s", "stsss");
}

/* ---- much on the stack ---- */

static enum warren_outcome fill(struct warren_job *job, const struct warren_link *next, void *state)
{
    volatile char much[1 << 20];

    (void)state;
    much[0] = name_of(job);
    return much[0] ? warren_next(job, next) : WARREN_RETRY;
}

static void *run_batch(void *batch)
{
    job_batch_run(batch);
    return NULL;
}

/* What has no room on the stack, here of 8 MiB, is left for another call of the handler. */
static void large_frames_make_smaller_batches(void **state)
{
    static const struct warren_middleware filling = {.call = fill};
    struct chain_member members[3];
    pthread_attr_t attributes;
    pthread_t thread;

    (void)state;
    for (int i = 0; i < 3; i++)
        members[i] = (struct chain_member){&filling, NULL, false};
    act = discard;
    set_chain(members, 3);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 8 << 20);
    assert_int_equal(pthread_create(&thread, &attributes, run_batch, &rig->batch), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(rig->jobs[i]->answer, WARREN_DISCARD);
        assert_int_equal(strchr(rig->trail, '1' + i) != NULL, 1);
        assert_ptr_equal(strchr(rig->trail, '1' + i), strrchr(rig->trail, '1' + i));
    }
    assert_true(warren_job_batched(rig->jobs[0]) < MESSAGES);
}

/* ---- the parts of a transaction ---- */

static struct sqlite3 *give(struct warren_job *job, void *user)
{
    note("+%c", name_of(job));
    return user;
}

static enum warren_outcome leave(struct warren_job *job, enum warren_outcome outcome, bool more,
                                 void *user)
{
    (void)user;
    note(more ? "-%c" : "=%c", name_of(job));
    note("%c", warren_outcome_name(outcome)[2]);
    return name_of(job) == '4' && outcome == WARREN_ACK ? WARREN_RETRY : outcome;
}

static void make_transactional(void)
{
    for (int i = 0; i < MESSAGES; i++)
        job_on_transaction(rig->jobs[i], give, leave, rig);
}

static enum warren_outcome write_all(struct warren_batch *batch)
{
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(warren_job_sqlite(warren_batch_job(batch, i)), rig);
        assert_ptr_equal(warren_job_sqlite(warren_batch_job(batch, i)), rig);
        if (i == 1)
            warren_batch_set(batch, i, WARREN_REJECT);
    }
    assert_null(warren_job_sqlite(warren_batch_job(batch, 0)));
    assert_non_null(strstr(warren_job_error(warren_batch_job(batch, 0)), "has ended"));
    assert_int_equal(warren_batch_set(batch, 0, WARREN_RETRY), WARREN_ECLOSED);
    return WARREN_ACK;
}

/* Each has its part, from its first call until that of the next one; the last one's ends with the
 * handler. A part that could not be kept is a failure of its message alone. */
static void each_has_its_part(void **state)
{
    (void)state;
    act = write_all;
    make_transactional();
    job_batch_run(&rig->batch);
    expect("1(2(3(4(5([12345]+1+1-1k+2+2-2j+3+3-3k+4+4=4k)k)t)k)j)k", "kjktk");
}

static enum warren_outcome write_and_panic(struct warren_batch *batch)
{
    warren_job_sqlite(warren_batch_job(batch, 0));
    warren_job_sqlite(warren_batch_job(batch, 1));
    warren_panic(warren_batch_job(batch, 1), "no");
}

static void a_panic_ends_the_part(void **state)
{
    (void)state;
    act = write_and_panic;
    make_transactional();
    job_batch_run(&rig->batch);
    expect("1(2(3(4(5([12345]+1-1k+2=2t)t)t)t)t)k", "ktttt");
}

static enum warren_outcome ask_early(struct warren_job *job, const struct warren_link *next,
                                     void *state)
{
    (void)state;
    assert_null(warren_job_sqlite(job));
    assert_non_null(strstr(warren_job_error(job), "the handler's alone"));
    return warren_next(job, next);
}

static void a_middleware_has_no_part(void **state)
{
    static const struct warren_middleware asking = {.call = ask_early};
    const struct chain_member members[] = {{&asking, NULL, false}};

    (void)state;
    act = discard;
    set_chain(members, 1);
    make_transactional();
    job_batch_run(&rig->batch);
    expect("[12345]", "sssss");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_chain_of_each_is_around_the_handler),
        TEST(some_have_outcomes_of_their_own),
        TEST(an_answer_that_is_none_is_a_failure),
        TEST(some_never_come_to_the_handler),
        TEST(one_by_itself_is_a_batch),
        TEST(the_time_is_that_of_the_first_that_ends),
        TEST(a_panic_is_one_messages),
        TEST(a_middleware_may_panic),
        TEST(large_frames_make_smaller_batches),
        TEST(each_has_its_part),
        TEST(a_panic_ends_the_part),
        TEST(a_middleware_has_no_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
