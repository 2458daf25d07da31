/* test_chain.c - the order of links, and answers that are none. */
#include "consume/job/chain.h"
#include "consume/job/job.h"
#include "support/attempt.h"
#include "support/test.h"

#define LINKS_MAX 8

static char trail[64];

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    (void)job;
    strcat(trail, "h");
    return *(enum warren_outcome *)state;
}

static enum warren_outcome pass(struct warren_job *job, const struct warren_link *next, void *state)
{
    enum warren_outcome outcome;

    strcat(trail, state);
    outcome = warren_next(job, next);
    strcat(trail, state);
    return outcome;
}

static enum warren_outcome stop(struct warren_job *job, const struct warren_link *next, void *state)
{
    (void)job;
    (void)next;
    strcat(trail, state);
    return WARREN_REQUEUE;
}

static enum warren_outcome nonsense(struct warren_job *job, const struct warren_link *next,
                                    void *state)
{
    (void)state;
    warren_next(job, next);
    return (enum warren_outcome) - 3;
}

static enum warren_outcome run(const struct warren_link *links, size_t count,
                               enum warren_outcome answer, struct warren_job *job)
{
    struct warren_handler handler = {.name = "h", .handle = handle};
    struct warren_middleware middlewares[LINKS_MAX] = {{0}};
    struct chain_member members[LINKS_MAX];
    enum warren_outcome outcome;
    struct chain chain;

    trail[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        middlewares[i].call = links[i].call;
        members[i] = (struct chain_member){&middlewares[i], links[i].state, false};
    }
    assert_int_equal(chain_init(&chain, members, count, false, &handler, &answer), WARREN_OK);
    outcome = chain_run(&chain, job);
    chain_done(&chain);
    return outcome;
}

static int setup(void **state)
{
    static const struct job_source source = {.queue = "q", .handler = "p.h"};

    struct warren_job *job = job_new(&source);
    const struct warren_bytes none = {"", 0};

    if (job)
        job->attempt = attempt_new(none, none, none, 0);
    *state = job;
    return job && job->attempt ? 0 : -1;
}

static int teardown(void **state)
{
    struct warren_job *job = *state;

    attempt_free(job->attempt);
    job_free(job);
    return 0;
}

/* The first link is the outermost, the handler innermost, and its answer comes back through all. */
static void links_are_called_in_order(void **state)
{
    struct warren_link links[] = {{pass, "1", 0}, {pass, "2", 0}, {pass, "3", 0}};

    assert_int_equal(run(links, 3, WARREN_DISCARD, *state), WARREN_DISCARD);
    assert_string_equal(trail, "123h321");
}

/* Without middlewares there is the handler alone. */
static void the_handler_alone_is_a_chain(void **state)
{
    assert_int_equal(run(NULL, 0, WARREN_ACK, *state), WARREN_ACK);
    assert_string_equal(trail, "h");
}

/* A link that does not go on keeps the handler from running. */
static void a_link_may_stop(void **state)
{
    struct warren_link links[] = {{pass, "1", 0}, {stop, "2", 0}, {pass, "3", 0}};

    assert_int_equal(run(links, 3, WARREN_ACK, *state), WARREN_REQUEUE);
    assert_string_equal(trail, "121");
}

/* A handler that returns no outcome has failed, and the reason says so. */
static void an_unknown_outcome_is_a_failed_attempt(void **state)
{
    struct warren_job *job = *state;

    assert_int_equal(run(NULL, 0, (enum warren_outcome)17, job), WARREN_RETRY);
    assert_string_equal(warren_job_error(job), "the handler returned 17, which is no outcome");
}

/* So has a middleware that returns none. */
static void an_unknown_outcome_of_a_link_too(void **state)
{
    struct warren_link links[] = {{nonsense, NULL, 0}};

    assert_int_equal(run(links, 1, WARREN_ACK, *state), WARREN_RETRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(links_are_called_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(the_handler_alone_is_a_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_may_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_outcome_is_a_failed_attempt, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_outcome_of_a_link_too, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
