/* test_reload.c - a running worker reads its configuration again: `warren reload`, what changes in
 * place, what each mistake does, and that nothing is lost or doubled.
 */
#include <signal.h>
#include <unistd.h>

#include <jansson.h>

#include "support/admin.h"
#include "support/command.h"
#include "support/fixture.h"

#define TOKEN "a-token-of-some-length"

struct reloader {
    char *address;
    char *token_file;
};

/* A worker with an admin listener, @rest behind it. */
static void start(struct fixture *f, int subscriptions, const char *rest)
{
    struct reloader *own = f->own = calloc(1, sizeof *own);
    char *directory = f->directory;

    own->token_file = write_file(directory, "token", TOKEN "\n");
    f->worker = worker_new(f->broker->uri, "admin: {listen: '127.0.0.1:0', token_file: '%s'}\n%s",
                           own->token_file, rest);
    worker_consume(f->worker, subscriptions);
    own->address = admin_address(f->worker);
}

static struct command reload(struct fixture *f, const char *json)
{
    const struct reloader *own = f->own;

    if (json)
        return COMMAND("reload", "--json", "--token-file", own->token_file, own->address);
    return COMMAND("reload", "--token-file", own->token_file, own->address);
}

/* @return the exit status was right, and @said is in what it wrote */
static void reload_says(struct fixture *f, int status, const char *said)
{
    struct command command = reload(f, NULL);

    command_expect(&command, status);
    if (said && !strstr(command.out, said) && !strstr(command.err, said))
        fail_msg("\"%s\" is not in: %s%s", said, command.out, command.err);
    command_done(&command);
}

/* Write the configuration again with @from replaced by @to. */
static void edit(struct fixture *f, const char *from, const char *to)
{
    char *old = read_file(f->worker->config, NULL);
    char *at = strstr(old, from);
    char *now;

    if (!at)
        fail_msg("\"%s\" is not in: %s", from, old);
    now = text("%.*s%s%s", (int)(at - old), old, to, at + strlen(from));
    free(write_file(f->worker->directory, "worker.yaml", now));
    free(now);
    free(old);
}

static bool page_says(struct fixture *f, const char *line)
{
    const struct reloader *own = f->own;
    char *body;
    bool says;

    admin_get(own->address, "/metrics", TOKEN, &body);
    says = strstr(body, line) != NULL;
    free(body);
    return says;
}

static void end_rig(struct fixture *f)
{
    struct reloader *own = f->own;

    free(own->address);
    free(own->token_file);
}

static void end(struct fixture *f)
{
    assert_int_equal(worker_stop(f->worker), 0);
    end_rig(f);
}

static char *recording(const struct fixture *f, const char *more)
{
    return text("subscriptions:\n"
                "  - {queue: %s, handler: probe.record, prefetch: 10, concurrency: 2, options: "
                "{path: record, gate: '%s', gate_body: wait}%s}\n",
                f->queue, f->gate, more);
}

static void start_recording(struct fixture *f, const char *more)
{
    char *rest = recording(f, more);

    start(f, 1, rest);
    f->record = worker_path(f->worker, "record");
    free(rest);
}

/* ---- the command ---- */

/* What has changed is told, and in force: without a restart, and without a message that comes
 * again. */
static void numbers_change_in_place(void **state)
{
    struct fixture *f = *state;
    char *prefetch = text("warren_prefetch{queue=\"%s\",handler=\"probe.record\"} 20\n", f->queue);
    char *said = text("changed: prefetch of %s: 10 > 20\n", f->queue);

    start_recording(f, "");
    reload_says(f, 0, "unchanged: the file says what is in force");
    for (int i = 0; i < 15; i++)
        fixture_publish(f, NULL, "wait");
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 10, PATIENCE_MS));
    edit(f, "prefetch: 10, concurrency: 2", "prefetch: 20, concurrency: 5");
    reload_says(f, 0, said);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 15, PATIENCE_MS));
    assert_true(WAIT_FOR(worker_logged(f->worker, "waits for its gate", NULL) == 5, PATIENCE_MS));
    assert_true(WAIT_FOR(page_says(f, prefetch), PATIENCE_MS));
    assert_true(page_says(f, "\nwarren_config_generation 2\n"));
    assert_true(page_says(f, "warren_config_reloads_total{result=\"unchanged\"} 1\n"));
    assert_true(page_says(f, "warren_config_reloads_total{result=\"changed\"} 1\n"));
    edit(f, "prefetch: 20, concurrency: 5", "prefetch: 3, concurrency: 1");
    reload_says(f, 0, "concurrency of");
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 15));
    for (int i = 0; i < 10; i++)
        fixture_publish(f, NULL, "x");
    assert_true(fixture_recorded(f, 25));
    assert_int_equal(worker_number(f->worker, "consuming queue=", "redelivered"), -1);
    free(prefetch);
    free(said);
    end(f);
    assert_int_equal(worker_number(f->worker, "stopped", "redelivered"), 0);
}

/* What needs another connection needs a restart, and it is told why: 1. */
static void what_cannot_change_says_why(void **state)
{
    struct fixture *f = *state;
    struct command command;
    json_t *answer;

    start_recording(f, "");
    edit(f, "reconnect_delay_min: 50ms", "reconnect_delay_min: 60ms");
    edit(f, "prefetch: 10", "prefetch: 11");
    reload_says(f, 1,
                "needs a restart: broker.reconnect_delay_min: it is of the connections, which stay "
                "open\n");
    assert_true(page_says(f, "\nwarren_config_restart_needed 1\n"));
    command = reload(f, "json");
    command_expect(&command, 1);
    answer = json_loads(command.out, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(answer, "result")), "unchanged");
    assert_int_equal(json_integer_value(json_object_get(answer, "generation")), 2);
    assert_int_equal(json_array_size(json_object_get(answer, "restart")), 1);
    json_decref(answer);
    command_done(&command);
    end(f);
}

/* Messages stand in lines by it, and by fairness: both stay, while the prefetch changes. */
static void an_order_needs_a_restart(void **state)
{
    struct fixture *f = *state;
    char *said =
        text("needs a restart: order of %s: messages that are here stand in lines by it", f->queue);
    char *fair =
        text("needs a restart: fair of %s: messages that are here stand in lines by it", f->queue);
    char *window = text("warren_prefetch{queue=\"%s\",handler=\"probe.record\"} 32\n", f->queue);
    char *bound =
        text("warren_order_max_waiting{queue=\"%s\",handler=\"probe.record\"} 5\n", f->queue);

    start_recording(f, ", order: {by: message_id, held: 5}, fair: {by: routing_key, held: 7}");
    edit(f, "held: 5}", "held: 6}");
    edit(f, "prefetch: 10", "prefetch: 20");
    reload_says(f, 1, said);
    edit(f, "held: 7}", "held: 8}");
    reload_says(f, 1, fair);
    assert_true(page_says(f, window));
    assert_true(page_says(f, bound));
    fixture_publish(f, "m-1", "go");
    assert_true(fixture_recorded(f, 1));
    end(f);
    free(said);
    free(fair);
    free(window);
    free(bound);
}

/* Who does not know the token, or asks nobody, changes nothing. */
static void the_token_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct reloader *own;
    struct command command;

    start_recording(f, "");
    own = f->own;
    command = COMMAND("reload", own->address);
    command_expect(&command, 1);
    assert_non_null(strstr(command.err, "it wants a token (--token-file)"));
    command_done(&command);
    command = COMMAND("reload", "127.0.0.1:1");
    command_expect(&command, 1);
    command_done(&command);
    command = COMMAND("reload", "127.0.0.1");
    command_expect(&command, 2);
    command_done(&command);
    assert_int_equal(worker_logged(f->worker, "reload:", NULL), 0);
    end(f);
}

/* ---- mistakes ---- */

static void half_a_plugin(const struct fixture *f)
{
    char *path = worker_path(f->worker, "half.so");
    char *whole = read_file(WARREN_PLUGIN_DIR "/links.so", NULL);
    FILE *file = fopen(path, "we");

    assert_true(file && fwrite(whole, 3000, 1, file) == 1);
    fclose(file);
    free(whole);
    free(path);
}

/* Each is one sentence that says where, exit status 2, and nothing of the file is in force. */
static void a_mistake_changes_nothing(void **state)
{
    static const struct {
        const char *from, *to, *why;
    } rows[] = {
        {"subscriptions:", "subscriptions: [", "worker.yaml:"},
        {"subscriptions:", "consumer: {prefech: 7}\nsubscriptions:", "did you mean 'prefetch'?"},
        {"plugins: [", "plugins: [/nowhere.so, ", "/nowhere.so: cannot open the plugin"},
        {"plugins: [", "plugins: [half.so, ",
         "/half.so: cannot load the plugin: it has 3000 bytes"},
        {"plugins: [", "plugins: [" WARREN_PLUGIN_DIR "/bad_abi.so, ", "was compiled for ABI"},
        {"probe.record", "probe.recrd", "no handler probe.recrd; did you mean probe.record?"},
        {"concurrency: 2", "concurrency: 256", "the flight recorder, made at the start, has no"},
        {"prefetch: 10,", "prefetch: 10, middleware: [retry, idempotency],", "set store.path"},
    };
    struct fixture *f = *state;
    struct command refused;
    char *right;

    start_recording(f, "");
    half_a_plugin(f);
    right = read_file(f->worker->config, NULL);
    edit(f, "subscriptions:", "subscription:");
    refused = reload(f, NULL);
    command_expect(&refused, 2);
    assert_int_equal(lines_in(refused.err), 1); /* no hint at --help */
    command_done(&refused);
    free(write_file(f->worker->directory, "worker.yaml", right));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        edit(f, "path: record", "path: elsewhere");
        edit(f, rows[i].from, rows[i].to);
        reload_says(f, 2, rows[i].why);
        reload_says(f, 2, "the configuration stays as it was: ");
        free(write_file(f->worker->directory, "worker.yaml", right));
    }
    fixture_publish(f, NULL, "x");
    assert_true(fixture_recorded(f, 1));
    assert_true(page_says(f, "\nwarren_config_generation 1\n"));
    assert_true(page_says(f, "warren_config_reloads_total{result=\"refused\"} 17\n"));
    free(right);
    end(f);
}

/* Who drains reads no configuration, and says so. */
static void a_worker_that_drains_refuses(void **state)
{
    struct fixture *f = *state;

    start_recording(f, "");
    fixture_publish(f, NULL, "wait");
    assert_true(WAIT_FOR(worker_logged(f->worker, "waits for its gate", NULL) == 1, PATIENCE_MS));
    proc_signal(f->worker->proc, SIGTERM);
    assert_true(WAIT_FOR(worker_logged(f->worker, "SIGTERM", NULL) > 0, PATIENCE_MS));
    reload_says(f, 1, "the worker ends, and reads no configuration any more");
    fixture_open_gate(f);
    assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS),
                     0); /* a second SIGTERM would hurry it */
    end_rig(f);
}

/* ---- chains ---- */

static size_t lines(struct fixture *f, const char *name)
{
    char *path = worker_path(f->worker, name);
    size_t count = count_lines(path);

    free(path);
    return count;
}

static void assert_file(struct fixture *f, const char *name, const char *expected)
{
    char *path = worker_path(f->worker, name);
    char *content = read_file(path, NULL);

    assert_string_equal(content ? content : "(no file)", expected);
    free(content);
    free(path);
}

/* An attempt ends in the chain that it began in, however long that takes; those that wait behind it
 * get the new one. */
static void an_attempt_keeps_its_chain(void **state)
{
    struct fixture *f = *state;
    char *rest = text("subscriptions:\n"
                      "  - {queue: %s, handler: probe.record, prefetch: 10, concurrency: 1,\n"
                      "     options: {path: record, gate: '%s', gate_body: wait},\n"
                      "     middleware: [{links.outer: {path: marks}}]}\n",
                      f->queue, f->gate);

    start(f, 0, "subscriptions: [{queue: none, handler: probe.record, options: {path: record}}]");
    edit(f, "plugins: [", "plugins: [" WARREN_PLUGIN_DIR "/links.so, ");
    edit(f, "subscriptions: [{queue: none, handler: probe.record, options: {path: record}}]", rest);
    f->record = worker_path(f->worker, "record");
    reload_says(f, 0, "subscription none (probe.record): removed");
    fixture_publish(f, NULL, "wait");
    fixture_publish(f, NULL, "x");
    assert_true(WAIT_FOR(worker_logged(f->worker, "waits for its gate", NULL) == 1, PATIENCE_MS));
    edit(f, "[{links.outer: {path: marks}}]",
         "[{links.inner: {path: marks}}, {links.outer: {path: marks}}]");
    reload_says(f, 0, "[links.outer] > [links.inner, links.outer]");
    assert_int_equal(lines(f, "marks"), 1);
    fixture_open_gate(f);
    assert_true(WAIT_FOR(lines(f, "marks") == 6, PATIENCE_MS));
    assert_file(f, "marks", "outer>\n<outer ack\ninner>\nouter>\n<outer ack\n<inner ack\n");
    free(rest);
    end(f);
    assert_int_equal(worker_number(f->worker, "stopped", "redelivered"), 0);
}

/* ---- subscriptions ---- */

/* One that is added is consumed once its queue is declared; one that is removed finishes what it
 * is at, and leaves the rest in its queue. */
static void subscriptions_come_and_go(void **state)
{
    struct fixture *f = *state;
    char *added = text("topology: {queues: [{name: %s, type: classic}]}\n"
                       "subscriptions:\n"
                       "  - {queue: %s, handler: probe.record, options: {path: other}}\n",
                       f->other, f->other);
    char *rest;

    peer_delete(f->peer, f->other);
    start_recording(f, "");
    rest = recording(f, "");
    edit(f, "subscriptions:\n", added);
    reload_says(f, 0, "): added\n");
    assert_true(WAIT_FOR(worker_logged(f->worker, "consuming queue=", f->other) == 1, PATIENCE_MS));
    peer_publish_many(f->peer, f->other, "m", 3);
    assert_true(WAIT_FOR(lines(f, "other") == 3, PATIENCE_MS));
    for (int i = 0; i < 5; i++)
        fixture_publish(f, NULL, "wait");
    assert_true(WAIT_FOR(worker_logged(f->worker, "waits for its gate", NULL) == 2, PATIENCE_MS));
    edit(f, strchr(rest, '\n') + 1, "");
    reload_says(f, 0, "(probe.record): removed\n");
    assert_true(WAIT_FOR(peer_count(f->peer, f->queue) == 3, PATIENCE_MS));
    assert_int_equal(peer_consumers(f->peer, f->queue), 0);
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 2));
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 0, PATIENCE_MS));
    assert_int_equal(peer_count(f->peer, f->queue), 3);
    /* And comes back. */
    edit(f, "subscriptions:\n", rest);
    reload_says(f, 0, "(probe.record): added\n");
    assert_true(fixture_recorded(f, 5));
    free(added);
    free(rest);
    end(f);
}

/* ---- plugins ---- */

/* The plugin @name, with @mark in place of the letters @old in it: beside its place, then renamed.
 */
static void install_as(struct fixture *f, const char *name, const char *old, const char *mark,
                       size_t most)
{
    char *from = text(WARREN_PLUGIN_DIR "/%s", name);
    size_t len;
    char *whole = read_file(from, &len);
    char *at = memmem(whole, len, old, strlen(old));
    char *beside = worker_path(f->worker, "beside.so");
    char *path = worker_path(f->worker, name);
    FILE *file = fopen(beside, "we");

    assert_true(at && file);
    memcpy(at, mark, strlen(mark));
    assert_int_equal(fwrite(whole, len < most ? len : most, 1, file), 1);
    fclose(file);
    assert_int_equal(rename(beside, path), 0);
    free(whole);
    free(beside);
    free(path);
    free(from);
}

static void install(struct fixture *f, const char *mark, size_t most)
{
    install_as(f, "edition.so", "edition-one", mark, most);
}

/* As `cp` does it. */
static void overwrite(struct fixture *f, const char *mark)
{
    char *path = worker_path(f->worker, "edition.so");
    size_t len;
    char *whole = read_file(path, &len);
    char *at = memmem(whole, len, "edition-", strlen("edition-"));
    FILE *file = fopen(path, "r+e");

    assert_true(at && file);
    fseek(file, at - whole, SEEK_SET);
    assert_int_equal(fwrite(mark, strlen(mark), 1, file), 1);
    fclose(file);
    free(whole);
    free(path);
}

/* A job that runs ends in the code that it began in; those behind it run in the new one. What is no
 * whole plugin, or was written over, changes nothing. */
static void a_plugin_is_loaded_anew(void **state)
{
    struct fixture *f = *state;
    char *rest = text("subscriptions:\n"
                      "  - {queue: %s, handler: edition.mark, concurrency: 2,\n"
                      "     options: {path: marks, gate: '%s'}}\n",
                      f->queue, f->gate);

    start(f, 0, "subscriptions: [{queue: none, handler: probe.record, options: {path: record}}]");
    install(f, "edition-one", SIZE_MAX);
    edit(f, "plugins: [", "plugins: [edition.so, ");
    edit(f, "subscriptions: [{queue: none, handler: probe.record, options: {path: record}}]", rest);
    reload_says(f, 0, "(edition.mark): added");
    fixture_publish(f, "1", "wait");
    assert_true(WAIT_FOR(lines(f, "marks") == 1, PATIENCE_MS));
    install(f, "edition-two", 5000);
    reload_says(f, 2, "/edition.so: cannot load the plugin: it has 5000 bytes");
    install(f, "edition-one", SIZE_MAX);
    reload_says(f, 0, "unchanged");
    install(f, "edition-two", SIZE_MAX);
    reload_says(f, 0, "changed: plugin edition: loaded anew, 1 > 1\n");
    fixture_publish(f, "2", "x");
    assert_true(WAIT_FOR(lines(f, "marks") == 3, PATIENCE_MS));
    fixture_open_gate(f);
    assert_true(WAIT_FOR(lines(f, "marks") == 4, PATIENCE_MS));
    assert_file(f, "marks",
                "edition-one 1\nedition-two 2\nedition-two 2 done\nedition-one 1 done\n");
    install(f, "edition-thr", SIZE_MAX);
    reload_says(f, 0, "changed: plugin edition: loaded anew");
    fixture_publish(f, "3", "x");
    assert_true(WAIT_FOR(lines(f, "marks") == 6, PATIENCE_MS));
    overwrite(f, "edition-fou");
    reload_says(f, 2, "the file was written over while its code runs");
    free(rest);
    end(f);
}

static void make_restless(struct fixture *f, const char *how)
{
    install_as(f, "restless.so", "restless-nothing", how, SIZE_MAX);
}

/* A plugin that ends the process, or never returns, while it is loaded, does so in a child; the
 * worker goes on. What is right is loaded. */
static void a_plugin_is_tried_in_a_child(void **state)
{
    static const struct {
        const char *how, *why;
    } rows[] = {
        {"restless-crashes", "/restless.so: loading it ended the process by signal 11 "},
        {"restless-exits-0", "/restless.so: loading it ended the process with status 0 "},
        {"restless-_exits0", "/restless.so: loading it ended the process with status 0 "},
    };
    struct fixture *f = *state;

    start_recording(f, "");
    edit(f, "plugins: [", "plugins: [restless.so, ");
    edit(f, "path: record", "path: elsewhere");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        make_restless(f, rows[i].how);
        reload_says(f, 2, rows[i].why);
    }
    reload_says(f, 2, "worker.yaml:");
    worker_expect_logged(f->worker, "stays as it was", "restless: here it ends", 1);
    assert_int_equal(worker_logged(f->worker, "first line", NULL), 0);
    assert_int_equal(proc_children(proc_pid(f->worker->proc)), 0);
    fixture_publish(f, NULL, "x");
    assert_true(fixture_recorded(f, 1));
    make_restless(f, "restless-writes!");
    edit(f, "path: elsewhere", "path: record");
    edit(f, "prefetch: 10", "prefetch: 11");
    reload_says(f, 0, "changed: plugins\n");
    assert_true(page_says(f, "\nwarren_config_generation 2\n"));
    end(f);
}

/* While one hangs, messages are handled; who ends does not wait for it. */
static void a_plugin_that_hangs_holds_up_nothing(void **state)
{
    struct fixture *f = *state;
    pid_t worker;

    start_recording(f, "");
    worker = proc_pid(f->worker->proc);
    edit(f, "plugins: [", "plugins: [restless.so, ");
    make_restless(f, "restless-deafens");
    proc_signal(f->worker->proc, SIGHUP);
    assert_true(WAIT_FOR(proc_children(worker) == 1, PATIENCE_MS));
    fixture_publish(f, NULL, "x");
    assert_true(fixture_recorded(f, 1));
    assert_int_equal(proc_children(worker), 1);
    end(f);
    assert_int_equal(worker_logged(f->worker, "SIGHUP: the configuration stays as it was",
                                   "/restless.so was not loaded any more"),
                     1);
}

static bool reloads(struct fixture *f)
{
    struct command command = reload(f, NULL);
    bool done = command.status == 0;

    command_done(&command);
    return done;
}

/* ---- what is remembered ---- */

/* Keys are claimed in the edition of before and completed there; a duplicate in the new one is
 * found, and while the first is handled, it waits. */
static void a_duplicate_is_found_by_the_next_edition(void **state)
{
    struct fixture *f = *state;
    char *rest = text("store: {path: store.db}\nsubscriptions:\n"
                      "  - {queue: %s, handler: probe.record, concurrency: 2,\n"
                      "     options: {path: record, gate: '%s', gate_body: wait},\n"
                      "     middleware: [retry, idempotency]}\n",
                      f->queue, f->gate);

    start(f, 1, rest);
    f->record = worker_path(f->worker, "record");
    fixture_publish(f, "same", "wait");
    assert_true(WAIT_FOR(worker_logged(f->worker, "waits for its gate", NULL) == 1, PATIENCE_MS));
    edit(f, "[retry, idempotency]", "[log, retry, idempotency, recover]");
    edit(f, "concurrency: 2", "concurrency: 3");
    reload_says(f, 0, "chain of");
    fixture_publish(f, "same", "wait");
    fixture_publish(f, "other", "x");
    assert_true(fixture_recorded(f, 1));
    fixture_open_gate(f);
    assert_true(fixture_recorded(f, 2));
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 0, PATIENCE_MS));
    assert_true(WAIT_FOR(page_says(f, "outcome=\"ack\"} 3\n"), PATIENCE_MS));
    assert_int_equal(count_lines(f->record), 2);
    /* The first one that needs a store needs it at the start. */
    free(rest);
    end(f);
}

/* A subscription that nobody needs a store for cannot get one without a restart. */
static void a_store_is_opened_at_the_start(void **state)
{
    struct fixture *f = *state;

    start_recording(f, ", middleware: [retry]");
    edit(f, "subscriptions:", "store: {path: store.db}\nsubscriptions:");
    edit(f, "[retry]", "[retry, idempotency]");
    reload_says(f, 2,
                "idempotency needs the store, which is opened at the start: restart the worker");
    fixture_publish(f, NULL, "x");
    assert_true(fixture_recorded(f, 1));
    end(f);
}

/* A subscription on a stream that is added begins where it was left when it is removed again. */
static void a_stream_is_left_and_taken_up(void **state)
{
    struct fixture *f = *state;
    char *stream = text("subscriptions:\n"
                        "  - {queue: %s, handler: probe.record, options: {path: record},\n"
                        "     arguments: {x-stream-offset: first}}\n",
                        f->other);
    char *rest = text("state_dir: state\ntopology: {queues: [{name: %s, type: stream}]}\n"
                      "subscriptions:\n"
                      "  - {queue: %s, handler: probe.record, options: {path: rest}}\n",
                      f->other, f->queue);

    peer_delete(f->peer, f->other);
    start(f, 1, rest);
    f->record = worker_path(f->worker, "record");
    peer_publish_many(f->peer, f->other, "m", 5);
    for (unsigned round = 1; round <= 2; round++) {
        edit(f, "subscriptions:\n", stream);
        assert_true(WAIT_FOR(reloads(f), PATIENCE_MS)); /* its file may be closed a moment later */
        assert_true(fixture_recorded(f, 5 * round));
        edit(f, strchr(stream, '\n') + 1, "");
        reload_says(f, 0, "): removed");
        assert_true(WAIT_FOR(peer_consumers(f->peer, f->other) == 0, PATIENCE_MS));
        peer_publish_more(f->peer, f->other, "m", 5 * round, 5);
    }
    assert_int_equal(count_lines(f->record), 10);
    free(stream);
    free(rest);
    end(f);
}

/* A message whose process ends is suspected by the next one, which begins with other subscriptions
 * than the first did: after SIGKILL by what is in @state_dir, after a crash in memory, too. */
static void suspects_are_known(struct fixture *f, const char *state_dir, const char *body)
{
    char *rest = text("%s\nsubscriptions:\n"
                      "  - {queue: %s, handler: crashing.run, options: {path: record}}\n",
                      state_dir, f->queue);
    char *added = text("subscriptions:\n"
                       "  - {queue: %s, handler: probe.record, options: {path: other}}\n",
                       f->other);

    peer_declare(f->peer, f->other, "classic");
    start(f, 1, rest);
    f->record = worker_path(f->worker, "record");
    edit(f, "subscriptions:\n", added);
    reload_says(f, 0, "): added\n");
    fixture_publish(f, "m", body);
    assert_true(fixture_recorded(f, 1));
    if (*state_dir) {
        proc_signal(f->worker->proc, SIGKILL);
        assert_int_equal(proc_wait(f->worker->proc, PATIENCE_MS), PROC_SIGNAL + SIGKILL);
        worker_consume(f->worker, 2);
    }
    assert_true(
        WAIT_FOR(worker_logged(f->worker, "flight recorder", "suspects=1") > 0, PATIENCE_MS));
    assert_int_equal(worker_logged(f->worker, "is of no use", NULL), 0);
    free(added);
    free(rest);
}

static void a_killed_handler_is_known_after_a_reload(void **state)
{
    struct fixture *f = *state;

    suspects_are_known(f, "state_dir: state", "stay");
    end(f);
}

static void a_crash_is_known_after_a_reload(void **state)
{
    struct fixture *f = *state;

    suspects_are_known(f, "", "segv");
    assert_true(WAIT_FOR(peer_count(f->peer, f->dlq) == 1, PATIENCE_MS));
    end(f);
}

/* ---- counted ---- */

/* Everything that can change does, again and again, while messages come as fast as they can be
 * handled. Each is handled once. */
static void nothing_is_lost_or_doubled(void **state)
{
    static const struct {
        const char *from, *to;
    } steps[] = {
        {"prefetch: 100", "prefetch: 30"},
        {"concurrency: 4", "concurrency: 9"},
        {"middleware: [retry]", "middleware: [retry, {links.outer: {path: marks}}]"},
        {"delay: 1ms", "delay: 2ms"},
        {"prefetch: 30", "prefetch: 200"},
        {"middleware: [retry, {links.outer: {path: marks}}]", "middleware: [log, retry, recover]"},
        {"concurrency: 9", "concurrency: 2"},
        {"prefetch_bytes: 64MiB", "prefetch_bytes: 2KiB"},
        {"middleware: [log, retry, recover]",
         "middleware: [retry, {rate_limit: {rate: 100000}}, recover]"},
        {"concurrency: 2", "concurrency: 6"},
        {"delay: 2ms", "delay: 0ms"},
        {"prefetch_bytes: 2KiB", "prefetch_bytes: 0"},
    };
    struct fixture *f = *state;
    char *rest = text("subscriptions:\n"
                      "  - {queue: %s, handler: probe.record, prefetch: 100, concurrency: 4,\n"
                      "     prefetch_bytes: 64MiB, options: {path: record, delay: 1ms},\n"
                      "     middleware: [retry]}\n",
                      f->queue);
    unsigned handled = 0;

    start(f, 0, rest);
    edit(f, "plugins: [", "plugins: [" WARREN_PLUGIN_DIR "/links.so, ");
    f->record = worker_path(f->worker, "record");
    peer_publish_many(f->peer, f->queue, "m", 2000);
    f->tally = tally_new(f->record, "m", 2000);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        handled += 100;
        assert_true(tally_wait_fed(f->tally, f->broker, f->queue, handled, PATIENCE_MS));
        edit(f, steps[i].from, steps[i].to);
        reload_says(f, 0, "changed: ");
    }
    assert_true(tally_wait(f->tally, f->tally->count, PATIENCE_MS));
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 0, PATIENCE_MS));
    tally_update(f->tally);
    assert_int_equal(f->tally->ok, f->tally->count);
    assert_int_equal(f->tally->lines, f->tally->count);
    assert_int_equal(f->tally->unexpected, 0);
    free(rest);
    end(f);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(numbers_change_in_place, "classic"),
        FIXTURE_TEST(what_cannot_change_says_why, "classic"),
        FIXTURE_TEST(an_order_needs_a_restart, "classic"),
        FIXTURE_TEST(the_token_is_asked_for, "classic"),
        FIXTURE_TEST(a_mistake_changes_nothing, "classic"),
        FIXTURE_TEST(a_worker_that_drains_refuses, "classic"),
        FIXTURE_TEST(an_attempt_keeps_its_chain, "classic"),
        FIXTURE_TEST(subscriptions_come_and_go, "classic"),
        FIXTURE_TEST(a_plugin_is_loaded_anew, "classic"),
        FIXTURE_TEST(a_plugin_is_tried_in_a_child, "classic"),
        FIXTURE_TEST(a_plugin_that_hangs_holds_up_nothing, "classic"),
        FIXTURE_TEST(a_duplicate_is_found_by_the_next_edition, "classic"),
        FIXTURE_TEST(a_store_is_opened_at_the_start, "classic"),
        FIXTURE_TEST(a_stream_is_left_and_taken_up, "classic"),
        FIXTURE_TEST(a_killed_handler_is_known_after_a_reload, "quorum"),
        FIXTURE_TEST(a_crash_is_known_after_a_reload, "quorum"),
        FIXTURE_TEST(nothing_is_lost_or_doubled, "classic"),
        FIXTURE_TEST(nothing_is_lost_or_doubled, "quorum"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
