/* test_dlq_queues.c - `warren dlq` on dead-letter queues that are not of the plain kind: with a
 * single active consumer, with a consumer that wants no other, full, refusing. Replays go one by
 * one, so that there are more acks than RabbitMQ's channel passes on to a quorum queue unasked.
 */
#include "dlq_fixture.h"
#include "support/test.h"

#define MESSAGES 60

static amqp_table_entry_t flag(const char *name)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(name),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = true}}};
}

static amqp_table_entry_t number(const char *name, int32_t value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(name),
                                .value = {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = value}}};
}

static amqp_table_entry_t word(const char *name, const char *value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(name),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = amqp_cstring_bytes(value)}}};
}

/* The dead-letter queue, of this kind. */
static void renew(struct fixture *f, const char *type, const amqp_table_entry_t *arguments,
                  int count)
{
    peer_delete_alone(f->peer, f->dlq);
    peer_declare_with(f->peer, f->dlq, type, arguments, count);
}

/* Everything that one does with dead letters, on a queue of this kind: each message goes once, and
 * is not there any more once that was told.
 */
static void use(struct fixture *f)
{
    struct command list, replay, discard;

    put_letters(f, "a", MESSAGES, &(struct letter){.reason = "age"});
    list = COMMAND("dlq", "list", f->queue);
    command_expect(&list, 0);
    assert_has(list.out, "  60  ");
    replay = COMMAND("dlq", "replay", f->queue, "--window", "1", "--max", "50", "-Q", "--json");
    command_expect(&replay, 0);
    assert_has(replay.out, "\"replayed\":50,\"failed\":0,\"doubtful\":0,");
    assert_string_equal(replay.err, "");
    expect_count(f, f->queue, 50);
    expect_count(f, f->dlq, 10);
    discard = COMMAND("dlq", "discard", f->queue, "-y", "-Q", "--json");
    command_expect(&discard, 0);
    assert_has(discard.out, "\"discarded\":10,");
    expect_count(f, f->dlq, 0);
    peer_purge(f->peer, f->queue);
    command_done(&list);
    command_done(&replay);
    command_done(&discard);
}

static void single_active_consumer_of_a_quorum_queue(void **state)
{
    struct fixture *f = *state;
    const amqp_table_entry_t single = flag("x-single-active-consumer");

    renew(f, "quorum", &single, 1);
    use(f);
}

static void single_active_consumer_of_a_classic_queue(void **state)
{
    struct fixture *f = *state;
    const amqp_table_entry_t single = flag("x-single-active-consumer");

    renew(f, "classic", &single, 1);
    use(f);
}

static void full_and_refusing(void **state)
{
    struct fixture *f = *state;
    const amqp_table_entry_t arguments[] = {number("x-max-length", MESSAGES),
                                            word("x-overflow", "reject-publish")};

    renew(f, "quorum", arguments, 2);
    use(f);
    renew(f, "classic", arguments, 2);
    use(f);
}

static void full_and_dropping(void **state)
{
    struct fixture *f = *state;
    const amqp_table_entry_t arguments[] = {number("x-max-length", MESSAGES),
                                            word("x-overflow", "drop-head")};

    renew(f, "quorum", arguments, 2);
    use(f);
    renew(f, "classic", arguments, 2);
    use(f);
}

/* Whoever came first to a single active consumer's queue has the messages: nothing is taken, and it
 * is said.
 */
static void another_active_consumer(void **state)
{
    struct fixture *f = *state;
    const amqp_table_entry_t single = flag("x-single-active-consumer");
    struct peer *other = peer_new(f->broker->uri);
    struct command discard;

    renew(f, "quorum", &single, 1);
    peer_hold(other, f->dlq, false);
    put_letters(f, "a", 3, &(struct letter){.reason = "age"});
    expect_count(f, f->dlq, 2);
    discard = COMMAND("dlq", "discard", f->queue, "-y");
    command_expect(&discard, 1);
    assert_has(discard.out, "looked at 0 of 2, discarded 0\n");
    assert_has(discard.err, "looked at 0 of 2 messages of ");
    assert_has(discard.err, "; others consume it");
    peer_free(other);
    expect_count(f, f->dlq, 3);
    command_done(&discard);
}

/* A consumer that wants no other beside it is an error with the broker's words. */
static void an_exclusive_consumer(void **state)
{
    struct fixture *f = *state;
    struct peer *other = peer_new(f->broker->uri);
    struct command replay;

    renew(f, "classic", NULL, 0);
    put_letters(f, "a", 3, &(struct letter){.reason = "age"});
    peer_hold(other, f->dlq, true);
    expect_count(f, f->dlq, 2);
    replay = COMMAND("dlq", "replay", f->queue);
    command_expect(&replay, 1);
    assert_has(replay.err, "ACCESS_REFUSED");
    peer_free(other);
    expect_count(f, f->dlq, 3);
    command_done(&replay);
}

/* A few looks would have the broker drop what is in it: that is refused where a look counts. */
static void a_low_delivery_limit(void **state)
{
    struct fixture *f = *state;
    const amqp_table_entry_t limits[] = {number("x-max-length", 100),
                                         number("x-delivery-limit", 2)};
    int refused = broker_at_least(f->broker, 4, 3) ? 0 : 1;
    struct command command;

    renew(f, "quorum", limits, 2);
    put_letters(f, "a", 2, &(struct letter){.reason = "age"});
    for (int i = 0; i < 4; i++) {
        command = COMMAND("dlq", "list", f->queue);
        command_expect(&command, refused);
        if (refused)
            assert_has(command.err, "has a delivery limit of 2");
        command_done(&command);
    }
    command = COMMAND("dlq", "show", f->queue, "--force", "--max", "1");
    command_expect(&command, 0);
    command_done(&command);
    expect_count(f, f->dlq, 2);
}

static void next_in_order(const struct peer_message *message, void *user)
{
    unsigned *next = user;
    char *expected = text("a-%u", (*next)++);

    assert_string_equal(message->message_id, expected);
    free(expected);
}

/* What was looked at stays in its order. RabbitMQ 3 lost it above 32 messages in a queue with a
 * delivery limit, as a worker declares it. */
static void a_look_keeps_the_order(void **state)
{
    struct fixture *f = *state;
    const amqp_table_entry_t limit = number("x-delivery-limit", 1000000000);
    struct command list;
    unsigned next = 0;

    renew(f, "quorum", &limit, 1);
    put_letters(f, "a", MESSAGES, &(struct letter){.reason = "age"});
    list = COMMAND("dlq", "list", f->queue);
    command_expect(&list, 0);
    command_done(&list);
    expect_count(f, f->dlq, MESSAGES);
    assert_int_equal(peer_drain(f->peer, f->dlq, next_in_order, &next), MESSAGES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(single_active_consumer_of_a_quorum_queue),
        TEST(a_low_delivery_limit),
        TEST(a_look_keeps_the_order),
        TEST(single_active_consumer_of_a_classic_queue),
        TEST(full_and_refusing),
        TEST(full_and_dropping),
        TEST(another_active_consumer),
        TEST(an_exclusive_consumer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
