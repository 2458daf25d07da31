/* test_dlq_losses.c - what `warren dlq` stands on goes away while it runs: its connections, a
 * queue, the target. Each message is then in at least one of the two queues, and it is said what
 * happened.
 */
#include "dlq_fixture.h"
#include "support/proc.h"
#include "support/test.h"

#define MESSAGES 200
#define WINDOW   10

/* A slow replay that has begun. */
static struct proc *begin(struct fixture *f)
{
    struct proc *proc;

    peer_publish_many(f->peer, f->dlq, "m", MESSAGES);
    proc = warren_start(
        (const char *const[]){"dlq", "replay", f->queue, "--rate", "50", "--window", "10", NULL},
        NULL);
    assert_true(WAIT_FOR(lines_in(proc_stderr(proc)) >= 5, 10000 * slowness()));
    return proc;
}

/* How many messages are in both queues; fails the test if one is in neither. */
static unsigned count_both(struct fixture *f)
{
    unsigned here[MESSAGES] = {0}, there[MESSAGES] = {0};
    struct letter_census dead = {.prefix = "m", .count = MESSAGES, .copies = here};
    struct letter_census back = {.prefix = "m", .count = MESSAGES, .copies = there};
    unsigned both = 0;

    WAIT_FOR(peer_count(f->peer, f->dlq) + peer_count(f->peer, f->queue) >= MESSAGES, 10000);
    letter_census(f->peer, f->dlq, &dead);
    letter_census(f->peer, f->queue, &back);
    assert_int_equal(dead.unexpected + back.unexpected, 0);
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (here[i] + there[i] == 0)
            fail_msg("message m-%u is in neither queue", i);
        both += here[i] > 0 && there[i] > 0;
    }
    return both;
}

/* An operator closes its connections: an error, and at most the window is in both queues. */
static void its_connections_are_closed(void **state)
{
    struct fixture *f = *state;
    struct proc *proc = begin(f);

    assert_true(broker_close_connections(f->broker, "warren dlq") > 0);
    assert_int_equal(proc_wait(proc, 20000 * slowness()), 1);
    assert_has(proc_stderr(proc), "error: ");
    assert_in_range(count_both(f), 0, WINDOW);
    proc_free(proc);
}

/* The target is deleted: what is returned stays, and is told once; what was there is gone with it.
 */
static void its_target_is_deleted(void **state)
{
    struct fixture *f = *state;
    struct proc *proc = begin(f);
    char *stays = text("stays in '%s': returned", f->dlq);
    const char *found;
    int replayed;

    peer_delete_alone(f->peer, f->queue);
    assert_int_equal(proc_wait(proc, 60000 * slowness()), 1);
    assert_has(proc_stderr(proc), stays);
    found = strstr(proc_stdout(proc), ", replayed ");
    assert_non_null(found);
    replayed = atoi(found + strlen(", replayed "));
    assert_in_range(replayed, 5, MESSAGES - 1);
    expect_count(f, f->dlq, MESSAGES - replayed);
    peer_declare(f->peer, f->queue, "classic");
    proc_free(proc);
    free(stays);
}

/* ---- one of three queues ---- */

#define TRIES 20

struct three {
    char *queues[3];
    char *dlqs[3];
};

/* Two dead letters in each. The one in the middle has a single active consumer, and it is not us:
 * so its listing waits for a while.
 */
static void declare_three(struct fixture *f, struct three *three)
{
    const amqp_table_entry_t single = {
        .key = amqp_cstring_bytes("x-single-active-consumer"),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = true}}};

    for (int i = 0; i < 3; i++) {
        three->queues[i] = text("%s-%d", f->queue, i);
        three->dlqs[i] = text("%s.dlq", three->queues[i]);
        peer_declare_with(f->peer, three->dlqs[i], "classic", &single, i == 1);
        peer_publish_many(f->peer, three->dlqs[i], "m", 2);
    }
}

static void delete_three(struct fixture *f, struct three *three)
{
    for (int i = 0; i < 3; i++) {
        peer_delete(f->peer, three->queues[i]);
        free(three->queues[i]);
        free(three->dlqs[i]);
    }
}

/* Lists all three, and deletes the one in the middle meanwhile. @return NULL: that came too late */
static struct proc *list_and_delete(struct fixture *f, const struct three *three)
{
    struct peer *other = peer_new(f->broker->uri);
    struct proc *proc;
    int status;

    peer_hold(other, three->dlqs[1], false);
    proc = warren_start((const char *const[]){"dlq", "list", three->queues[0], three->queues[1],
                                              three->queues[2], "--json", NULL},
                        NULL);
    assert_true(
        WAIT_FOR(peer_consumers(f->peer, three->dlqs[1]) == 2 || proc_wait(proc, 0) != PROC_RUNNING,
                 20000 * slowness()));
    peer_delete_alone(f->peer, three->dlqs[1]);
    peer_free(other);
    status = proc_wait(proc, 20000 * slowness());
    if (status == 1)
        return proc;
    assert_int_equal(status, 0);
    proc_free(proc);
    return NULL;
}

/* A queue that vanishes while it is being listed costs one line and the exit status; those before
 * and behind it are listed.
 */
static void one_of_three_vanishes(void **state)
{
    struct fixture *f = *state;
    struct proc *proc = NULL;
    struct three three;
    char *line;

    for (int i = 0; i < TRIES && !proc; i++) {
        if (i > 0)
            delete_three(f, &three);
        declare_three(f, &three);
        proc = list_and_delete(f, &three);
    }
    assert_non_null(proc);
    line = text("warren dlq list: error: queue '%s': the broker cancelled the subscription: its "
                "queue was deleted, or moved\n",
                three.dlqs[1]);
    assert_string_equal(proc_stderr(proc), line);
    assert_has(proc_stdout(proc), three.dlqs[0]);
    assert_null(strstr(proc_stdout(proc), three.dlqs[1]));
    assert_has(proc_stdout(proc), three.dlqs[2]);
    assert_int_equal(lines_in(proc_stdout(proc)), 1);
    expect_count(f, three.dlqs[0], 2);
    expect_count(f, three.dlqs[2], 2);
    delete_three(f, &three);
    proc_free(proc);
    free(line);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(its_connections_are_closed),
        TEST(its_target_is_deleted),
        TEST(one_of_three_vanishes),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
