/* test_streams.c - subscriptions on stream queues, on a real broker: no message is lost, whatever
 * happens to the connection and to the process, and what was settled does not come again.
 */
#include <glob.h>
#include <signal.h>

#include "dead_fixture.h"
#include "support/tally.h"
#include "support/test.h"

#define IMMEDIATELY "[log, retry: {policy: immediate}, recover]"

/* A worker on a stream, through a proxy; @subscription is a line of its own. Not yet running. */
static void consume(struct fixture *f, const char *top, const char *subscription,
                    const char *options, const char *chain)
{
    peer_declare(f->peer, f->queue, "stream");
    if (!f->proxy)
        f->proxy = proxy_new(f->broker->port);
    f->worker = worker_new(proxy_uri(f->proxy),
                           "topology:\n"
                           "  queues:\n"
                           "    - {name: %s, type: stream}\n"
                           "%s\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: record, %s}\n"
                           "    middleware: %s\n"
                           "    %s\n",
                           f->queue, top, f->queue, options, chain, subscription);
}

static struct tally *books(struct fixture *f, unsigned count)
{
    char *path = worker_path(f->worker, "record");
    struct tally *tally = tally_new(path, "m", count);

    free(path);
    return tally;
}

/* Publish "m-FROM" to "m-(TO-1)". */
static void publish(struct fixture *f, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char *id = text("m-%u", i);
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                              .message_id = amqp_cstring_bytes(id)};

        peer_publish(f->peer, "", f->queue, id, strlen(id), &properties);
        free(id);
    }
}

/* The connection breaks, and @from to @to are published before there is another one. */
static void publish_meanwhile(struct fixture *f, unsigned from, unsigned to)
{
    proxy_refuse(f->proxy, true);
    proxy_cut(f->proxy, PROXY_RST);
    publish(f, from, to);
    proxy_refuse(f->proxy, false);
}

/* So many were handled, each of them once; but that a thread may have been stopped between its line
 * and its outcome, in each of @cuts. */
static void assert_each_once(struct tally *tally, unsigned count, unsigned cuts)
{
    assert_true(tally_wait(tally, count, PATIENCE_MS));
    assert_in_range(tally->lines, count, count + cuts);
}

/* ---- within a process ---- */

/* It has seen nothing yet, and so knows no offset. */
static void cut_before_the_first_message(void **state)
{
    struct fixture *f = *state;
    struct tally *tally;

    consume(f, "", "", "", IMMEDIATELY);
    worker_consume(f->worker, 1);
    tally = books(f, 5);
    publish_meanwhile(f, 0, 5);
    assert_each_once(tally, 5, 0);
    stop(f);
    tally_free(tally);
}

/* What is published while there is no connection comes, four times over, and nothing twice. */
static void cut_while_messages_are_published(void **state)
{
    struct fixture *f = *state;
    struct tally *tally;

    consume(f, "", "", "", IMMEDIATELY);
    worker_consume(f->worker, 1);
    tally = books(f, 80);
    for (unsigned done = 0, cuts = 0; done < 80; done += 20) {
        publish_meanwhile(f, done, done + 10);
        assert_each_once(tally, done + 10, cuts);
        publish(f, done + 10, done + 20);
        assert_each_once(tally, done + 20, cuts++);
    }
    stop(f);
    tally_free(tally);
}

/* The configured beginning is that of the first time. */
static void first_is_not_begun_again(void **state)
{
    struct fixture *f = *state;
    struct tally *tally;

    peer_declare(f->peer, f->queue, "stream");
    publish(f, 0, 10);
    consume(f, "", "arguments: {x-stream-offset: first}", "", IMMEDIATELY);
    worker_consume(f->worker, 1);
    tally = books(f, 20);
    assert_each_once(tally, 10, 0);
    publish_meanwhile(f, 10, 20);
    assert_each_once(tally, 20, 1);
    stop(f);
    tally_free(tally);
}

/* One is in its handler, those behind it are settled: only that one comes again. */
static void what_is_settled_is_not_handled_again(void **state)
{
    struct fixture *f = *state;
    char *options = text("gate: %s, gate_body: m-0", f->gate);
    struct tally *tally;

    consume(f, "", "concurrency: 3", options, IMMEDIATELY);
    worker_consume(f->worker, 1);
    tally = books(f, 12);
    publish(f, 0, 10);
    assert_each_once(tally, 9, 0);
    publish_meanwhile(f, 10, 12);
    assert_true(WAIT_FOR(worker_logged(f->worker, "waits for its gate", NULL) == 2, PATIENCE_MS));
    unlink(f->gate);
    assert_true(WAIT_FOR(tally_update(tally) == 12 && tally->lines >= 13, PATIENCE_MS));
    stop(f);
    tally_update(tally);
    assert_in_range(tally->lines, 13, 15); /* see assert_each_once(): two other threads */
    tally_free(tally);
    free(options);
}

/* It waits for its next attempt in ten minutes; the connection takes that away, not the message. */
static void a_retry_survives_the_connection(void **state)
{
    struct fixture *f = *state;
    struct tally *tally;

    consume(f, "", "", "fail_first: 1",
            "[log, retry: {policy: constant, jitter: none, initial_delay: 10m, max_delay: 10m}, "
            "recover]");
    worker_consume(f->worker, 1);
    tally = books(f, 1);
    publish(f, 0, 1);
    assert_true(WAIT_FOR((tally_update(tally), tally->lines == 1), PATIENCE_MS));
    proxy_cut(f->proxy, PROXY_RST);
    assert_true(tally_wait(tally, 1, PATIENCE_MS));
    stop(f);
    tally_free(tally);
}

/* What is rejected is settled, too. */
static void rejected_ones_do_not_come_again(void **state)
{
    struct fixture *f = *state;
    char *record;

    consume(f, "dead_letter: {enabled: false}", "arguments: {x-stream-offset: first}",
            "outcome: reject", IMMEDIATELY);
    worker_consume(f->worker, 1);
    record = worker_path(f->worker, "record");
    publish(f, 0, 3);
    assert_true(WAIT_FOR(count_lines(record) == 3, PATIENCE_MS));
    publish_meanwhile(f, 3, 5);
    assert_true(WAIT_FOR(count_lines(record) >= 5, PATIENCE_MS));
    stop(f);
    assert_in_range(count_lines(record), 5, 6); /* see assert_each_once() */
    free(record);
}

/* A dead letter is made, whatever happens to the connection meanwhile. */
static void dead_letters_survive_the_connection(void **state)
{
    struct fixture *f = *state;

    consume(f, "", "", "outcome: reject", IMMEDIATELY);
    worker_consume(f->worker, 1);
    publish_meanwhile(f, 0, 5);
    assert_true(WAIT_FOR(worker_logged(f->worker, "outcome=reject", NULL) >= 3, PATIENCE_MS));
    proxy_cut(f->proxy, PROXY_RST);
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) >= 5, PATIENCE_MS));
    stop(f);
}

/* A stream takes nothing back, so what is handed back waits here and is run again. */
static void handed_back_ones_are_run_again(void **state)
{
    struct fixture *f = *state;

    consume(f, "", "", "outcome: requeue", IMMEDIATELY);
    worker_consume(f->worker, 1);
    publish(f, 0, 1);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "attempt=1", "outcome=requeue") >= 3, PATIENCE_MS));
    stop(f);
}

/* The subscription is given up and taken again whenever too many bytes are unsettled. */
static void pauses_lose_and_repeat_nothing(void **state)
{
    struct fixture *f = *state;
    struct tally *tally;

    consume(f, "", "prefetch_bytes: 1KiB", "", IMMEDIATELY);
    worker_consume(f->worker, 1);
    tally = books(f, 300);
    for (unsigned i = 0; i < 3; i++)
        publish(f, 100 * i, 100 * i + 100);
    assert_each_once(tally, 300, 0);
    stop(f);
    tally_free(tally);
}

/* ---- over a restart ---- */

#define STATE "state_dir: state"

static void kill_it(struct fixture *f)
{
    proc_signal(f->worker->proc, SIGKILL);
    assert_int_not_equal(proc_wait(f->worker->proc, PATIENCE_MS), PROC_RUNNING);
}

/* The file of the offset; the caller frees. */
static char *state_file(struct fixture *f)
{
    char *pattern = worker_path(f->worker, "state/stream-*");
    glob_t found;
    char *path;

    if (glob(pattern, 0, NULL, &found) != 0)
        fail_msg("there is no %s", pattern);
    assert_int_equal(found.gl_pathc, 1);
    path = text("%s", found.gl_pathv[0]);
    globfree(&found);
    free(pattern);
    return path;
}

static bool file_has(const char *path, const char *word)
{
    char *content = read_file(path, NULL);
    bool has = content && strstr(content, word);

    free(content);
    return has;
}

/* Killed at rest, once the offset is on the disk: it goes on behind it, and repeats nothing. */
static void a_killed_worker_goes_on(void **state)
{
    struct fixture *f = *state;
    struct tally *tally;
    char *path;

    consume(f, STATE, "", "", IMMEDIATELY);
    worker_consume(f->worker, 1);
    path = state_file(f);
    tally = books(f, 30);
    publish(f, 0, 20);
    assert_each_once(tally, 20, 0);
    assert_true(WAIT_FOR(file_has(path, "offset    00000000000000000020\n"), PATIENCE_MS));
    kill_it(f);
    publish(f, 20, 30);
    worker_consume(f->worker, 1);
    worker_expect_logged(f->worker, "from where it was left", "offset=20", 1);
    assert_each_once(tally, 30, 0);
    stop(f);
    free(path);
    tally_free(tally);
}

/* Killed at any time: nothing is lost. */
static void a_worker_killed_at_work_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct tally *tally;

    consume(f, STATE, "", "delay: 5ms", IMMEDIATELY);
    worker_consume(f->worker, 1);
    tally = books(f, 200);
    for (unsigned done = 0; done < 200; done += 50) {
        publish(f, done, done + 25);
        assert_true(tally_wait(tally, done + 5, PATIENCE_MS));
        kill_it(f);
        publish(f, done + 25, done + 50);
        worker_consume(f->worker, 1);
    }
    assert_true(tally_wait(tally, 200, PATIENCE_MS));
    stop(f);
    tally_free(tally);
}

/* Not a single message came before it was killed: it goes on from when it began. */
static void killed_before_the_first_message(void **state)
{
    struct fixture *f = *state;
    struct tally *tally;
    char *path;

    consume(f, STATE, "", "", IMMEDIATELY);
    worker_consume(f->worker, 1);
    path = state_file(f);
    assert_true(WAIT_FOR(file_has(path, "timestamp"), PATIENCE_MS));
    kill_it(f);
    publish(f, 0, 5);
    worker_consume(f->worker, 1);
    tally = books(f, 5);
    assert_each_once(tally, 5, 0);
    stop(f);
    free(path);
    tally_free(tally);
}

/* Stopped with one in its handler and others behind it: those are the next process's, and no more.
 */
static void a_stopped_worker_repeats_nothing(void **state)
{
    struct fixture *f = *state;
    char *options = text("gate: %s, gate_body: m-2", f->gate);
    struct tally *tally;

    consume(f, STATE, "concurrency: 1", options, IMMEDIATELY);
    worker_consume(f->worker, 1);
    tally = books(f, 10);
    publish(f, 0, 10);
    assert_each_once(tally, 2, 0);
    assert_true(WAIT_FOR(worker_logged(f->worker, "waits for its gate", NULL) == 1, PATIENCE_MS));
    proc_signal(f->worker->proc, SIGTERM);
    assert_true(WAIT_FOR(worker_logged(f->worker, "draining", NULL) > 0, PATIENCE_MS));
    unlink(f->gate);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), 0);
    tally_update(tally);
    assert_int_equal(tally->ok, 3);
    worker_consume(f->worker, 1);
    assert_each_once(tally, 10, 0);
    stop(f);
    tally_free(tally);
    free(options);
}

/* Where to begin is unknown, and guessing would lose or repeat: it does not start. */
static void a_damaged_file_is_refused(void **state)
{
    struct fixture *f = *state;
    char *path;

    consume(f, STATE, "", "", IMMEDIATELY);
    worker_consume(f->worker, 1);
    path = state_file(f);
    stop(f);
    free(write_file("/", path + 1, "warren-stream 1 offset    0000000000000000002x\n"));
    worker_run(f->worker, NULL);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), 1);
    worker_expect_logged(f->worker, path, "it is damaged", 1);
    free(path);
}

/* A stream that keeps two of its segments of 20 kB at most. */
static void declare_short_stream(struct fixture *f)
{
    const amqp_table_entry_t arguments[] = {
        {.key = amqp_cstring_bytes("x-max-length-bytes"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = 40000}}},
        {.key = amqp_cstring_bytes("x-stream-max-segment-size-bytes"),
         .value = {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = 20000}}}};

    peer_declare_with(f->peer, f->queue, "stream", arguments, 2);
}

static bool has_first_segment(struct fixture *f)
{
    char *count = broker_eval(f->broker,
                              "{ok, D} = application:get_env(osiris, data_dir), "
                              "length(filelib:wildcard(filename:join([D, \"*%s_*\", "
                              "\"00000000000000000000.segment\"]))).",
                              f->queue);
    bool has = strcmp(count, "0") != 0;

    free(count);
    return has;
}

/* Publish until the retention has removed what was published first. */
static void outgrow_retention(struct fixture *f)
{
    char *body = calloc(1, 10000);

    assert_non_null(body);
    assert_true(has_first_segment(f));
    for (int i = 0; i < 12; i++)
        peer_publish(f->peer, "", f->queue, body, 10000, NULL);
    assert_true(WAIT_FOR(!has_first_segment(f), PATIENCE_MS));
    free(body);
}

/* `on_gap: stop` becomes `on_gap: continue`. */
static void go_on_at_a_gap(struct fixture *f)
{
    char *yaml = read_file(f->worker->config, NULL);
    char *file = strrchr(f->worker->config, '/') + 1;
    char *stop = yaml ? strstr(yaml, "on_gap: stop    ") : NULL;

    assert_non_null(stop);
    memcpy(stop, "on_gap: continue", strlen("on_gap: continue"));
    free(write_file(f->worker->directory, file, yaml));
    free(yaml);
}

/* What the retention removed before it was handled is counted and told, and then `on_gap` says what
 * becomes of the worker. */
static void a_gap_is_told(void **state)
{
    struct fixture *f = *state;
    struct tally *tally;

    declare_short_stream(f);
    f->worker = worker_new(f->broker->uri,
                           "topology: {queues: [{name: %s, type: stream, passive: true}]}\n" STATE
                           "\nsubscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: record}\n"
                           "    on_gap: stop    \n"
                           "    arguments: {x-stream-offset: first}\n",
                           f->queue, f->queue);
    publish(f, 0, 3);
    worker_consume(f->worker, 1);
    tally = books(f, 3);
    assert_each_once(tally, 3, 0);
    stop(f);
    outgrow_retention(f);

    worker_consume(f->worker, 1);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), 1);
    worker_expect_logged(f->worker, "level=error", "expected_offset=3", 1);
    assert_true(worker_number(f->worker, "retention removed", "missing") > 0);
    tally_wait(tally, 3, 0);
    assert_int_equal(tally->lines, 3);

    go_on_at_a_gap(f);
    worker_consume(f->worker, 1);
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "level=warn", "expected_offset=3") == 1, PATIENCE_MS));
    stop(f);
    tally_free(tally);
}

/* What would be lost, and what to do about it, is said once. */
static void without_state_dir_there_is_a_warning(void **state)
{
    struct fixture *f = *state;

    consume(f, "", "", "", IMMEDIATELY);
    worker_consume(f->worker, 1);
    worker_expect_logged(f->worker, "stream without state_dir", f->queue, 1);
    stop(f);
}

#define T(name) FIXTURE_TEST(name, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(cut_before_the_first_message),
        T(cut_while_messages_are_published),
        T(first_is_not_begun_again),
        T(what_is_settled_is_not_handled_again),
        T(a_retry_survives_the_connection),
        T(rejected_ones_do_not_come_again),
        T(dead_letters_survive_the_connection),
        T(handed_back_ones_are_run_again),
        T(pauses_lose_and_repeat_nothing),
        T(a_killed_worker_goes_on),
        T(a_worker_killed_at_work_loses_nothing),
        T(killed_before_the_first_message),
        T(a_stopped_worker_repeats_nothing),
        T(a_damaged_file_is_refused),
        T(a_gap_is_told),
        T(without_state_dir_there_is_a_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
