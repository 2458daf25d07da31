/* test_page.c - what the page of a real worker asks for: events, failures, dead letters; and who is
 * kept from what. The page itself in a browser: tests/page.
 */
#include <unistd.h>

#include <warren/worker.h>

#include "support/admin.h"
#include "support/fixture.h"
#include "support/letters.h"
#include "support/socket.h"

#define SESAME "Authorization: Bearer sesame\r\n"
#define WATCH  "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n" SESAME "\r\n"

/* A worker whose handler answers @outcome, with a token. @return its port */
static uint16_t run_answering(struct fixture *f, const char *outcome)
{
    char *token = write_file(f->directory, "token", "sesame\n");

    f->worker =
        worker_new(f->broker->uri,
                   "admin: {listen: '127.0.0.1:0', token_file: %s}\nsubscriptions:\n"
                   "  - {queue: %s, handler: probe.record, options: {path: record, outcome: "
                   "%s}}",
                   token, f->queue, outcome);
    f->record = worker_path(f->worker, "record");
    worker_consume(f->worker, 1);
    free(token);
    return admin_port(f->worker);
}

static bool says(uint16_t port, const char *path, const char *part)
{
    char *body;
    bool right = admin_ask(port, "GET", path, SESAME, NULL, &body) == 200 && strstr(body, part);

    free(body);
    return right;
}

/* ---- events and failures ---- */

/* Who watches is told what /metrics has. */
static void events_tell_what_metrics_tell(void **state)
{
    struct fixture *f = *state;
    uint16_t port = run_answering(f, "ack");
    char *settled = text("[[\"%s\",\"probe.record\",\"ack\"],7]", f->queue);
    char *metric = text("\nwarren_messages_settled_total{queue=\"%s\",handler=\"probe.record\","
                        "outcome=\"ack\"} 7\n",
                        f->queue);
    char *heard;
    int fd;

    for (int i = 0; i < 7; i++)
        fixture_publish(f, NULL, "x");
    fd = admin_send(port, WATCH);
    heard = admin_hear(fd, settled);
    assert_has(heard, "Content-Type: text/event-stream");
    assert_has(heard, "\r\n\r\ndata: {\"time_ms\":");
    assert_has(heard, settled);
    free(heard);
    heard = admin_hear(fd, "\"state\":\"consuming\"");
    assert_has(heard, "\"state\":\"consuming\"");
    assert_true(says(port, "/metrics", metric));
    close(fd);
    free(heard);
    assert_int_equal(worker_stop(f->worker), 0);
    free(settled);
    free(metric);
}

/* A hundred watch, half of which do not read: no message waits for them. */
static void watchers_cost_no_message(void **state)
{
    enum { WATCHERS = 100, MESSAGES = 2000 };
    struct fixture *f = *state;
    uint16_t port = run_answering(f, "ack");
    char *settled = text("[[\"%s\",\"probe.record\",\"ack\"],%d]", f->queue, MESSAGES);
    int fds[WATCHERS];

    for (int i = 0; i < WATCHERS; i++)
        fds[i] = admin_send(port, WATCH);
    assert_true(WAIT_FOR(says(port, "/metrics", "\nwarren_admin_watchers 100\n"), PATIENCE_MS));
    for (int i = 0; i < MESSAGES; i++)
        fixture_publish(f, NULL, "x");
    assert_true(fixture_recorded(f, MESSAGES));
    for (int i = 0; i < WATCHERS; i += 2) {
        char *heard = admin_hear(fds[i], settled);

        assert_has(heard, settled);
        free(heard);
    }
    for (int i = 0; i < WATCHERS; i++)
        close(fds[i]);
    assert_int_equal(worker_stop(f->worker), 0);
    free(settled);
}

/* What failed is told in groups; of a crash, that signal and calls are in it is the process's that
 * crashed, so here of errors alone. */
static void failures_are_told(void **state)
{
    struct fixture *f = *state;
    uint16_t port = run_answering(f, "reject");
    char *metric = text("\nwarren_dead_letters_total{queue=\"%s\",handler=\"probe.record\","
                        "reason=\"rejected\"} 2\n",
                        f->queue);
    char *body;

    assert_true(says(port, "/api/failures", "{\"groups\":[],\"forgotten\":0}"));
    fixture_publish(f, "one", "x");
    assert_true(WAIT_FOR(says(port, "/api/failures", "\"count\":1"), PATIENCE_MS));
    fixture_publish(f, "two", "x");
    assert_true(WAIT_FOR(says(port, "/api/failures", "\"count\":2"), PATIENCE_MS));
    admin_ask(port, "GET", "/api/failures", SESAME, NULL, &body);
    assert_has(body, "\"reason\":\"rejected\"");
    assert_has(body, "\"error\":\"the probe was told to answer reject\"");
    assert_has(body, "\"message_id\":\"two\"");
    free(body);
    assert_true(WAIT_FOR(says(port, "/metrics", metric), PATIENCE_MS));
    free(metric);
    assert_int_equal(worker_stop(f->worker), 0);
}

/* ---- dead letters ---- */

static char *path_of(const char *action, const struct fixture *f, const char *which)
{
    return text("/api/dead-letters/%s?queue=%s%s", action, f->dlq, which);
}

static void expect(uint16_t port, const char *method, char *path, const char *input, int status,
                   const char *part)
{
    char *body;
    int answered = admin_ask(port, method, path, SESAME, input, &body);

    if (answered != status || !strstr(body, part))
        fail_msg("%s %s answers %d: %s", method, path, answered, body);
    free(body);
    free(path);
}

static bool has(struct fixture *f, const char *queue, int count)
{
    return WAIT_FOR(peer_count(f->peer, queue) == count, PATIENCE_MS);
}

static void put(struct fixture *f, const char *id, const char *error)
{
    letter_put(f->peer, f->dlq,
               &(struct letter){.id = id,
                                .queue = f->queue,
                                .reason = "attempts",
                                .error = error,
                                .handler = "probe.record"});
}

/* Seen in groups, and one by one; then one comes back, and the worker handles it. */
static void a_replay_brings_it_back(void **state)
{
    struct fixture *f = *state;
    uint16_t port = run_answering(f, "ack");

    put(f, "one", "card 17");
    put(f, "two", "card 18");
    put(f, "<b>\"", "another");
    expect(port, "GET", path_of("groups", f, ""), NULL, 200, "\"count\":2");
    expect(port, "GET", path_of("messages", f, "&max=10"), NULL, 200, "\"body\":\"two\"");
    expect(port, "GET", path_of("messages", f, "&id=%3Cb%3E%22"), NULL, 200,
           "\"error\":\"another\"");
    expect(port, "POST", path_of("replay", f, "&id=one"), NULL, 200, "\"replayed\":1");
    assert_true(fixture_recorded(f, 1));
    assert_true(has(f, f->dlq, 2));
    worker_expect_logged(f->worker, "msg=replayed", "message_id=one", 1);
    expect(port, "POST", path_of("replay", f, "&id=gone"), NULL, 409, "\"said\":\"warren");
    expect(port, "POST", path_of("discard", f, "&id=two"), NULL, 200, "\"discarded\":1");
    worker_expect_logged(f->worker, "action=discard", "from=127.0.0.1:", 1);
    expect(port, "POST", path_of("replay", f, "&all=yes"), NULL, 200, "\"replayed\":1");
    assert_true(fixture_recorded(f, 2));
    assert_true(has(f, f->dlq, 0));
    assert_int_equal(worker_stop(f->worker), 0);
}

/* What a handler does to its process, such as to go elsewhere, is not for the commands that are run
 * for the page: they begin as the worker did. */
static void a_wandering_handler_changes_nothing(void **state)
{
    struct fixture *f = *state;
    char *token = write_file(f->directory, "token", "sesame\n");
    char *with, *all;
    uint16_t port;

    f->worker = worker_new(f->broker->uri,
                           "admin: {listen: '127.0.0.1:0', token_file: %s}\n"
                           "subscriptions: [{queue: %s, handler: restless.wander}]",
                           token, f->queue);
    all = read_file(f->worker->config, NULL);
    with = text("%.*s" WARREN_PLUGIN_DIR "/restless.so, %s", (int)(strchr(all, '[') + 1 - all), all,
                strchr(all, '[') + 1);
    free(write_file(f->worker->directory, "worker.yaml", with));
    worker_consume(f->worker, 1);
    port = admin_port(f->worker);
    fixture_publish(f, NULL, "x");
    assert_true(WAIT_FOR(says(port, "/metrics", "outcome=\"ack\"} 1\n"), PATIENCE_MS));
    put(f, "one", "card 17");
    expect(port, "GET", path_of("groups", f, ""), NULL, 200, "\"count\":1");
    assert_int_equal(worker_stop(f->worker), 0);
    free(token);
    free(with);
    free(all);
}

/* What was edited comes back in its new form; what is no message stays. */
static void an_edited_one_comes_back(void **state)
{
    struct fixture *f = *state;
    uint16_t port = run_answering(f, "ack");
    char *dump = text("{\"warren_dump\": 1, \"queue\": \"%s\", \"body\": \"mended\"}", f->queue);
    char *line;

    put(f, "one", "broken");
    expect(port, "POST", path_of("edit", f, "&id=one"), "{\"no dump", 409, "stays in");
    assert_true(has(f, f->dlq, 1));
    expect(port, "POST", path_of("edit", f, "&id=one"), dump, 200, "\"replayed\":1");
    assert_true(fixture_recorded(f, 1));
    line = read_file(f->record, &(size_t){0});
    assert_has(line, "\t6\t"); /* bytes of the body */
    free(line);
    free(dump);
    assert_int_equal(worker_stop(f->worker), 0);
}

/* Each of these says what is wrong, and does nothing. */
static void wrong_wishes_are_refused(void **state)
{
    struct fixture *f = *state;
    uint16_t port = run_answering(f, "ack");

    put(f, "one", "x");
    expect(port, "POST", path_of("replay", f, ""), NULL, 400, "which messages?");
    expect(port, "POST", path_of("discard", f, "&all=no"), NULL, 400, "which messages?");
    expect(port, "POST", path_of("discard", f, "&all=yes&id=one"), NULL, 400, "which messages?");
    expect(port, "POST", path_of("edit", f, "&group=x"), "{}", 400, "which message?");
    expect(port, "GET", path_of("messages", f, "&max=501"), NULL, 400, "1 to 500");
    expect(port, "GET", path_of("messages", f, "&max=0"), NULL, 400, "1 to 500");
    expect(port, "GET", path_of("messages", f, "&id=%00"), NULL, 400, "NUL");
    expect(port, "GET", path_of("messages", f, "&id=%zz"), NULL, 400, "two digits");
    expect(port, "GET", path_of("replay", f, "&all=yes"), NULL, 405, "method");
    expect(port, "POST", path_of("discard", f, "&id=--all"), NULL, 409, "--all");
    expect(port, "POST", text("/api/dead-letters/discard?queue=%s&all=yes", f->queue), NULL, 404,
           "dead-letter queue");
    expect(port, "POST", text("/api/dead-letters/discard?queue=--help&all=yes"), NULL, 404,
           "dead-letter queue");
    expect(port, "POST", text("/api/dead-letters/discard?all=yes"), NULL, 404, "dead-letter queue");
    assert_true(has(f, f->dlq, 1));
    assert_int_equal(worker_stop(f->worker), 0);
}

/* Any name of a queue and any error stay texts. */
static void strange_names_stay_texts(void **state)
{
    static const char queue[] = "--<script>\"'\\\xc3\xa4 %\x7f";
    static const char dlq[] = "--<script>\"'\\\xc3\xa4 %\x7f.dlq";
    struct fixture *f = *state;
    char *token = write_file(f->directory, "token", "sesame\n");
    uint16_t port;

    peer_declare(f->peer, queue, "classic");
    f->worker =
        worker_new(f->broker->uri,
                   "admin: {listen: '127.0.0.1:0', token_file: %s}\nsubscriptions:\n"
                   "  - {queue: \"--<script>\\\"'\\\\\xc3\xa4 %%\\x7f\", handler: probe.record, "
                   "options: {path: record, outcome: reject}}",
                   token);
    worker_consume(f->worker, 1);
    port = admin_port(f->worker);
    peer_publish(f->peer, "", queue, "\xff\x01</script>", 11, NULL);
    assert_true(WAIT_FOR(says(port, "/api/failures",
                              "\"queue\":\"--\\u003cscript\\u003e\\\"'\\\\\xc3\xa4 %\\u007f\""),
                         PATIENCE_MS));
    assert_true(has(f, dlq, 1));
    expect(
        port, "GET",
        text("/api/dead-letters/groups?queue=--%%3Cscript%%3E%%22%%27%%5C%%C3%%A4%%20%%25%%7F.dlq"),
        NULL, 200, "\"count\":1");
    expect(port, "GET",
           text("/api/dead-letters/messages?queue=--%%3Cscript%%3E%%22'%%5C%%C3%%A4+%%25%%7F.dlq"),
           NULL, 200, "\"body_base64\":");
    expect(port, "POST",
           text("/api/dead-letters/"
                "discard?all=yes&queue=--%%3Cscript%%3E%%22'%%5C%%C3%%A4+%%25%%7F.dlq"),
           NULL, 200, "\"discarded\":1");
    assert_int_equal(worker_stop(f->worker), 0);
    peer_delete_alone(f->peer, queue);
    peer_delete_alone(f->peer, dlq);
    free(token);
}

/* ---- who is kept from what ---- */

/* A page elsewhere, in the browser of somebody who may ask, changes nothing and reads nothing. */
static void another_page_changes_nothing(void **state)
{
    static const char *const heads[] = {"",
                                        "Cookie: token=sesame\r\n",
                                        "Authorization: Basic c2VzYW1l\r\n",
                                        SESAME "Origin: http://evil.example\r\n",
                                        SESAME "Origin: null\r\n",
                                        SESAME "Sec-Fetch-Site: cross-site\r\n"};
    static const char *const paths[] = {"/events", "/api/failures", "/api/dead-letters"};
    struct fixture *f = *state;
    uint16_t port = run_answering(f, "ack");
    char *discard = path_of("discard", f, "&all=yes");

    put(f, "one", "x");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int status = strncmp(heads[i], SESAME, strlen(SESAME)) == 0 ? 403 : 401;

        assert_int_equal(admin_ask(port, "POST", discard, heads[i], NULL, NULL), status);
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(admin_ask(port, "GET", paths[k], heads[i], NULL, NULL), status);
    }
    assert_true(has(f, f->dlq, 1));
    assert_int_equal(worker_stop(f->worker), 0);
    free(discard);
}

/* Without a token all can be seen that has no message in it, and nothing be changed. */
static void without_a_token_it_is_read_only(void **state)
{
    struct fixture *f = *state;
    char *discard = path_of("discard", f, "&all=yes");
    char *messages = path_of("messages", f, "");
    uint16_t port;
    char *body;

    f->worker = worker_new(f->broker->uri,
                           "admin: {listen: '127.0.0.1:0'}\nsubscriptions:\n"
                           "  - {queue: %s, handler: probe.record, options: {path: record}}",
                           f->queue);
    worker_consume(f->worker, 1);
    port = admin_port(f->worker);
    assert_int_equal(admin_ask(port, "GET", "/api/failures", "", NULL, NULL), 200);
    assert_int_equal(admin_ask(port, "GET", "/api/failures", "Host: evil.example\r\n", NULL, NULL),
                     403);
    assert_int_equal(admin_ask(port, "GET", messages, SESAME, NULL, NULL), 403);
    assert_int_equal(admin_ask(port, "POST", discard, SESAME, NULL, &body), 403);
    assert_has(body, "admin.token_file");
    free(body);
    assert_int_equal(admin_ask(port, "GET", "/", "", NULL, &body), 200);
    assert_has(body, "<script src=\"page.js\" defer></script>");
    free(body);
    assert_int_equal(worker_stop(f->worker), 0);
    free(discard);
    free(messages);
}

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_ACK;
}

/* A program with a worker inside is not the command that would be run: it says so. */
static void an_embedded_worker_refuses(void **state)
{
    static const struct warren_handler handlers[] = {{.name = "ack", .handle = handle}, {0}};
    const struct warren_plugin plugin = WARREN_PLUGIN_INIT(.name = "own", .handlers = handlers);
    const struct warren_plugin *const plugins[] = {&plugin};
    struct fixture *f = *state;
    char *token = write_file(f->directory, "token", "sesame\n");
    struct warren_worker_options options = {
        .size = sizeof options, .plugins = plugins, .plugin_count = 1};
    struct warren_worker *embedded;
    struct warren_error error;
    uint16_t port;
    int fd = socket_listen(&port);
    char *yaml = text("broker: {uri: '%s'}\nadmin: {listen: '127.0.0.1:%u', token_file: %s}\n"
                      "subscriptions: [{queue: %s, handler: own.ack}]\n",
                      f->broker->uri, port, token, f->queue);

    options.config_text = yaml;
    socket_reset(fd);
    if (warren_worker_new(&options, &embedded, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    expect(port, "POST", path_of("discard", f, "&all=yes"), NULL, 501, "warren run");
    assert_int_equal(admin_ask(port, "GET", "/api/failures", SESAME, NULL, NULL), 200);
    warren_worker_free(embedded);
    free(yaml);
    free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(events_tell_what_metrics_tell, "classic"),
        FIXTURE_TEST(watchers_cost_no_message, "classic"),
        FIXTURE_TEST(failures_are_told, "classic"),
        FIXTURE_TEST(a_replay_brings_it_back, "classic"),
        FIXTURE_TEST(a_wandering_handler_changes_nothing, "classic"),
        FIXTURE_TEST(an_edited_one_comes_back, "classic"),
        FIXTURE_TEST(wrong_wishes_are_refused, "classic"),
        FIXTURE_TEST(strange_names_stay_texts, NULL),
        FIXTURE_TEST(another_page_changes_nothing, "classic"),
        FIXTURE_TEST(without_a_token_it_is_read_only, "classic"),
        FIXTURE_TEST(an_embedded_worker_refuses, "classic"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
