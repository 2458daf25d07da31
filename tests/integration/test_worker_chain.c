/* test_worker_chain.c - chains of middlewares from the YAML file, on a real broker: which links
 * they have, in which order, what is refused, and what SIGHUP changes.
 */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"
#include "support/fixture.h"

#define PLUGINS "plugins=" WARREN_PLUGIN_DIR "/probe.so," WARREN_PLUGIN_DIR "/links.so"

/* One subscription of probe.record, which writes `record`; @top is the top of the file. */
static void configure(struct fixture *f, const char *top, const char *chain)
{
    f->worker = worker_new(f->broker->uri,
                           "%s\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: record}\n"
                           "    middleware: %s\n",
                           top, f->queue, chain);
}

static void run(struct fixture *f, int subscriptions)
{
    WORKER_RUN(f->worker, PLUGINS);
    if (!WAIT_FOR(worker_logged(f->worker, "consuming queue=", NULL) >= subscriptions, PATIENCE_MS))
        fail_msg("the worker does not consume:\n%s", proc_stderr(f->worker->proc));
}

static void publish(struct fixture *f, const char *queue, unsigned count)
{
    peer_publish_many(f->peer, queue, "m", count);
}

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

/* Write the configuration again with @from replaced by @to. */
static void edit(struct fixture *f, const char *from, const char *to)
{
    char *old = read_file(f->worker->config, NULL);
    char *at = strstr(old, from);
    char *path;
    char *now;

    assert_non_null(at);
    now = text("%.*s%s%s", (int)(at - old), old, to, at + strlen(from));
    path = write_file(f->worker->directory, "worker.yaml", now);
    free(path);
    free(now);
    free(old);
}

static void hang_up_until(struct fixture *f, const char *first, const char *second)
{
    int before = worker_logged(f->worker, first, second);

    proc_signal(f->worker->proc, SIGHUP);
    if (!WAIT_FOR(worker_logged(f->worker, first, second) > before, PATIENCE_MS))
        fail_msg("\"%s\" is not in:\n%s", first, proc_stderr(f->worker->proc));
}

/* ---- order and membership ---- */

/* Each subscription has the links that it lists, in that order; a user's stand among warren's. */
static void each_subscription_has_its_own_chain(void **state)
{
    struct fixture *f = *state;

    peer_declare(f->peer, f->other, "classic");
    f->worker = worker_new(f->broker->uri,
                           "middleware: {links.inner: {path: marks}}\n"
                           "subscriptions:\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: record, outcome: discard}\n"
                           "    middleware: [log, {links.outer: {path: marks}}, retry,\n"
                           "      links.inner, recover]\n"
                           "  - queue: %s\n"
                           "    handler: probe.record\n"
                           "    options: {path: record}\n"
                           "    middleware:\n"
                           "      - links.inner: {path: others}\n"
                           "      - links.outer: {path: others}\n",
                           f->queue, f->other);
    run(f, 2);
    publish(f, f->queue, 1);
    publish(f, f->other, 1);
    assert_true(WAIT_FOR(lines(f, "marks") == 4 && lines(f, "others") == 4, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    assert_file(f, "marks", "outer>\ninner>\n<inner discard\n<outer discard\n");
    assert_file(f, "others", "inner>\nouter>\n<outer ack\n<inner ack\n");
    worker_expect_logged(f->worker, "message handled", "outcome=discard", 1);
}

/* A link that does not call the next one decides alone. */
static void a_link_may_answer_itself(void **state)
{
    struct fixture *f = *state;

    configure(f, "", "[{links.outer: {path: marks, answer: discard}}]");
    run(f, 1);
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(lines(f, "marks") == 2, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    assert_file(f, "marks", "outer>\n<outer discard\n");
    assert_int_equal(lines(f, "record"), 0);
    assert_int_equal(worker_number(f->worker, "stopped", "discarded"), 1);
    assert_int_equal(peer_count(f->peer, f->queue), 0);
}

/* A link with `may` alone holds messages in the window, and no worker thread. */
static void a_link_may_hold_messages_back(void **state)
{
    struct fixture *f = *state;
    char *door;

    configure(f, "consumer: {concurrency: 1}", "[{links.door: {path: shut}}]");
    door = write_file(f->worker->directory, "shut", "");
    run(f, 1);
    publish(f, f->queue, 3);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 3, PATIENCE_MS));
    assert_int_equal(lines(f, "record"), 0);
    assert_int_equal(unlink(door), 0);
    assert_true(WAIT_FOR(lines(f, "record") == 3, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    free(door);
}

/* Without a list: log, trace, retry, recover, so that a failure is tried again and then ends. */
static void the_standard_chain_retries(void **state)
{
    struct fixture *f = *state;

    f->worker = worker_new(f->broker->uri,
                           "middleware: {retry: {max_attempts: 3, policy: immediate}}\n"
                           "subscriptions:\n"
                           "  - {queue: %s, handler: probe.record,\n"
                           "     options: {path: record, outcome: retry}}\n",
                           f->queue);
    run(f, 1);
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(lines(f, "record") == 3, PATIENCE_MS));
    assert_true(WAIT_FOR(worker_logged(f->worker, "outcome=reject", "gave up after 3 attempts") > 0,
                         PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(lines(f, "record"), 3);
    assert_int_equal(worker_number(f->worker, "stopped", "rejected"), 1);
}

/* ---- what is refused ---- */

/* `warren check` and `warren run` say the same, with the place, and exit with 2. */
static void refused(struct fixture *f, const char *chain, const char *why)
{
    configure(f, "", chain);
    for (int i = 0; i < 2; i++) {
        struct command command =
            COMMAND(i ? "run" : "check", "-c", f->worker->config, "--set", PLUGINS);

        command_expect(&command, 2);
        if (!strstr(command.err, "worker.yaml:") || !strstr(command.err, why))
            fail_msg("%s: \"%s\" is not in: %s", chain, why, command.err);
        command_done(&command);
    }
    worker_free(f->worker);
    f->worker = NULL;
}

static void orders_that_make_no_sense_are_refused(void **state)
{
    struct fixture *f = *state;

    refused(f, "[recover, retry]",
            "recover turns a panic into a failed attempt, which retry must see: put recover after "
            "retry");
    refused(f, "[retry, log]", "put log first, before retry");
    refused(f, "[{deadline: {limit: 5s}}, retry]", "put deadline after retry");
    refused(f, "[breaker, retry]", "put breaker after retry");
    refused(f, "[retry, trace, retry]", "retry stands twice");
}

static void wrong_middlewares_are_refused(void **state)
{
    struct fixture *f = *state;

    refused(f, "[rety]", "there is no middleware rety; did you mean retry?");
    refused(f, "[links.outr]", "there is no middleware links.outr; did you mean links.outer?");
    refused(f, "[deadline]", "'limit' is missing in the options of deadline");
    refused(f, "[{retry: {max_attempt: 1}}]", "did you mean 'max_attempts'?");
    refused(f, "[{retry: {initial_delay: 10s, max_delay: 1s}}]",
            "middleware retry: initial_delay (10000 ms) is above max_delay (1000 ms)");
}

/* A user's middleware is opened only by a worker that runs. */
static void a_middleware_that_cannot_be_opened_stops_the_start(void **state)
{
    struct fixture *f = *state;
    struct command command;

    configure(f, "", "[links.broken]");
    command = COMMAND("check", "-c", f->worker->config, "--set", PLUGINS);
    command_expect(&command, 0);
    command_done(&command);
    command = COMMAND("run", "-c", f->worker->config, "--set", PLUGINS);
    command_expect(&command, 2);
    assert_non_null(strstr(command.err, "middleware links.broken: broken on purpose"));
    command_done(&command);
}

/* ---- what is shown ---- */

static void the_commands_show_middlewares(void **state)
{
    struct fixture *f = *state;
    struct command command = COMMAND("handlers", WARREN_PLUGIN_DIR "/links.so");

    command_expect(&command, 0);
    assert_non_null(strstr(command.out, "  links.outer (middleware)\n"
                                        "    Writes lines around the rest of the chain.\n"
                                        "    path"));
    command_done(&command);
    command = COMMAND("handlers", "--json", WARREN_PLUGIN_DIR "/links.so");
    command_expect(&command, 0);
    assert_non_null(
        strstr(command.out, "\"handlers\":[],\"middlewares\":[{\"name\":\"links.outer\""));
    command_done(&command);
    configure(f, "middleware: {retry: {max_attempts: 9}}", "[retry, links.broken]");
    command = COMMAND("check", "--effective", "-c", f->worker->config, "--set", PLUGINS);
    command_expect(&command, 0);
    assert_non_null(strstr(command.out, "    middleware:\n      - \"retry\": {"));
    assert_non_null(strstr(command.out, "max_attempts: 9"));
    assert_non_null(strstr(command.out, "      - \"links.broken\"\n"));
    command_done(&command);
    edit(f, "max_attempts: 9", "max_attempts: -1");
    command = COMMAND("check", "--effective", "-c", f->worker->config, "--set", PLUGINS);
    command_expect(&command, 0);
    assert_non_null(strstr(command.out, "max_attempts: 5,"));
    command_done(&command);
}

/* ---- SIGHUP ---- */

/* One message an hour becomes a thousand a second, while the worker runs. */
static void a_reload_changes_a_rate(void **state)
{
    struct fixture *f = *state;

    configure(f, "middleware: {rate_limit: {rate: 1, per: 1h}}", "[retry, rate_limit]");
    run(f, 1);
    publish(f, f->queue, 5);
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 4, PATIENCE_MS));
    assert_true(WAIT_FOR(lines(f, "record") == 1, PATIENCE_MS));
    edit(f, "per: 1h", "per: 1ms");
    hang_up_until(f, "middleware has new options", "middleware=rate_limit");
    assert_true(WAIT_FOR(lines(f, "record") == 5, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
}

/* A user's middleware is told, too; the second time nothing is new. */
static void a_reload_reaches_a_users_middleware(void **state)
{
    struct fixture *f = *state;

    configure(f, "", "[{links.outer: {path: marks, text: old}}]");
    run(f, 1);
    edit(f, "text: old", "text: new");
    hang_up_until(f, "middleware has new options", "middleware=links.outer");
    hang_up_until(f, "SIGHUP: reopening", NULL);
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(lines(f, "marks") == 2, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    assert_file(f, "marks", "outer>new\n<outer ack\n");
    worker_expect_logged(f->worker, "middleware has new options", NULL, 1);
    assert_int_equal(worker_logged(f->worker, "needs a restart", NULL), 0);
}

/* A pipe that nobody writes, in place of the file: nothing waits for it. */
static void a_reload_of_a_pipe_waits_for_nothing(void **state)
{
    struct fixture *f = *state;

    configure(f, "", "[{links.outer: {path: marks, text: old}}]");
    run(f, 1);
    assert_int_equal(unlink(f->worker->config), 0);
    assert_int_equal(mkfifo(f->worker->config, 0600), 0);
    hang_up_until(f, "SIGHUP: the configuration stays as it was",
                  "it is a pipe, not a regular file");
    assert_int_equal(worker_stop(f->worker), 0);
}

/* A mistake changes nothing and is one line. */
static void a_reload_of_a_wrong_file_changes_nothing(void **state)
{
    struct fixture *f = *state;

    configure(f, "", "[{links.outer: {path: marks, text: old}}]");
    run(f, 1);
    edit(f, "text: old}", "text: new}}, {rety: {}");
    hang_up_until(f, "SIGHUP: the configuration stays as it was",
                  "there is no middleware rety; did you mean retry?");
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(lines(f, "marks") == 2, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    assert_file(f, "marks", "outer>old\n<outer ack\n");
    worker_expect_logged(f->worker, "level=error", NULL, 1);
}

/* The worker's own log gets louder while it runs. */
static void a_reload_changes_the_log(void **state)
{
    struct fixture *f = *state;

    configure(f, "log: {level: info}", "[log, retry]");
    run(f, 1);
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(lines(f, "record") == 1, PATIENCE_MS));
    /* By then the log has passed over it. */
    assert_true(WAIT_FOR(broker_unacked(f->broker, f->queue) == 0, PATIENCE_MS));
    edit(f, "level: info", "level: debug");
    hang_up_until(f, "log has a new level or format", "to=\"debug logfmt\"");
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, "message handled", "outcome=ack"), PATIENCE_MS));
    edit(f, "[log,", "[{log: {acked: error}},");
    hang_up_until(f, "middleware has new options", "middleware=log");
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, "level=error", "outcome=ack"), PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    worker_expect_logged(f->worker, "message handled", "outcome=ack", 2);
    assert_int_equal(worker_logged(f->worker, "needs a restart", NULL), 0);
}

/* A message that fails for ever is given up once the file says so. */
static void a_reload_ends_retries(void **state)
{
    struct fixture *f = *state;
    char *dlq = text("%s.dlq", f->queue);

    configure(f, "middleware: {retry: {max_attempts: 0, policy: immediate}}",
              "[retry, {links.outer: {path: marks, answer: retry}}]");
    run(f, 1);
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(lines(f, "marks") > 20, PATIENCE_MS));
    edit(f, "max_attempts: 0", "max_attempts: 3");
    hang_up_until(f, "middleware has new options", "middleware=retry");
    assert_true(WAIT_FOR(peer_count(f->peer, dlq) == 1, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(worker_logged(f->worker, "needs a restart", NULL), 0);
    free(dlq);
}

/* The next message has the new limit: 50 ms are too long for it now. */
static void a_reload_changes_a_time_limit(void **state)
{
    struct fixture *f = *state;

    configure(f, "middleware: {deadline: {limit: 10m}}",
              "[log, retry: {max_attempts: 1}, deadline]");
    edit(f, "path: record", "path: record, outcome: retry, delay: 50ms");
    run(f, 1);
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, "message handled", NULL) == 1, PATIENCE_MS));
    assert_int_equal(worker_logged(f->worker, "time limit of", NULL), 0);
    edit(f, "limit: 10m", "limit: 10ms");
    hang_up_until(f, "middleware has new options", "middleware=deadline");
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(worker_logged(f->worker, "message handled", NULL) == 2, PATIENCE_MS));
    worker_expect_logged(f->worker, "message handled", "time limit of 10ms passed", 1);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(worker_logged(f->worker, "needs a restart", NULL), 0);
}

/* Options that do not go together are a mistake in the file, too: nothing of it is taken over. */
static void a_reload_of_contradictory_options_changes_nothing(void **state)
{
    struct fixture *f = *state;

    configure(f, "log: {level: info}",
              "[{links.outer: {path: marks, text: old}}, breaker: {open_time: 1s}]");
    run(f, 1);
    edit(f, "level: info", "level: debug");
    edit(f, "text: old", "text: new");
    edit(f, "open_time: 1s", "open_time: 2s, max_open_time: 1s");
    hang_up_until(f, "SIGHUP: the configuration stays as it was",
                  "middleware breaker: open_time (2000 ms) is above max_open_time (1000 ms)");
    publish(f, f->queue, 1);
    assert_true(WAIT_FOR(lines(f, "marks") == 2, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    assert_file(f, "marks", "outer>old\n<outer ack\n");
    assert_int_equal(worker_logged(f->worker, "has new options", NULL), 0);
    assert_int_equal(worker_logged(f->worker, "has a new level", NULL), 0);
    assert_int_equal(worker_logged(f->worker, "read again", NULL), 0);
}

/* The same reason is in the log of a worker that is hung up, and on the screen of the check. */
static void refused_at_both(struct fixture *f, const char *why)
{
    struct command command = COMMAND("check", "-c", f->worker->config);

    command_expect(&command, 2);
    if (!strstr(command.err, why))
        fail_msg("\"%s\" is not in: %s", why, command.err);
    command_done(&command);
    hang_up_until(f, "SIGHUP: the configuration stays as it was", why);
}

/* As a copy leaves it that is under way. */
static void half_a_plugin(struct fixture *f)
{
    char *path = worker_path(f->worker, "half.so");
    char *whole = read_file(WARREN_HANDLER_DIR "/log.so", NULL);
    FILE *file = fopen(path, "we");

    assert_true(file && fwrite(whole, 3000, 1, file) == 1);
    fclose(file);
    free(whole);
    free(path);
}

/* What `warren check` refuses is one error, whatever else has changed in that file. */
static void a_reload_of_what_check_refuses_changes_nothing(void **state)
{
    static const struct {
        const char *from, *to, *why;
    } rows[] = {
        {"/log.so", "/missing.so", "/missing.so: cannot open the plugin"},
        {"plugins: [", "plugins: [half.so, ",
         "/half.so: cannot load the plugin: it has 3000 bytes, and its headers speak of "},
        {"probe.record", "probe.recrd", "no handler probe.recrd; did you mean probe.record?"},
        {"path: record", "path: record, outcome: perhaps", "outcome is 'perhaps', expected one of"},
        {"subscriptions:", "subscriptions:\n  - {queue: new, handler: probe.record}",
         "'path' is missing in the options of probe.record"},
        {"subscriptions:",
         "subscriptions:\n  - {queue: new, handler: probe.record, options: {path: record},\n"
         "     middleware: [{breaker: {name: one}}]}",
         "gives it other options than queue new"},
    };
    struct fixture *f = *state;
    char *right;

    configure(f, "log: {level: info}", "[{breaker: {name: one, probes: 2}}]");
    half_a_plugin(f);
    worker_consume(f->worker, 1);
    right = read_file(f->worker->config, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        edit(f, rows[i].from, rows[i].to);
        edit(f, "level: info", "level: debug");
        edit(f, "probes: 2", "probes: 3");
        refused_at_both(f, rows[i].why);
        free(write_file(f->worker->directory, "worker.yaml", right));
    }
    hang_up_until(f, "SIGHUP: the configuration was read again", "changed=0 need_restart=0");
    assert_int_equal(worker_stop(f->worker), 0);
    worker_expect_logged(f->worker, "stays as it was", NULL, 6);
    assert_int_equal(worker_logged(f->worker, "has new options", NULL), 0);
    assert_int_equal(worker_logged(f->worker, "has a new level", NULL), 0);
    assert_int_equal(worker_logged(f->worker, "needs a restart", NULL), 0);
    free(right);
}

/* A plugin that the worker does not have is loaded, a subscription of it added, and a shared
 * breaker is what it was in all chains of that name. */
static void a_reload_loads_a_new_plugin(void **state)
{
    struct fixture *f = *state;
    char *added;

    peer_declare(f->peer, f->other, "classic");
    configure(f, "log: {level: info}", "[{breaker: {name: one, probes: 2}}]");
    worker_consume(f->worker, 1);
    edit(f, "/log.so", "/log.so, " WARREN_PLUGIN_DIR "/links.so");
    added = text("subscriptions:\n  - {queue: %s, handler: probe.record, options: {path: record},\n"
                 "     middleware: [links.inner: {path: marks}, breaker: {name: one, probes: 3}]}",
                 f->other);
    edit(f, "subscriptions:", added);
    edit(f, "probes: 2", "probes: 3");
    hang_up_until(f, "SIGHUP: the configuration was read again", "changed=3 need_restart=0");
    worker_expect_logged(f->worker, "middleware has new options", "changed=probes", 1);
    publish(f, f->queue, 1);
    publish(f, f->other, 1);
    assert_true(WAIT_FOR(lines(f, "record") == 2, PATIENCE_MS));
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(lines(f, "marks"), 2);
    free(added);
}

/* What cannot change is named, once; what can does so all the same. */
static void a_reload_names_what_needs_a_restart(void **state)
{
    struct fixture *f = *state;

    configure(f, "consumer: {coalesce_us: 10}",
              "[{links.outer: {path: marks, text: old}}, {links.inner: {path: marks}}]");
    run(f, 1);
    edit(f, "coalesce_us: 10", "coalesce_us: 20");
    edit(f, "text: old", "text: new");
    edit(f, "inner: {path: marks}", "inner: {path: others}");
    hang_up_until(f, "SIGHUP: the configuration was read again", "changed=2 need_restart=1");
    worker_expect_logged(f->worker, "SIGHUP: what has changed here needs a restart",
                         "changed=consumer.coalesce_us", 1);
    worker_expect_logged(f->worker, "middleware has new options", "changed=text", 1);
    edit(f, "text: new", "text: newer");
    hang_up_until(f, "middleware has new options", NULL);
    edit(f, "coalesce_us: 20", "coalesce_us: 30");
    edit(f, "text: newer", "text: newest");
    hang_up_until(f, "middleware has new options", NULL);
    assert_int_equal(worker_stop(f->worker), 0);
    worker_expect_logged(f->worker, "needs a restart", NULL, 1);
}

/* Of one middleware some options change while it runs, and some make it be opened anew. */
static void a_reload_opens_a_middleware_anew(void **state)
{
    struct fixture *f = *state;

    configure(f, "", "[breaker: {name: a, window: 1m}]");
    run(f, 1);
    edit(f, "window: 1m", "window: 2m, probes: 2");
    hang_up_until(f, "SIGHUP: the configuration was read again", "changed=2 need_restart=0");
    assert_int_equal(
        worker_logged(f->worker, "middleware has new options", "changed=\"window, probes\""), 1);
    edit(f, "name: a, window: 2m", "name: b, window: 3m");
    hang_up_until(f, "SIGHUP: the configuration was read again", "changed=2 need_restart=0");
    worker_expect_logged(f->worker, "msg=changed", "breaker.name of test_worker_chain", 1);
    hang_up_until(f, "SIGHUP: the configuration was read again", "changed=0 need_restart=0");
    assert_int_equal(worker_stop(f->worker), 0);
    worker_expect_logged(f->worker, "middleware has new options", NULL, 1);
    assert_int_equal(worker_logged(f->worker, "stays as it was", NULL), 0);
}

/* A rate that the publisher.timeout of the beginning does not allow waits for a restart with it. */
static void a_reload_leaves_a_rate_that_needs_another_timeout(void **state)
{
    struct fixture *f = *state;

    configure(f, "publisher: {timeout: 10ms}", "[retry]");
    run(f, 1);
    edit(f, "timeout: 10ms", "timeout: 10ms, rate: 1");
    hang_up_until(f, "SIGHUP: the configuration stays as it was", "at rate 1 a message waits");
    edit(f, "timeout: 10ms", "timeout: 10s");
    hang_up_until(f, "SIGHUP: the configuration was read again", "changed=0 need_restart=2");
    worker_expect_logged(f->worker, "needs a restart",
                         "changed=\"publisher.timeout, publisher.rate\"", 1);
    assert_int_equal(worker_stop(f->worker), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(each_subscription_has_its_own_chain, "classic"),
        FIXTURE_TEST(a_link_may_answer_itself, "classic"),
        FIXTURE_TEST(a_link_may_hold_messages_back, "classic"),
        FIXTURE_TEST(the_standard_chain_retries, "classic"),
        FIXTURE_TEST(orders_that_make_no_sense_are_refused, "classic"),
        FIXTURE_TEST(wrong_middlewares_are_refused, "classic"),
        FIXTURE_TEST(a_middleware_that_cannot_be_opened_stops_the_start, "classic"),
        FIXTURE_TEST(the_commands_show_middlewares, "classic"),
        FIXTURE_TEST(a_reload_changes_a_rate, "classic"),
        FIXTURE_TEST(a_reload_reaches_a_users_middleware, "classic"),
        FIXTURE_TEST(a_reload_of_a_pipe_waits_for_nothing, "classic"),
        FIXTURE_TEST(a_reload_of_a_wrong_file_changes_nothing, "classic"),
        FIXTURE_TEST(a_reload_changes_the_log, "classic"),
        FIXTURE_TEST(a_reload_ends_retries, "classic"),
        FIXTURE_TEST(a_reload_changes_a_time_limit, "classic"),
        FIXTURE_TEST(a_reload_of_contradictory_options_changes_nothing, "classic"),
        FIXTURE_TEST(a_reload_of_what_check_refuses_changes_nothing, "classic"),
        FIXTURE_TEST(a_reload_loads_a_new_plugin, "classic"),
        FIXTURE_TEST(a_reload_names_what_needs_a_restart, "classic"),
        FIXTURE_TEST(a_reload_opens_a_middleware_anew, "classic"),
        FIXTURE_TEST(a_reload_leaves_a_rate_that_needs_another_timeout, "classic"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
