/* test_returned_publish.c - attempts that fail when they are over: who is asked, and what follows.
 */
#include "consume/job/chain.h"
#include "job_rig.h"
#include "support/test.h"

#define LINKS_MAX 2

static char trail[16];

static enum warren_outcome pass(struct warren_job *job, const struct warren_link *next, void *state)
{
    strcat(trail, state);
    return warren_next(job, next);
}

/* One that does not judge failed attempts is not asked. */
static enum warren_outcome never(struct warren_job *job, const struct warren_link *next,
                                 void *state)
{
    (void)job;
    (void)next;
    (void)state;
    abort();
}

/* As retry: it has a delay, or gives up. */
static enum warren_outcome decide(struct warren_job *job, const struct warren_link *next,
                                  void *state)
{
    const enum warren_outcome *outcome = state;

    assert_int_equal(warren_next(job, next), WARREN_RETRY);
    assert_non_null(warren_job_error(job));
    warren_job_retry_after(job, 70);
    return *outcome;
}

static enum warren_outcome run(struct job_rig *rig, const struct warren_link *links, size_t count)
{
    struct warren_middleware judges[LINKS_MAX] = {{0}};
    struct warren_middleware other = {.call = never};
    struct chain_member members[LINKS_MAX + 1] = {{&other, NULL, false}};
    enum warren_outcome outcome;
    struct chain returned;

    trail[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        judges[i] = (struct warren_middleware){.call = links[i].call, .late_failures = true};
        members[i + 1] = (struct chain_member){&judges[i], links[i].state, false};
    }
    rig->attempt->publish_returned = true;
    free(rig->attempt->unpublished);
    rig->attempt->unpublished = strdup("what it published was returned");
    assert_int_equal(returned_publish_init(&returned, members, count + 1), WARREN_OK);
    job_rig_begin(rig);
    outcome = returned_publish_run(&returned, rig->job);
    chain_done(&returned);
    assert_false(rig->attempt->publish_returned);
    assert_string_equal(warren_job_error(rig->job), "what it published was returned");
    return outcome;
}

/* Nobody decides: the next attempt comes a second later, and this one counts. */
static void nobody_decides(void **state)
{
    struct job_rig *rig = *state;
    struct warren_link links[] = {{pass, "1", 0}, {pass, "2", 0}};

    assert_int_equal(run(rig, links, 2), WARREN_RETRY);
    assert_string_equal(trail, "12");
    assert_true(job_end(rig->job, WARREN_RETRY));
    assert_int_equal(rig->attempt->failed, 1);
    assert_int_equal(rig->attempt->retry_at_ms, JOB_RIG_START_MS + RETURNED_PUBLISH_AGAIN_MS);
    assert_int_equal(run(rig, NULL, 0), WARREN_RETRY);
    assert_int_equal(warren_job_retry_delay_ms(rig->job), RETURNED_PUBLISH_AGAIN_MS);
}

/* A link's own delay stays, and so does what it answers. */
static void a_link_decides(void **state)
{
    enum warren_outcome outcome = WARREN_RETRY;
    struct warren_link links[] = {{pass, "1", 0}, {decide, &outcome, 0}};
    struct job_rig *rig = *state;

    assert_int_equal(run(rig, links, 2), WARREN_RETRY);
    assert_int_equal(warren_job_retry_delay_ms(rig->job), 70);
    outcome = WARREN_REJECT;
    assert_int_equal(run(rig, links, 2), WARREN_REJECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(nobody_decides),
        JOB_TEST(a_link_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
