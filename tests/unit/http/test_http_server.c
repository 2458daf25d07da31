/* test_http_server.c - http/server.h over loopback: what is answered, and what is withstood. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../tls_identity.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "http/client.h"
#include "http/server.h"
#include "http/token.h"
#include "support/test.h"

#define DAY         86400L
#define DEADLINE_MS 30000
#define BIG         ((size_t)3 << 20)
#define HOST        "Host: here\r\n"

struct fixture {
    struct http_server *server;
    struct http_server_options options;
    struct http_address address;
    struct warren_error error;
    char folder[64];
    char token[96];
    char *big;
    struct http_later *_Atomic later; /* the answer that a test owes */
};

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

/* ---- handlers ---- */

static void hello(struct http_exchange *exchange, void *user)
{
    (void)user;
    http_answer(exchange, 200, "text/plain", "hello", 5);
}

static void big(struct http_exchange *exchange, void *user)
{
    struct fixture *f = user;

    http_answer(exchange, 200, "text/plain", f->big, BIG);
}

static void echo(struct http_exchange *exchange, void *user)
{
    const struct http_request *request = http_exchange_request(exchange);

    (void)user;
    http_answer(exchange, 200, "text/plain", request->body.data, request->body.len);
}

static void silent(struct http_exchange *exchange, void *user)
{
    (void)exchange;
    (void)user;
}

static void later(struct http_exchange *exchange, void *user)
{
    struct fixture *f = user;

    atomic_store(&f->later, http_answer_later(exchange, DEADLINE_MS));
}

static const struct http_route routes[] = {{"GET", "/hello", HTTP_OPEN, hello, 0},
                                           {"GET", "/secret", HTTP_READ, hello, 0},
                                           {"GET", "/big", HTTP_OPEN, big, 0},
                                           {"POST", "/echo", HTTP_OPEN, echo, 0},
                                           {"GET", "/silent", HTTP_OPEN, silent, 0},
                                           {"GET", "/later", HTTP_OPEN, later, 0},
                                           {0}};

/* ---- the server ---- */

static void write_token(struct fixture *f, const char *text)
{
    FILE *file = fopen(f->token, "w");

    fputs(text, file);
    fclose(file);
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.folder = "/tmp/warren-http-XXXXXX"};
    if (!mkdtemp(f.folder))
        return -1;
    snprintf(f.token, sizeof f.token, "%s/token", f.folder);
    f.big = malloc(BIG);
    memset(f.big, 'b', BIG);
    http_address_parse("127.0.0.1:0", &f.address, NULL);
    f.options = (struct http_server_options){
        .name = "test", .what = "of a test", .address = &f.address, .routes = routes, .user = &f};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    http_server_free(f->server);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    free(f->big);
    return system(command);
}

/* The address that it has becomes the options'. */
static void start(struct fixture *f)
{
    char text[HTTP_ADDRESS_TEXT_MAX];

    if (http_server_new(&f->options, &f->server, &f->error) != WARREN_OK ||
        http_server_start(f->server, &f->error) != WARREN_OK)
        fail_msg("%s", f->error.text);
    http_server_text(f->server, text);
    assert_int_equal(http_address_parse(text, &f->address, NULL), WARREN_OK);
}

/* ---- peers ---- */

static int dial(const struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&f->address.at, f->address.len), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Until the peer closes, or @count answers are there (each with a Content-Length), or it takes too
 * long, which fails. @return the text; to be freed */
static char *hear(int fd, size_t count)
{
    size_t size = BIG * 2;
    char *text = malloc(size);
    size_t len = 0;
    int64_t end_ms = now_ms() + DEADLINE_MS;

    text[0] = '\0';
    while (len < size - 1) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        const char *at = text;
        size_t found = 0;
        ssize_t got;

        while (count > 0 && (at = strstr(at, "Content-Length: "))) {
            const char *body = strstr(at, "\r\n\r\n");

            if (!body || strlen(body + 4) < strtoul(at + 16, NULL, 10))
                break;
            at = body + 4 + strtoul(at + 16, NULL, 10);
            found++;
        }
        if (count > 0 && found >= count)
            break;
        if (poll(&ready, 1, 100) == 0 && now_ms() > end_ms)
            fail_msg("no answer, but: %.200s", text);
        if (!ready.revents)
            continue;
        got = recv(fd, text + len, size - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        text[len] = '\0';
    }
    return text;
}

/* One request on a connection of its own, to its end. @return to be freed */
static char *ask(const struct fixture *f, const char *request)
{
    int fd = dial(f);
    char *text;

    say(fd, request);
    text = hear(fd, 0);
    close(fd);
    return text;
}

static void expect(const struct fixture *f, const char *request, const char *part)
{
    char *text = ask(f, request);

    if (!strstr(text, part))
        fail_msg("%s\nlacks %s\n%.500s", request, part, text);
    free(text);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

#define CLOSE "Connection: close\r\n\r\n"

/* ---- answers ---- */

static void routes_are_found(void **state)
{
    struct fixture *f = *state;

    start(f);
    expect(f, "GET /hello HTTP/1.1\r\n" HOST CLOSE, "HTTP/1.1 200 OK\r\n");
    expect(f, "GET /hello?a=b HTTP/1.1\r\n" HOST CLOSE, "\r\n\r\nhello");
    expect(f, "GET /hello HTTP/1.0\r\n\r\n", "\r\n\r\nhello");
    expect(f, "\r\n\r\nGET http://x/hello HTTP/1.1\r\n" HOST CLOSE, "\r\n\r\nhello");
    expect(f, "GET / HTTP/1.1\r\n" HOST CLOSE, "\"paths\":[\"/hello\",\"/secret\"");
    expect(f, "GET /../../etc/passwd HTTP/1.1\r\n" HOST CLOSE, " 404 ");
    expect(f, "GET /hello/../hello HTTP/1.1\r\n" HOST CLOSE, " 404 ");
    expect(f, "GET /%68ello HTTP/1.1\r\n" HOST CLOSE, " 404 ");
    expect(f, "GET /<script> HTTP/1.1\r\n" HOST CLOSE, " 404 ");
    expect(f, "GET /silent HTTP/1.1\r\n" HOST CLOSE, " 500 ");
}

/* HEAD is GET without the body; of other methods it is said which there are. */
static void methods_are_told_apart(void **state)
{
    struct fixture *f = *state;
    char *text;

    start(f);
    text = ask(f, "HEAD /hello HTTP/1.1\r\n" HOST CLOSE);
    assert_non_null(strstr(text, "Content-Length: 5\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    free(text);
    expect(f, "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" CLOSE,
           "405 Method Not Allowed\r\n");
    expect(f, "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" CLOSE,
           "Allow: GET, HEAD\r\n");
    expect(f, "GET /echo HTTP/1.1\r\n" HOST CLOSE, "Allow: POST\r\n");
    expect(f, "BREW /hello HTTP/1.1\r\n" HOST CLOSE, " 405 ");
}

/* Bodies come whole, also where the peer waits to be asked for them, up to the bound. */
static void bodies_arrive(void **state)
{
    struct fixture *f = *state;
    size_t len = HTTP_BODY_MAX;
    char *request = malloc(len + 200);
    char *text;
    int fd;

    start(f);
    expect(f, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n" CLOSE "body", "\r\n\r\nbody");
    fd = dial(f);
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\nExpect: 100-continue\r\n" CLOSE);
    assert_int_equal(recv(fd, request, 25, MSG_WAITALL), 25);
    assert_memory_equal(request, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    say(fd, "body");
    text = hear(fd, 0);
    assert_non_null(strstr(text, "\r\n\r\nbody"));
    free(text);
    close(fd);
    sprintf(request, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n" CLOSE, len);
    memset(request + strlen(request), 'q', len);
    request[strlen("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n" CLOSE) + len] =
        '\0';
    text = ask(f, request);
    assert_int_equal(strlen(strstr(text, "\r\n\r\n") + 4), len);
    free(text);
    free(request);
    expect(f, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\nand it begins",
           " 413 ");
}

/* A connection serves one request after the other, also those that were sent ahead. */
static void a_connection_is_used_again(void **state)
{
    struct fixture *f = *state;
    int fd;
    char *text;

    start(f);
    fd = dial(f);
    for (int i = 0; i < 3; i++) {
        say(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        text = hear(fd, 1);
        assert_non_null(strstr(text, "\r\n\r\nhello"));
        assert_null(strstr(text, "Connection: close"));
        free(text);
    }
    say(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /big HTTP/1.1\r\n" HOST
            "\r\nPOST /echo HTTP/1.1\r\n" HOST
            "Content-Length: 2\r\n\r\nokGET /no HTTP/1.1\r\n" HOST CLOSE
            "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    text = hear(fd, 0);
    assert_int_equal(count_of(text, "HTTP/1.1 200 OK"), 3);
    assert_int_equal(count_of(text, "HTTP/1.1 404 "), 1); /* the last one: what follows is lost */
    assert_non_null(strstr(text, "\r\n\r\nok"));
    free(text);
    close(fd);
}

/* Who has closed its half still gets the whole answer. */
static void a_half_closed_peer_is_answered(void **state)
{
    struct fixture *f = *state;
    int fd;
    char *text;

    start(f);
    fd = dial(f);
    say(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    shutdown(fd, SHUT_WR);
    text = hear(fd, 0);
    assert_int_equal(strlen(strstr(text, "\r\n\r\n") + 4), BIG);
    free(text);
    close(fd);
    /* In the middle of a request there is nobody to answer. */
    fd = dial(f);
    say(fd, "GET /big HT");
    shutdown(fd, SHUT_WR);
    text = hear(fd, 0);
    assert_string_equal(text, "");
    free(text);
    close(fd);
}

/* ---- what is withstood ---- */

static void malformed_requests_are_answered(void **state)
{
    struct fixture *f = *state;
    char *head = malloc(HTTP_HEAD_MAX * 2);

    start(f);
    expect(f, "nonsense\r\n\r\n", " 400 ");
    expect(f, "GET /hello HTTP/1.1\n\n", " 400 ");
    expect(f, "GET /hello HTTP/1.1\r\n\r\n", " 400 ");
    expect(f, "\x16\x03\x01\x02 TLS\r\n\r\n", " 400 ");
    expect(f, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           " 501 ");
    expect(f, "GET /hello HTTP/3.0\r\n" HOST "\r\n", " 505 ");
    sprintf(head, "GET /hello HTTP/1.1\r\nX: ");
    memset(head + strlen(head), 'x', HTTP_HEAD_MAX);
    head[HTTP_HEAD_MAX + 20] = '\0';
    expect(f, head, " 431 ");
    free(head);
    expect(f, "GET /hello HTTP/1.1\r\n" HOST CLOSE, "\r\n\r\nhello");
}

/* One that sends a byte at a time is answered, and closed, when its time is over. */
static void a_slow_request_is_ended(void **state)
{
    struct fixture *f = *state;
    const char *byte = "GET /hello HTTP/1.1\r\nX: ";
    struct pollfd ready = {.events = POLLIN};
    int64_t end_ms = now_ms() + DEADLINE_MS;
    char *text;

    f->options.request_ms = 300;
    start(f);
    ready.fd = dial(f);
    while (poll(&ready, 1, 20) == 0 && now_ms() < end_ms) {
        send(ready.fd, *byte ? byte : "x", 1, MSG_NOSIGNAL);
        byte += *byte != '\0';
    }
    text = hear(ready.fd, 0);
    assert_non_null(strstr(text, " 408 "));
    free(text);
    close(ready.fd);
}

/* One that says nothing is closed without a word. */
static void an_idle_connection_is_closed(void **state)
{
    struct fixture *f = *state;
    int fd;
    char *text;

    f->options.idle_ms = 200;
    start(f);
    fd = dial(f);
    text = hear(fd, 0);
    assert_string_equal(text, "");
    free(text);
    close(fd);
}

/* Who asks and asks and never reads is not read from any more; others are served meanwhile. */
static void who_does_not_read_is_not_read_from(void **state)
{
    static const char request[] = "GET /big HTTP/1.1\r\n" HOST "\r\n";
    struct fixture *f = *state;
    size_t sent = 0;
    int64_t quiet_ms = now_ms() + 500;
    int fd;

    start(f);
    fd = dial(f);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (now_ms() < quiet_ms && sent < ((size_t)64 << 20)) {
        ssize_t done = send(fd, request, sizeof request - 1, MSG_NOSIGNAL);

        if (done > 0) {
            sent += (size_t)done;
            quiet_ms = now_ms() + 500;
        } else {
            expect(f, "GET /hello HTTP/1.1\r\n" HOST CLOSE, "\r\n\r\nhello");
        }
    }
    assert_in_range(sent, 1, (size_t)32 << 20);
    close(fd);
}

static double metric_of(enum metric_id id)
{
    struct warren_series *series = metric_series(id);
    double value = metric_value(series);

    metric_release(series);
    return value;
}

static void raise_descriptors(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* A thousand that do nothing: the longest idle make room, and a request is answered. */
static void a_thousand_idle_connections_are_bounded(void **state)
{
    struct fixture *f = *state;
    double before = metric_of(METRIC_ADMIN_REFUSED);
    int fds[1000];

    raise_descriptors();
    start(f);
    for (size_t i = 0; i < 1000; i++) {
        fds[i] = dial(f);
        if (i % 100 == 99)
            expect(f, "GET /hello HTTP/1.1\r\n" HOST CLOSE, "\r\n\r\nhello");
    }
    assert_in_range((size_t)metric_of(METRIC_ADMIN_CONNECTIONS), 1, HTTP_CONNECTIONS_MAX);
    assert_true(metric_of(METRIC_ADMIN_REFUSED) - before >= 1000 - HTTP_CONNECTIONS_MAX);
    for (size_t i = 0; i < 1000; i++)
        close(fds[i]);
}

/* Peers that begin requests and do not finish them keep nobody out: the one that has been at it for
 * longest makes room, and who asks is answered. */
static void unfinished_requests_make_room(void **state)
{
    static const char request[] = "GET /hello HTTP/1.1\r\n" HOST CLOSE;
    struct fixture *f = *state;
    int fds[HTTP_CONNECTIONS_MAX];
    char byte;

    raise_descriptors();
    f->options.request_ms = 60000;
    start(f);
    for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        fds[i] = dial(f);
        say(fds[i], "GET /hello ");
    }
    /* All of what they said is read once the last one is. */
    say(fds[HTTP_CONNECTIONS_MAX - 1], "HTTP/1.1\r\n" HOST "\r\n");
    free(hear(fds[HTTP_CONNECTIONS_MAX - 1], 1));
    say(fds[HTTP_CONNECTIONS_MAX - 1], "GET /hello HTTP/1.1\r\n" HOST "\r\nGET");
    free(hear(fds[HTTP_CONNECTIONS_MAX - 1], 1));
    for (int i = 0; i < 3; i++)
        expect(f, request, "\r\n\r\nhello");
    assert_true(recv(fds[0], &byte, 1, 0) <= 0); /* it is closed */
    for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        close(fds[i]);
}

/* ---- the token ---- */

static void a_token_is_asked_for(void **state)
{
    struct fixture *f = *state;

    write_token(f, "s3cret  \r\nanother line\n");
    f->options.token_file = f->token;
    start(f);
    expect(f, "GET /hello HTTP/1.1\r\n" HOST CLOSE, " 200 ");
    expect(f, "GET /secret HTTP/1.1\r\n" HOST CLOSE, " 401 ");
    expect(f, "GET /secret HTTP/1.1\r\n" HOST CLOSE, "WWW-Authenticate: Bearer");
    expect(f, "GET /secret HTTP/1.1\r\n" HOST "Authorization: Bearer s3cre\r\n" CLOSE, " 401 ");
    expect(f, "GET /secret HTTP/1.1\r\n" HOST "Authorization: Bearer s3crets\r\n" CLOSE, " 401 ");
    expect(f, "GET /secret HTTP/1.1\r\n" HOST "Authorization: Bearer \r\n" CLOSE, " 401 ");
    expect(f, "GET /secret HTTP/1.1\r\n" HOST "Authorization: Basic s3cret\r\n" CLOSE, " 401 ");
    expect(f, "GET /secret?token=s3cret HTTP/1.1\r\n" HOST CLOSE, " 401 ");
    expect(f, "GET /secret HTTP/1.1\r\n" HOST "authorization: bearer s3cret\r\n" CLOSE, " 200 ");
}

/* Tells whether the request is answered so, now or before long. */
static bool becomes(const struct fixture *f, const char *request, const char *part)
{
    int64_t end_ms = now_ms() + DEADLINE_MS;
    bool found;

    do {
        char *text = ask(f, request);

        found = strstr(text, part) != NULL;
        free(text);
    } while (!found && now_ms() < end_ms);
    return found;
}

/* Read again, a new token is in force, and a file that is wrong changes nothing. */
static void a_token_can_change(void **state)
{
    static const char first[] = "GET /secret HTTP/1.1\r\n" HOST "Authorization: Bearer 1\r\n" CLOSE;
    static const char second[] =
        "GET /secret HTTP/1.1\r\n" HOST "Authorization: Bearer 2\r\n" CLOSE;
    struct fixture *f = *state;

    write_token(f, "1\n");
    f->options.token_file = f->token;
    start(f);
    expect(f, first, " 200 ");
    write_token(f, "2\n");
    expect(f, first, " 200 ");
    http_server_reload(f->server);
    assert_true(becomes(f, second, " 200 "));
    expect(f, first, " 401 ");
    write_token(f, "\n");
    http_server_reload(f->server);
    expect(f, second, " 200 ");
    expect(f, second, " 200 ");
}

static void wrong_token_files_are_refused(void **state)
{
    static const char *const texts[] = {"", "\n", "   \nx", "a b\n", "tab\there\n", "\xc3\xa4\n"};
    struct fixture *f = *state;
    char *longer = malloc(HTTP_TOKEN_MAX + 2);

    f->options.token_file = f->token;
    assert_int_equal(http_server_new(&f->options, &f->server, &f->error), WARREN_ECONFIG);
    assert_non_null(strstr(f->error.text, "No such file"));
    assert_non_null(strstr(f->error.text, f->token));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_token(f, texts[i]);
        assert_int_equal(http_server_new(&f->options, &f->server, &f->error), WARREN_ECONFIG);
        assert_non_null(strstr(f->error.text, f->token));
    }
    memset(longer, 'x', HTTP_TOKEN_MAX + 1);
    longer[HTTP_TOKEN_MAX + 1] = '\0';
    write_token(f, longer);
    assert_int_equal(http_server_new(&f->options, &f->server, &f->error), WARREN_ECONFIG);
    f->options.token_file = f->folder;
    assert_int_equal(http_server_new(&f->options, &f->server, &f->error), WARREN_ECONFIG);
    free(longer);
}

/* ---- addresses ---- */

static void addresses_that_cannot_be_had_are_refused(void **state)
{
    struct fixture *f = *state;
    struct http_server *second = NULL;

    start(f);
    assert_int_equal(http_server_new(&f->options, &second, &f->error), WARREN_ECONFIG);
    assert_non_null(strstr(f->error.text, "somebody else listens there"));
    http_address_parse("192.0.2.1:9464", &f->address, NULL);
    assert_int_equal(http_server_new(&f->options, &second, &f->error), WARREN_ECONFIG);
    assert_non_null(strstr(f->error.text, "192.0.2.1:9464: this machine has no such address"));
}

/* The next one has the port at once, although connections of this one were closed by it. */
static void an_address_can_be_had_again(void **state)
{
    struct fixture *f = *state;

    start(f);
    expect(f, "GET /hello HTTP/1.1\r\n" HOST CLOSE, "\r\n\r\nhello");
    http_server_free(f->server);
    f->server = NULL;
    start(f);
    expect(f, "GET /hello HTTP/1.1\r\n" HOST CLOSE, "\r\n\r\nhello");
}

/* ---- TLS ---- */

/* "FOLDER/NAME", kept until the test ends. */
static const char *path(struct fixture *f, const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *made = paths[next++ % 8];

    snprintf(made, sizeof paths[0], "%s/%s", f->folder, name);
    return made;
}

static void make_files(struct fixture *f)
{
    struct identity_options ca = {"test CA", NULL, -DAY, DAY, NULL};
    struct identity root = identity_new(&ca);
    struct identity_options own = {"x", "IP:127.0.0.1", -DAY, DAY, &root};
    struct identity server = identity_new(&own);
    struct identity client = identity_new(&own);

    write_certificate(path(f, "ca.pem"), &root);
    write_certificate(path(f, "server.pem"), &server);
    write_key(path(f, "server.key"), &server, NULL);
    write_certificate(path(f, "client.pem"), &client);
    write_key(path(f, "client.key"), &client, NULL);
    identity_done(&root);
    identity_done(&server);
    identity_done(&client);
}

/* GET /big by the client. @return its status; the length of the body is looked at */
static enum warren_status get(struct fixture *f, const struct http_client_options *options)
{
    struct http_client_response response;
    struct http_client_request request = {.response_max = BIG};
    struct http_client *client;
    enum warren_status status;
    char at[HTTP_ADDRESS_TEXT_MAX];
    char url[128];

    http_server_text(f->server, at);
    snprintf(url, sizeof url, "https://%s/big", at);
    request.url = url;
    assert_int_equal(http_client_new(options, &client, &f->error), WARREN_OK);
    for (int i = 0; i < 2; i++) { /* the second on the same connection */
        status = http_client_send(client, &request, &response, &f->error);
        if (status == WARREN_OK) {
            assert_int_equal(response.status, 200);
            assert_int_equal(response.body_len, BIG);
        }
        http_client_response_done(&response);
    }
    http_client_free(client);
    return status;
}

static void tls_is_spoken(void **state)
{
    struct fixture *f = *state;
    struct http_client_options trusting = {.direct = true};
    struct http_client_options stranger = {.direct = true};
    char *text;

    make_files(f);
    trusting.ca_file = path(f, "ca.pem");
    f->options.tls =
        (struct tls_options){.cert_file = path(f, "server.pem"), .key_file = path(f, "server.key")};
    start(f);
    if (get(f, &trusting) != WARREN_OK)
        fail_msg("%s", f->error.text);
    assert_int_equal(get(f, &stranger), WARREN_EIO);
    text = ask(f, "GET /hello HTTP/1.1\r\n" HOST CLOSE); /* not TLS */
    assert_null(strstr(text, "hello"));
    free(text);
}

/* With authorities given, a client must have a certificate of theirs. */
static void a_client_certificate_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct http_client_options nameless = {.direct = true};
    struct http_client_options named = {.direct = true};

    make_files(f);
    nameless.ca_file = named.ca_file = path(f, "ca.pem");
    named.cert_file = path(f, "client.pem");
    named.key_file = path(f, "client.key");
    f->options.tls = (struct tls_options){.ca_file = path(f, "ca.pem"),
                                          .cert_file = path(f, "server.pem"),
                                          .key_file = path(f, "server.key")};
    start(f);
    assert_int_equal(get(f, &nameless), WARREN_EIO);
    if (get(f, &named) != WARREN_OK)
        fail_msg("%s", f->error.text);
}

/* One that does not go on with its handshake is closed in time. */
static void a_slow_handshake_is_ended(void **state)
{
    struct fixture *f = *state;
    char *text;
    int fd;

    make_files(f);
    f->options.request_ms = 200;
    f->options.tls =
        (struct tls_options){.cert_file = path(f, "server.pem"), .key_file = path(f, "server.key")};
    start(f);
    fd = dial(f);
    text = hear(fd, 0);
    assert_string_equal(text, "");
    free(text);
    close(fd);
}

static void wrong_certificates_are_refused(void **state)
{
    struct fixture *f = *state;

    make_files(f);
    f->options.tls = (struct tls_options){.cert_file = path(f, "server.pem")};
    assert_int_equal(http_server_new(&f->options, &f->server, &f->error), WARREN_ECONFIG);
    assert_non_null(strstr(f->error.text, "two files"));
    f->options.tls.key_file = path(f, "client.key");
    assert_int_equal(http_server_new(&f->options, &f->server, &f->error), WARREN_ECONFIG);
    assert_non_null(strstr(f->error.text, "does not belong to"));
    f->options.tls.key_file = path(f, "gone.key");
    assert_int_equal(http_server_new(&f->options, &f->server, &f->error), WARREN_ECONFIG);
    assert_non_null(strstr(f->error.text, "gone.key"));
    f->options.tls.cert_file = path(f, "server.key");
    f->options.tls.key_file = path(f, "server.key");
    assert_int_equal(http_server_new(&f->options, &f->server, &f->error), WARREN_ECONFIG);
    assert_non_null(strstr(f->error.text, "certificate file"));
}

/* ---- answers of other threads ---- */

static struct http_later *wait_for_later(struct fixture *f)
{
    struct http_later *owed;
    int64_t end_ms = now_ms() + DEADLINE_MS;

    while (!(owed = atomic_exchange(&f->later, NULL)))
        assert_true(now_ms() < end_ms);
    return owed;
}

/* Others are answered meanwhile; what the same peer sends waits behind it. */
static void an_answer_may_come_later(void **state)
{
    struct fixture *f = *state;
    struct http_later *owed;
    char *text;
    int fd;

    start(f);
    fd = dial(f);
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    owed = wait_for_later(f);
    expect(f, "GET /hello HTTP/1.1\r\nHost: x\r\n" CLOSE, "hello");
    assert_false(http_later_is_gone(owed));
    http_later_answer(owed, 200, "text/plain", strdup("at last"), 7);
    text = hear(fd, 2);
    assert_true(strstr(text, "at last") < strstr(text, "hello"));
    free(text);
    close(fd);
    fd = dial(f);
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n" CLOSE);
    http_later_error(wait_for_later(f), 503, "not \"now\"");
    text = hear(fd, 0);
    assert_non_null(strstr(text, "HTTP/1.1 503 "));
    assert_non_null(strstr(text, "{\"error\":\"not \\\"now\\\"\"}"));
    free(text);
    close(fd);
}

/* Who has left is known, and gets nothing; nor does one whose answer comes after the end. */
static void who_left_is_not_answered(void **state)
{
    struct fixture *f = *state;
    struct http_later *owed;
    int64_t end_ms = now_ms() + DEADLINE_MS;
    int fd;

    start(f);
    fd = dial(f);
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    owed = wait_for_later(f);
    close(fd);
    while (!http_later_is_gone(owed))
        assert_true(now_ms() < end_ms);
    http_later_answer(owed, 200, "text/plain", strdup("too late"), 8);
    expect(f, "GET /hello HTTP/1.1\r\nHost: x\r\n" CLOSE, "hello");
    fd = dial(f);
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    owed = wait_for_later(f);
    http_server_stop(f->server);
    http_later_answer(owed, 200, "text/plain", strdup("after the end"), 13);
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_may_come_later),
        TEST(who_left_is_not_answered),
        TEST(routes_are_found),
        TEST(methods_are_told_apart),
        TEST(bodies_arrive),
        TEST(a_connection_is_used_again),
        TEST(a_half_closed_peer_is_answered),
        TEST(malformed_requests_are_answered),
        TEST(a_slow_request_is_ended),
        TEST(an_idle_connection_is_closed),
        TEST(who_does_not_read_is_not_read_from),
        TEST(a_thousand_idle_connections_are_bounded),
        TEST(unfinished_requests_make_room),
        TEST(a_token_is_asked_for),
        TEST(a_token_can_change),
        TEST(wrong_token_files_are_refused),
        TEST(addresses_that_cannot_be_had_are_refused),
        TEST(an_address_can_be_had_again),
        TEST(tls_is_spoken),
        TEST(a_client_certificate_is_asked_for),
        TEST(a_slow_handshake_is_ended),
        TEST(wrong_certificates_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
