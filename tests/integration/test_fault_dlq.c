/* test_fault_dlq.c - `warren dlq replay` is killed at random points. On a node of its own, of which
 * the test can ask whether everything of the killed one is gone.
 */
#include <signal.h>

#include "base/random.h"
#include "support/test.h"

#include "dlq_fixture.h"
#include "support/proc.h"
#include "support/tally.h"

#define KILLS         50
#define KILL_MESSAGES 120
#define KILL_WINDOW   10

/* So many lines are written, or the command has ended. */
static bool reached(struct proc *proc, size_t lines)
{
    return lines_in(proc_stderr(proc)) >= lines || proc_wait(proc, 0) != PROC_RUNNING;
}

/* Channels outlive their connections for a moment, in which they still consume. */
static int channels(struct fixture *f)
{
    char *answer = broker_eval(f->broker, "length(rabbit_channel:list()).");
    int count = atoi(answer);

    free(answer);
    return count;
}

/* Nothing of the killed one is left but messages that the queues have not yet counted again. If
 * anything is lost this waits in vain, and the stock shows it.
 */
static void settle(struct fixture *f)
{
    assert_true(WAIT_FOR(channels(f) == 1, 20000)); /* the peer's */
    WAIT_FOR(peer_count(f->peer, f->dlq) + peer_count(f->peer, f->queue) >= KILL_MESSAGES, 20000);
}

/* One run that is killed; nothing of it is on the way any more when this returns. */
static void replay_and_kill(struct fixture *f, struct random *random)
{
    char *window = text("%d", KILL_WINDOW);
    struct proc *proc = warren_start(
        (const char *const[]){"dlq", "replay", f->queue, "--window", window, NULL}, NULL);

    if (random_upto(random, 4) == 0)
        rest_ms((int64_t)random_upto(random, 60)); /* while it starts, as chance has it */
    else
        assert_true(WAIT_FOR(reached(proc, random_upto(random, KILL_MESSAGES)), 20000));
    proc_signal(proc, SIGKILL);
    assert_true(proc_wait(proc, 10000) != PROC_RUNNING);
    proc_free(proc);
    free(window);
    settle(f);
}

struct kill_totals {
    unsigned lost;
    unsigned unexpected;
    unsigned in_both;
    unsigned most_in_both;
    unsigned replayed;
};

static void take_stock(struct fixture *f, const char *prefix, struct kill_totals *totals)
{
    unsigned here[KILL_MESSAGES] = {0}, there[KILL_MESSAGES] = {0};
    struct letter_census dead = {.prefix = prefix, .count = KILL_MESSAGES, .copies = here};
    struct letter_census back = {.prefix = prefix, .count = KILL_MESSAGES, .copies = there};
    unsigned both = 0;

    letter_census(f->peer, f->dlq, &dead);
    letter_census(f->peer, f->queue, &back);
    totals->unexpected += dead.unexpected + back.unexpected;
    for (unsigned i = 0; i < KILL_MESSAGES; i++) {
        totals->lost += here[i] + there[i] == 0;
        totals->unexpected += here[i] > 1 || there[i] > 1;
        totals->replayed += there[i] > 0;
        both += here[i] > 0 && there[i] > 0;
    }
    totals->in_both += both;
    totals->most_in_both = both > totals->most_in_both ? both : totals->most_in_both;
}

/* Killed at 50 random points: each message is in at least one of the two queues, none is lost,
 * and those in both bear the same id and are no more than the window.
 */
static void killed_at_random_points(void **state)
{
    struct fixture *f = *state;
    struct kill_totals totals = {0};
    struct random random;

    random_init(&random, TALLY_SEED);
    for (int i = 0; i < KILLS; i++) {
        char *prefix = text("kill%d", i);

        peer_publish_many(f->peer, f->dlq, prefix, KILL_MESSAGES);
        replay_and_kill(f, &random);
        take_stock(f, prefix, &totals);
        free(prefix);
    }
    print_message("broker %s, quorum, seed %d: %d kills of a replay of %d messages, window %d: "
                  "replayed %u; lost %u; unexpected %u; in both queues %u, at most %u at once\n",
                  f->broker->name, TALLY_SEED, KILLS, KILL_MESSAGES, KILL_WINDOW, totals.replayed,
                  totals.lost, totals.unexpected, totals.in_both, totals.most_in_both);
    assert_int_equal(totals.lost, 0);
    assert_int_equal(totals.unexpected, 0);
    assert_true(totals.most_in_both <= KILL_WINDOW);
    assert_true(totals.replayed > 0 && totals.replayed < KILLS * KILL_MESSAGES);
}

/* What is told to be gone is gone, also where the queue falls behind with the acks: the broker
 * keeps them back then, and forgets them with the channel.
 */
static void discard_on_a_slow_disk(struct fixture *f)
{
    put_letters(f, "a", 2, &(struct letter){.reason = "crash"});
    for (int i = 0; i < 4; i++) { /* without the barrier about every second one fails */
        struct command discard;

        peer_publish_many(f->peer, f->dlq, "b", 200);
        broker_stall_disk(f->broker, 500);
        discard = COMMAND("dlq", "discard", f->queue, "-y", "-Q", "--reason", "unknown", "--json");
        broker_stall_disk(f->broker, 0);
        command_expect(&discard, 0);
        assert_has(discard.out, "\"looked_at\":202,\"discarded\":200,");
        expect_count(f, f->dlq, 2);
        command_done(&discard);
    }
}

static void acks_on_a_slow_disk(void **state)
{
    discard_on_a_slow_disk(*state);
}

/* The same where the broker refuses basic.get. */
static void acks_of_a_single_active_consumer(void **state)
{
    const amqp_table_entry_t single = {
        .key = amqp_cstring_bytes("x-single-active-consumer"),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = true}}};
    struct fixture *f = *state;

    peer_delete_alone(f->peer, f->dlq);
    peer_declare_with(f->peer, f->dlq, "quorum", &single, 1);
    discard_on_a_slow_disk(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acks_on_a_slow_disk, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(acks_of_a_single_active_consumer, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(killed_at_random_points, setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
