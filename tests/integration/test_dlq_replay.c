/* test_dlq_replay.c - `warren dlq replay` against a real broker: where messages go and how they
 * look then, which of them, and what is left of an interruption. By kill -9: test_fault_dlq.c.
 */
#include <signal.h>

#include "dlq_fixture.h"
#include "support/proc.h"
#include "support/test.h"

#define START(f, ...)                                                                              \
    warren_start((const char *const[]){"dlq", "replay", (f)->queue, __VA_ARGS__, NULL}, NULL)

/* ---- the way of a message ---- */

/* A replayed message is as it was published: its notes are gone but where that was, and it counts
 * its replays.
 */
static void a_replayed_message(void **state)
{
    struct fixture *f = *state;
    struct command replay;
    struct peer_message message;

    put_letters(f, "x", 1,
                &(struct letter){.reason = "attempts",
                                 .handler = "p.h",
                                 .error = "boom",
                                 .tenant = "acme",
                                 .body = "body",
                                 .attempts = 5,
                                 .replays = 1,
                                 .died_s = 1});
    replay = COMMAND("dlq", "replay", f->queue);
    command_expect(&replay, 0);
    assert_has(replay.out, "looked at 1 of 1, replayed 1 (1 to ");
    assert_true(peer_get(f->peer, f->queue, &message));
    assert_string_equal(message.message_id, "x-0");
    assert_string_equal(message.body, "body");
    assert_true(letter_says(&message, "tenant", "acme"));
    assert_int_equal(letter_number(&message, "x-warren-replays"), 2);
    assert_null(letter_header(&message, "x-warren-attempts"));
    assert_null(letter_header(&message, "x-warren-reason"));
    assert_null(letter_header(&message, "x-warren-queue"));
    /* And where it was published first. */
    assert_int_equal(message.properties->headers.num_entries, 4);
    peer_message_done(&message);
    expect_count(f, f->dlq, 0);
    command_done(&replay);
}

/* It takes the rights to read the dead-letter queue and to write to the default exchange; none on
 * the queues that messages go back to, whatever RabbitMQ 4.3 answers to who asks for those. */
static void the_rights_that_it_takes(void **state)
{
    struct fixture *f = *state;
    char *user = unique_name("replayer");
    char *uri = text("amqp://%s:%s@127.0.0.1:%u/", user, user, f->broker->port);
    char *read = text("^%s$", f->dlq);
    struct command replay;

    broker_add_user(f->broker, user, user);
    broker_permit(f->broker, user, "/", "^$", "^amq[.]default$", read);
    setenv("WARREN_BROKER_URI", uri, 1);
    put_letters(f, "x", 2, &(struct letter){.reason = "attempts"});
    put_letters(f, "y", 1, &(struct letter){.reason = "attempts", .queue = "no-such-queue"});
    replay = COMMAND("dlq", "replay", f->queue, "-Q");
    command_expect(&replay, 1);
    assert_has(replay.err,
               broker_at_least(f->broker, 4, 3) ? "message y-0 stays" : "no-such-queue");
    command_done(&replay);
    expect_count(f, f->queue, 2);
    expect_count(f, f->dlq, 1);
    broker_delete_user(f->broker, user);
    free(read);
    free(uri);
    free(user);
}

/* Who moved which message is in the log. */
static void an_audit_line(void **state)
{
    struct fixture *f = *state;
    struct command replay;

    put_letters(f, "x", 2, &(struct letter){.reason = "attempts"});
    replay = COMMAND("dlq", "replay", f->queue, "all");
    command_expect(&replay, 0);
    assert_int_equal(lines_in(replay.err), 2);
    assert_has(replay.err, "msg=replayed");
    assert_has(replay.err, "message_id=x-1");
    assert_has(replay.err, "replays=1 by=");
    command_done(&replay);
}

/* Messages of several queues go back each to its own; one whose queue is gone stays. */
static void each_to_its_own_queue(void **state)
{
    struct fixture *f = *state;
    char *second = text("%s-2", f->queue);
    struct command replay;

    peer_declare(f->peer, second, "classic");
    put_letters(f, "a", 2, &(struct letter){.reason = "attempts"});
    put_letters(f, "b", 3, &(struct letter){.reason = "attempts", .queue = second});
    put_letters(f, "c", 1, &(struct letter){.reason = "attempts", .queue = "gone"});
    replay = COMMAND("dlq", "replay", f->queue, "--quiet");
    command_expect(&replay, 1);
    assert_has(replay.err, "queue 'gone': 404");
    assert_int_equal(lines_in(replay.err), 1);
    expect_count(f, f->queue, 2);
    expect_count(f, second, 3);
    expect_count(f, f->dlq, 1);
    command_done(&replay);
    peer_delete(f->peer, second);
    free(second);
}

/* A message whose sender says, as the broker would, that it died in @victim. */
static void put_forged_death(struct fixture *f, const char *queue, const char *victim)
{
    amqp_table_entry_t death[] = {{.key = amqp_cstring_bytes("queue")},
                                  {.key = amqp_cstring_bytes("reason")},
                                  {.key = amqp_cstring_bytes("exchange")},
                                  {.key = amqp_cstring_bytes("count")}};
    amqp_field_value_t deaths = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {4, death}};
    amqp_table_entry_t header = {
        .key = amqp_cstring_bytes("x-death"),
        .value = {.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {1, &deaths}}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                          .headers = {1, &header}};

    for (int i = 0; i < 3; i++)
        death[i].value.kind = AMQP_FIELD_KIND_UTF8;
    death[0].value.value.bytes = amqp_cstring_bytes(victim);
    death[1].value.value.bytes = amqp_cstring_bytes("rejected");
    death[2].value.value.bytes = amqp_cstring_bytes("");
    death[3].value.kind = AMQP_FIELD_KIND_I64;
    death[3].value.value.i64 = 1;
    peer_publish(f->peer, "", queue, "death", 5, &properties);
}

/* What the broker dead-lettered goes back to where it died, wherever a sender's headers say. */
static void a_sender_does_not_choose(void **state)
{
    struct fixture *f = *state;
    char *victim = text("%s-victim", f->queue);
    char *source = text("%s-source", f->queue);
    char *told = text("looked at 2 of 2, replayed 2 (2 to %s)", source);
    /* Expired at once, into the dead-letter queue. */
    amqp_table_entry_t arguments[] = {{.key = amqp_cstring_bytes("x-message-ttl")},
                                      {.key = amqp_cstring_bytes("x-dead-letter-exchange")},
                                      {.key = amqp_cstring_bytes("x-dead-letter-routing-key")}};
    struct command replay;
    int arrived;

    arguments[0].value.kind = AMQP_FIELD_KIND_I32;
    arguments[1].value.kind = arguments[2].value.kind = AMQP_FIELD_KIND_UTF8;
    arguments[2].value.value.bytes = amqp_cstring_bytes(f->dlq);
    peer_declare(f->peer, victim, "classic");
    peer_declare_with(f->peer, source, "classic", arguments, 3);
    letter_put(f->peer, source,
               &(struct letter){.id = "forged", .queue = victim, .reason = "rejected"});
    put_forged_death(f, source, victim);
    expect_count(f, f->dlq, 2);
    peer_delete_alone(f->peer, source);
    peer_declare(f->peer, source, "classic"); /* that keeps them */
    replay = COMMAND("dlq", "replay", f->queue);
    arrived = peer_count(f->peer, source);
    peer_delete_alone(f->peer, source);
    peer_delete_alone(f->peer, victim);

    command_expect(&replay, 0);
    assert_has(replay.out, told);
    assert_int_equal(arrived, 2);
    command_done(&replay);
    free(told);
    free(source);
    free(victim);
}

/* --to takes them elsewhere. */
static void to_another_queue(void **state)
{
    struct fixture *f = *state;
    char *other = text("%s-other", f->queue);
    struct command replay;

    peer_declare(f->peer, other, "quorum");
    put_letters(f, "a", 2, &(struct letter){.reason = "attempts"});
    replay = COMMAND("dlq", "replay", f->queue, "--to", other);
    command_expect(&replay, 0);
    expect_count(f, other, 2);
    expect_count(f, f->queue, 0);
    expect_count(f, f->dlq, 0);
    command_done(&replay);
    peer_delete(f->peer, other);
    free(other);
}

/* Where the target does not exist nothing is taken from the dead-letter queue. */
static void onto_no_queue(void **state)
{
    struct fixture *f = *state;
    struct command to, gone;

    put_letters(f, "a", 3, &(struct letter){.reason = "attempts"});
    to = COMMAND("dlq", "replay", f->queue, "--to", "nowhere");
    command_expect(&to, 1);
    assert_has(to.err, "queue 'nowhere' does not exist: nothing is taken from '");
    assert_int_equal(lines_in(to.err), 1);
    peer_delete_alone(f->peer, f->queue);
    gone = COMMAND("dlq", "replay", f->dlq, "--quiet");
    command_expect(&gone, 1);
    assert_has(gone.err, f->queue);
    assert_int_equal(lines_in(gone.err), 1);
    expect_count(f, f->dlq, 3);
    peer_declare(f->peer, f->queue, "classic");
    command_done(&to);
    command_done(&gone);
}

/* A queue that takes two messages; its name, which the caller frees. */
static char *declare_full(struct fixture *f)
{
    char *full = text("%s-full", f->queue);
    amqp_table_entry_t arguments[] = {
        {.key = amqp_cstring_bytes("x-max-length"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 2}},
        {.key = amqp_cstring_bytes("x-overflow"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8,
                   .value.bytes = amqp_cstring_bytes("reject-publish")}}};

    peer_declare_with(f->peer, full, "classic", arguments, 2);
    return full;
}

/* A queue that refuses the message leaves it in the dead-letter queue, with its reason. */
static void a_full_queue(void **state)
{
    struct fixture *f = *state;
    char *full = declare_full(f);
    struct command replay;

    put_letters(f, "a", 5, &(struct letter){.reason = "attempts"});
    replay = COMMAND("dlq", "replay", f->queue, "--to", full, "--json", "--window", "1");
    command_expect(&replay, 1);
    assert_has(replay.out, "\"replayed\":2,\"failed\":3,\"doubtful\":0,");
    assert_has(replay.err, "stays in ");
    assert_has(replay.err, "nacked");
    expect_count(f, f->dlq, 3);
    expect_count(f, full, 2);
    command_done(&replay);
    peer_delete(f->peer, full);
    free(full);
}

/* Where all fail it ends long before all were tried; --limit says how many may fail. */
static void too_many_failures(void **state)
{
    struct fixture *f = *state;
    char *full = declare_full(f);
    struct command some, all;

    peer_publish_many(f->peer, f->dlq, "a", 1002);
    some = COMMAND("dlq", "replay", f->queue, "--to", full, "-Q", "--json", "--window", "1");
    command_expect(&some, 1);
    assert_null(strstr(some.out, "\"looked_at\":1002,"));
    assert_has(some.err, " of 1002 messages of ");
    assert_has(some.err, "; see --limit");
    expect_count(f, f->dlq, 1000);
    all = COMMAND("dlq", "replay", f->queue, "--to", full, "-Q", "--json", "--limit", "2000");
    command_expect(&all, 1);
    assert_has(all.out, "\"looked_at\":1000,\"matched\":1000,\"replayed\":0,\"failed\":1000,");
    expect_count(f, f->dlq, 1000);
    command_done(&some);
    command_done(&all);
    peer_delete(f->peer, full);
    free(full);
}

/* ---- which ones ---- */

/* That nothing matches is said, and is no error; a queue that is empty is called so. */
static void nothing_matches(void **state)
{
    struct fixture *f = *state;
    struct command empty, replay, missing;

    empty = COMMAND("dlq", "replay", f->queue);
    command_expect(&empty, 0);
    assert_has(empty.err, "warren dlq replay: '");
    assert_has(empty.err, ".dlq' is empty\n");
    put_letters(f, "a", 3, &(struct letter){.reason = "crash"});
    expect_count(f, f->dlq, 3);
    replay = COMMAND("dlq", "replay", f->queue, "--reason", "cash", "--json");
    command_expect(&replay, 0);
    assert_has(replay.out, "\"matched\":0,\"replayed\":0,");
    assert_has(replay.err, "none of 3 messages of '");
    assert_has(replay.err, "did you mean --reason crash, not cash?\n");
    missing = COMMAND("dlq", "replay", f->queue, "--id", "x", "-Q");
    command_expect(&missing, 1);
    assert_has(missing.err, "there is no message x in ");
    expect_count(f, f->dlq, 3);
    command_done(&empty);
    command_done(&replay);
    command_done(&missing);
}

static void by_filter(void **state)
{
    struct fixture *f = *state;
    struct command replay;
    struct peer_message message;

    put_letters(f, "a", 3, &(struct letter){.reason = "attempts"});
    put_letters(f, "b", 2, &(struct letter){.reason = "rejected"});
    put_letters(f, "c", 3, &(struct letter){.reason = "attempts"});
    replay = COMMAND("dlq", "replay", f->queue, "--reason", "rejected");
    command_expect(&replay, 0);
    expect_count(f, f->queue, 2);
    expect_count(f, f->dlq, 6);
    assert_true(peer_get(f->peer, f->dlq, &message));
    assert_string_equal(message.message_id, "a-0"); /* in its old place */
    peer_message_done(&message);
    command_done(&replay);
}

/* The name that the list gives to a group is one to replay. */
static void by_group(void **state)
{
    struct fixture *f = *state;
    struct command list, replay;
    char group[9];
    const char *line;

    put_letters(f, "a", 3, &(struct letter){.reason = "attempts", .error = "row 1"});
    put_letters(f, "b", 2, &(struct letter){.reason = "attempts", .error = "no route"});
    list = COMMAND("dlq", "list", f->queue);
    command_expect(&list, 0);
    line = strstr(list.out, "       2  ");
    assert_non_null(line);
    snprintf(group, sizeof group, "%s", line + 10);
    replay = COMMAND("dlq", "replay", f->queue, "--group", group, "--json");
    command_expect(&replay, 0);
    assert_has(replay.out, "\"matched\":2,\"replayed\":2,\"failed\":0,");
    expect_count(f, f->queue, 2);
    expect_count(f, f->dlq, 3);
    command_done(&list);
    command_done(&replay);
}

static void at_most_so_many(void **state)
{
    struct fixture *f = *state;
    struct command replay;
    struct peer_message message;

    put_letters(f, "a", 7, &(struct letter){.reason = "attempts"});
    replay = COMMAND("dlq", "replay", f->queue, "--max", "3");
    command_expect(&replay, 0);
    expect_count(f, f->queue, 3);
    expect_count(f, f->dlq, 4);
    assert_true(peer_get(f->peer, f->dlq, &message));
    assert_string_equal(message.message_id, "a-3");
    peer_message_done(&message);
    command_done(&replay);
}

/* A dry run tells what would happen, and where a queue is missing; be that the first one. */
static void a_dry_run(void **state)
{
    struct fixture *f = *state;
    struct command dry, missing, json;
    const char *dot;

    put_letters(f, "b", 1, &(struct letter){.reason = "age", .queue = "gone"});
    put_letters(f, "a", 4, &(struct letter){.reason = "attempts"});
    dry = COMMAND("dlq", "replay", f->queue, "--dry-run", "--reason", "attempts", "--max", "3");
    command_expect(&dry, 0);
    assert_has(dry.out, "would replay 3 (3 to ");
    assert_string_equal(dry.err, "");
    missing = COMMAND("dlq", "replay", f->queue, "--dry-run");
    command_expect(&missing, 1);
    assert_has(missing.err, "queue 'gone': 404");
    assert_has(missing.out, "would replay 4 (4 to ");
    assert_has(missing.out, "), failed 1; ");
    json = COMMAND("dlq", "replay", f->queue, "--dry-run", "--json");
    command_expect(&json, 1);
    dot = strstr(json.out, "\"seconds\":0.");
    assert_non_null(dot);
    assert_true(strcspn(dot + strlen("\"seconds\":0."), "}") <= 3);
    expect_count(f, f->dlq, 5);
    expect_count(f, f->queue, 0);
    command_done(&dry);
    command_done(&missing);
    command_done(&json);
}

/* One header alone is no envelope: nothing says where such a message came from, but the queue that
 * the command named. */
static void a_note_alone(void **state)
{
    struct fixture *f = *state;
    char *victim = text("%s-victim", f->queue);
    amqp_table_entry_t header = {
        .key = amqp_cstring_bytes("x-warren-queue"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(victim)}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                          .headers = {1, &header}};
    struct command show, replay;
    struct peer_message message;

    peer_publish(f->peer, "", f->dlq, "b", 1, &properties);
    show = COMMAND("dlq", "show", f->queue);
    command_expect(&show, 0);
    assert_null(strstr(show.out, victim));
    replay = COMMAND("dlq", "replay", f->queue);
    command_expect(&replay, 0);
    expect_count(f, f->queue, 1);
    assert_true(peer_get(f->peer, f->queue, &message));
    assert_string_equal(message.message_id, ""); /* as it was */
    assert_null(letter_header(&message, "x-warren-queue"));
    peer_message_done(&message);
    command_done(&show);
    command_done(&replay);
    free(victim);
}

/* What comes back to the dead-letter queue while it is replayed is not replayed again. */
static void what_comes_back(void **state)
{
    struct fixture *f = *state;
    char *loop = text("%s-loop", f->queue);
    amqp_table_entry_t arguments[] = {
        {.key = amqp_cstring_bytes("x-dead-letter-exchange"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("")}},
        {.key = amqp_cstring_bytes("x-dead-letter-routing-key"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(f->dlq)}},
        {.key = amqp_cstring_bytes("x-message-ttl"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 0}}};
    struct command replay;

    peer_declare_with(f->peer, loop, "classic", arguments, 3);
    put_letters(f, "a", 50, &(struct letter){.reason = "attempts"});
    replay = COMMAND("dlq", "replay", f->queue, "--to", loop, "--window", "5", "--json");
    command_expect(&replay, 0);
    assert_has(replay.out, "\"depth\":50,\"looked_at\":50,\"matched\":50,\"replayed\":50,");
    expect_count(f, f->dlq, 50);
    command_done(&replay);
    peer_delete(f->peer, loop);
    free(loop);
}

/* Many messages in a small window, most of which do not match, and large ones. */
static void many_messages(void **state)
{
    struct fixture *f = *state;
    char *body = calloc(1, 300001);
    struct command replay;

    assert_non_null(body);
    memset(body, 'x', 300000);
    put_letters(f, "a", 10, &(struct letter){.reason = "attempts", .body = body});
    peer_publish_many(f->peer, f->dlq, "b", 990);
    put_letters(f, "c", 10, &(struct letter){.reason = "attempts", .body = body});
    replay = COMMAND("dlq", "replay", f->queue, "--reason", "attempts", "--window", "3");
    command_expect(&replay, 0);
    expect_count(f, f->queue, 20);
    expect_count(f, f->dlq, 990);
    command_done(&replay);
    replay = COMMAND("dlq", "replay", f->queue, "--quiet");
    command_expect(&replay, 0);
    expect_count(f, f->queue, 1010);
    expect_count(f, f->dlq, 0);
    command_done(&replay);
    free(body);
}

/* A rate holds the messages back: three at ten a second need at least 100 ms after the burst. */
static void at_a_rate(void **state)
{
    struct fixture *f = *state;
    struct command replay;
    double seconds;

    put_letters(f, "a", 5, &(struct letter){.reason = "attempts"});
    replay = COMMAND("dlq", "replay", f->queue, "--rate", "10/s", "--json");
    command_expect(&replay, 0);
    assert_has(replay.out, "\"replayed\":5,");
    seconds = strtod(strstr(replay.out, "\"seconds\":") + 10, NULL);
    assert_true(seconds >= 0.2);
    command_done(&replay);
}

/* What has been held for long is given back and taken anew: each goes once, those that do not match
 * stay in their places, and what came meanwhile is not touched.
 */
static void a_short_hold(void **state)
{
    struct fixture *f = *state;
    struct proc *proc;
    struct peer_message message;

    put_letters(f, "a", 5, &(struct letter){.reason = "rejected"});
    put_letters(f, "b", 20, &(struct letter){.reason = "attempts"});
    proc = START(f, "--reason", "attempts", "--rate", "20", "--hold", "200ms", "--json");
    assert_true(WAIT_FOR(lines_in(proc_stderr(proc)) >= 1, 10000 * slowness()));
    put_letters(f, "c", 3, &(struct letter){.reason = "attempts"});
    assert_int_equal(proc_wait(proc, 20000 * slowness()), 0);
    assert_has(proc_stdout(proc), "\"depth\":25,\"looked_at\":25,\"matched\":20,\"replayed\":20,");
    assert_int_equal(lines_in(proc_stderr(proc)), 20);
    expect_count(f, f->queue, 20);
    expect_count(f, f->dlq, 8);
    assert_true(peer_get(f->peer, f->dlq, &message));
    assert_string_equal(message.message_id, "a-0");
    peer_message_done(&message);
    proc_free(proc);
}

/* On a terminal there is a bar; the lines of the log stand above it. */
static void on_a_terminal(void **state)
{
    struct fixture *f = *state;
    const char *const arguments[] = {"dlq", "replay", f->queue, NULL};
    struct command replay;

    put_letters(f, "a", 3, &(struct letter){.reason = "attempts"});
    replay = command_on_terminal(arguments, NULL);
    command_expect(&replay, 0);
    assert_has(replay.out, "\r\033[K");
    assert_has(replay.out, "/3");
    assert_has(replay.out, "message_id=a-2");
    command_done(&replay);
}

/* ---- interruptions ---- */

/* SIGTERM: what is on its way is confirmed and acked, the rest is back, and each is in one queue.
 */
static void a_signal(void **state)
{
    struct fixture *f = *state;
    struct proc *proc;
    int left, replayed;

    put_letters(f, "a", 100, &(struct letter){.reason = "attempts"});
    proc = START(f, "--rate", "20");
    assert_true(WAIT_FOR(lines_in(proc_stderr(proc)) >= 5, 10000 * slowness()));
    proc_signal(proc, SIGTERM);
    assert_int_equal(proc_wait(proc, 10000 * slowness()), 1);
    assert_has(proc_stderr(proc), "interrupted");
    replayed = peer_count(f->peer, f->queue);
    left = 100 - replayed;
    assert_true(left > 0 && replayed >= 5);
    expect_count(f, f->dlq, left);
    assert_has(proc_stdout(proc), "replayed ");
    proc_free(proc);
}

/* The dead-letter queue is deleted meanwhile: told, and no hanging. */
static void its_queue_is_deleted(void **state)
{
    struct fixture *f = *state;
    struct proc *proc;

    put_letters(f, "a", 100, &(struct letter){.reason = "attempts"});
    proc = START(f, "--rate", "20", "--limit", "10", "--window", "10");
    assert_true(WAIT_FOR(lines_in(proc_stderr(proc)) >= 2, 10000 * slowness()));
    peer_delete(f->peer, f->dlq);
    assert_int_equal(proc_wait(proc, 20000 * slowness()), 1);
    assert_has(proc_stderr(proc), "error: queue '");
    peer_declare(f->peer, f->dlq, "quorum");
    proc_free(proc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_replayed_message),
        TEST(an_audit_line),
        TEST(each_to_its_own_queue),
        TEST(to_another_queue),
        TEST(onto_no_queue),
        TEST(a_full_queue),
        TEST(too_many_failures),
        TEST(by_filter),
        TEST(by_group),
        TEST(nothing_matches),
        TEST(at_most_so_many),
        TEST(a_dry_run),
        TEST(a_note_alone),
        TEST(what_comes_back),
        TEST(many_messages),
        TEST(at_a_rate),
        TEST(a_short_hold),
        TEST(on_a_terminal),
        TEST(a_signal),
        TEST(its_queue_is_deleted),
        TEST(a_sender_does_not_choose),
        TEST(the_rights_that_it_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
