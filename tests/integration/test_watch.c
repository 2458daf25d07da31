/* test_watch.c - looking at a running worker: its threads, a profile, `warren top`. */
#include <signal.h>

#include <jansson.h>

#include "support/admin.h"
#include "support/command.h"
#include "support/fixture.h"

static void run_recording(struct fixture *f)
{
    f->worker = worker_new(f->broker->uri,
                           "admin: {listen: '127.0.0.1:0'}\nsubscriptions:\n"
                           "  - {queue: %s, handler: probe.record, concurrency: 2, options: "
                           "{path: record, gate: '%s', gate_body: wait}}",
                           f->queue, f->gate);
    f->record = worker_path(f->worker, "record");
    worker_consume(f->worker, 1);
}

/* ---- threads ---- */

/* The thread that has the message @id; NULL: none has. */
static json_t *thread_with(json_t *threads, const char *id)
{
    json_t *thread;
    size_t i;

    json_array_foreach(threads, i, thread)
    {
        const char *has = json_string_value(json_object_get(thread, "message_id"));

        if (has && strcmp(has, id) == 0)
            return thread;
    }
    return NULL;
}

static bool calls(const json_t *thread, const char *function)
{
    const json_t *name;
    size_t i;

    json_array_foreach(json_object_get(thread, "calls"), i, name)
    {
        if (strcmp(json_string_value(name), function) == 0)
            return true;
    }
    return false;
}

/* What hangs is seen where it hangs: the queue, the handler, the message, for how long, and the
 * function of the plugin; the other threads are there, too. */
static void who_waits_is_seen_where(void **state)
{
    struct fixture *f = *state;
    json_t *answer;
    json_t *threads;
    json_t *thread;
    char *address;
    char *body;

    run_recording(f);
    address = admin_address(f->worker);
    fixture_publish(f, "the-one", "wait");
    assert_true(WAIT_FOR(worker_logged(f->worker, "waits for its gate", NULL) == 1, PATIENCE_MS));
    for (int i = 0; i < 20; i++) /* who has an answer may ask again */
        assert_int_equal(admin_get(address, "/debug/threads", NULL, NULL), 200);
    assert_int_equal(admin_get(address, "/debug/threads", NULL, &body), 200);
    answer = json_loads(body, 0, NULL);
    assert_non_null(answer);
    threads = json_object_get(answer, "threads");
    assert_true(json_array_size(threads) >= 5);
    thread = thread_with(threads, "the-one");
    if (!thread)
        fail_msg("%s", body);
    assert_string_equal(json_string_value(json_object_get(thread, "queue")), f->queue);
    assert_string_equal(json_string_value(json_object_get(thread, "handler")), "probe.record");
    assert_true(json_real_value(json_object_get(thread, "for_s")) > 0);
    if (!calls(thread, "record") || !calls(thread, "worker_main"))
        fail_msg("%s", body);
    fixture_open_gate(f);
    assert_int_equal(worker_stop(f->worker), 0);
    json_decref(answer);
    free(body);
    free(address);
}

/* ---- a profile ---- */

/* Is @function in a profile of a second? On a busy machine the worker may have had no time in it.
 */
static bool folded_has(const char *address, const char *function)
{
    struct command command =
        COMMAND("profile", "--seconds", "1", "--folded", "--out", "-", address);
    bool has;

    command_expect(&command, 0);
    has = strstr(command.out, ";worker_main;") && strstr(command.out, function);
    command_done(&command);
    return has;
}

/* The same of a picture, which is written only if there is something to be seen. */
static bool pictured(const char *address, const char *path)
{
    struct command command = COMMAND("profile", "--seconds", "1", "--out", path, address);
    bool drawn = command.status == 0;

    if (!drawn)
        assert_non_null(strstr(command.err, "nothing ran"));
    command_done(&command);
    if (!drawn)
        return false;
    command = command_shell("head -c 5 \"$1\" && grep -q '<title>burn_cpu ' \"$1\"", path, "");
    assert_non_null(strstr(command.out, "<?xml"));
    drawn = command.status == 0;
    command_done(&command);
    return drawn;
}

/* A profile of a busy worker has the function that it is busy with, and so has the picture. */
static void a_busy_worker_is_profiled(void **state)
{
    struct fixture *f = *state;
    char *address;
    char *picture;

#ifdef __SANITIZE_THREAD__ /* hands signals on in calls that it knows, and not while one computes  \
                            */
    skip();
#endif
    f->worker = worker_new(f->broker->uri,
                           "admin: {listen: '127.0.0.1:0'}\nsubscriptions:\n"
                           "  - {queue: %s, handler: burning.run}",
                           f->queue);
    worker_consume(f->worker, 1);
    address = admin_address(f->worker);
    picture = worker_path(f->worker, "picture.svg");
    peer_publish_many(f->peer, f->queue, f->queue, 20000); /* 200 s of work */
    assert_true(WAIT_FOR(folded_has(address, ";burn_cpu"), PATIENCE_MS));
    assert_true(WAIT_FOR(pictured(address, picture), PATIENCE_MS));
    assert_int_equal(admin_get(address, "/debug/profile?seconds=301", NULL, NULL), 400);
    assert_int_equal(admin_get(address, "/debug/profile?seconds=1x", NULL, NULL), 400);
    free(picture);
    free(address);
}

/* Has the process a thread of this name? */
static bool has_thread(pid_t pid, const char *name)
{
    char *script = text("grep -qx %s /proc/%d/task/*/comm", name, (int)pid);
    struct command command = command_shell(script, "", "");
    bool has = command.status == 0;

    command_done(&command);
    free(script);
    return has;
}

/* An end does not wait for a profile: that ends, too, with what it has. */
static void an_end_ends_the_profile(void **state)
{
    struct fixture *f = *state;
    struct proc *profile;
    char *address;

    run_recording(f);
    address = admin_address(f->worker);
    profile = WARREN("profile", "--seconds", "300", "--folded", "--out", "-", address);
    assert_true(WAIT_FOR(has_thread(proc_pid(f->worker->proc), "warren-errand"), PATIENCE_MS));
    assert_int_equal(admin_get(address, "/debug/threads", NULL, NULL), 409);
    assert_int_equal(worker_stop(f->worker), 0);
    assert_int_equal(proc_wait(profile, PATIENCE_MS), 0);
    proc_free(profile);
    free(address);
}

/* ---- certificates ---- */

/* Where the worker asks for a certificate, both commands show theirs, and say that it is asked for.
 */
static void a_certificate_is_shown(void **state)
{
    struct fixture *f = *state;
    char *make_certs = text("%s/scripts/certs %s >/dev/null 2>&1", WARREN_SOURCE_DIR, f->directory);
    char *ca = text("%s/ca.pem", f->directory);
    char *cert = text("%s/client.pem", f->directory);
    char *key = text("%s/client.key", f->directory);
    char *address;
    struct command command;

    assert_int_equal(system(make_certs), 0);
    f->worker = worker_new(f->broker->uri,
                           "admin: {listen: '127.0.0.1:0', tls: {cert_file: %s/server.pem, "
                           "key_file: %s/server.key, ca_file: %s}}\nsubscriptions:\n"
                           "  - {queue: %s, handler: probe.reply}",
                           f->directory, f->directory, ca, f->queue);
    worker_consume(f->worker, 1);
    address = text("https://127.0.0.1:%u", admin_port(f->worker));
    command = COMMAND("top", "--json", "--ca", ca, "--cert", cert, "--key", key, address);
    command_expect(&command, 0);
    assert_has(command.out, f->queue);
    command_done(&command);
    command = COMMAND("profile", "--seconds", "1", "--folded", "--out", "-", "--ca", ca, "--cert",
                      cert, "--key", key, address);
    command_expect(&command, 0);
    command_done(&command);
    command = COMMAND("top", "--once", "--ca", ca, address);
    command_expect(&command, 1);
    assert_has(command.err, "--cert");
    command_done(&command);
    command = COMMAND("profile", "--seconds", "1", "--out", "-", "--ca", ca, address);
    command_expect(&command, 1);
    assert_has(command.err, "--cert");
    command_done(&command);
    free(make_certs);
    free(ca);
    free(cert);
    free(key);
    free(address);
}

/* ---- top ---- */

/* Two workers, of which one is not there: rates of the first, and why the other one is missing. */
static void top_shows_rates_and_who_is_missing(void **state)
{
    struct fixture *f = *state;
    struct command command;
    json_t *summary;
    json_t *row;
    char *address;

    run_recording(f);
    address = admin_address(f->worker);
    for (int i = 0; i < 3; i++)
        fixture_publish(f, NULL, "x");
    assert_true(fixture_recorded(f, 3));
    command = COMMAND("top", "--json", address, "127.0.0.1:1");
    command_expect(&command, 0);
    summary = json_loads(command.out, 0, NULL);
    row = json_array_get(json_object_get(summary, "subscriptions"), 0);
    assert_non_null(row);
    assert_string_equal(json_string_value(json_object_get(row, "queue")), f->queue);
    assert_true(json_is_true(json_object_get(row, "consuming")));
    assert_true(json_is_number(json_object_get(row, "settled_per_s")));
    assert_non_null(json_object_get(json_object_get(summary, "unreachable"), "127.0.0.1:1"));
    json_decref(summary);
    command_done(&command);
    command = COMMAND("top", "--once", "127.0.0.1:1");
    command_expect(&command, 1);
    assert_non_null(strstr(command.err, "127.0.0.1:1/metrics"));
    command_done(&command);
    command = COMMAND("top", "nonsense");
    command_expect(&command, 2);
    assert_non_null(strstr(command.err, "expected HOST:PORT"));
    command_done(&command);
    free(address);
}

/* On a terminal it is drawn, obeys keys, and leaves the terminal as it was. */
static void top_obeys_keys(void **state)
{
    static const char *const env[] = {"TERM=xterm", NULL};
    struct fixture *f = *state;
    struct command command;
    char *address;

    run_recording(f);
    address = admin_address(f->worker);
    command = command_typed((const char *const[]){"top", address, NULL}, env, "s?fq");
    command_expect(&command, 0);
    assert_non_null(strstr(command.out, "warren top: "));
    assert_non_null(strstr(command.out, "QUEUE > HANDLER"));
    assert_non_null(strstr(command.out, "sorts by name")); /* what ? shows */
    command_done(&command);
    command = command_typed((const char *const[]){"top", address, NULL},
                            (const char *const[]){"TERM=nonsense", NULL}, "q");
    command_expect(&command, 1);
    assert_non_null(strstr(command.out, "TERM=nonsense"));
    command_done(&command);
    free(address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(who_waits_is_seen_where, "classic"),
        FIXTURE_TEST(a_busy_worker_is_profiled, "classic"),
        FIXTURE_TEST(an_end_ends_the_profile, "classic"),
        FIXTURE_TEST(a_certificate_is_shown, "classic"),
        FIXTURE_TEST(top_shows_rates_and_who_is_missing, "classic"),
        FIXTURE_TEST(top_obeys_keys, "classic"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
