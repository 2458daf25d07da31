/* test_http_client.c - http/client.h, against a peer that says what the test wants. */
#include "http/client.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 65536

/* Answers one request after the other, each on a connection of its own. */
struct peer {
    int listener;
    uint16_t port;
    pthread_t thread;
    const char *answer; /* NULL: nothing, until the client is gone */
    size_t padding;     /* bytes of 'x' behind it */
    char request[REQUEST_MAX];
};

struct fixture {
    struct peer peer;
    struct http_client *client;
    struct http_client_response response;
    struct warren_error error;
    char url[64];
};

/* The head, and as much of a body as it announces; a client that waits for the answer sends no
 * more. */
static void read_request(struct peer *peer, int fd)
{
    size_t len = 0;

    while (len < REQUEST_MAX - 1) {
        ssize_t got = recv(fd, peer->request + len, REQUEST_MAX - 1 - len, 0);
        const char *end;
        const char *length;

        if (got <= 0)
            break;
        len += (size_t)got;
        peer->request[len] = '\0';
        end = strstr(peer->request, "\r\n\r\n");
        length = strstr(peer->request, "Content-Length: ");
        if (end && (!length || strlen(end + 4) >= strtoul(length + 16, NULL, 10)))
            break;
    }
}

static void *serve(void *arg)
{
    struct peer *peer = arg;
    int fd = accept(peer->listener, NULL, NULL);
    char padding[4096];

    memset(padding, 'x', sizeof padding);
    read_request(peer, fd);
    if (peer->answer)
        send(fd, peer->answer, strlen(peer->answer), MSG_NOSIGNAL);
    else
        recv(fd, padding, sizeof padding, 0);
    for (size_t sent = 0; sent < peer->padding; sent += sizeof padding)
        if (send(fd, padding, sizeof padding, MSG_NOSIGNAL) < 0)
            break;
    close(fd);
    return NULL;
}

static void answer_with(struct fixture *f, const char *answer)
{
    f->peer.answer = answer;
    assert_int_equal(pthread_create(&f->peer.thread, NULL, serve, &f->peer), 0);
}

static int setup(void **state)
{
    static struct fixture f;
    const struct http_client_options options = {.direct = true};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;

    f = (struct fixture){.peer = {.listener = socket(AF_INET, SOCK_STREAM, 0)}};
    if (bind(f.peer.listener, (struct sockaddr *)&address, len) != 0 ||
        listen(f.peer.listener, 8) != 0 ||
        getsockname(f.peer.listener, (struct sockaddr *)&address, &len) != 0 ||
        http_client_new(&options, &f.client, &f.error) != WARREN_OK)
        return -1;
    f.peer.port = ntohs(address.sin_port);
    snprintf(f.url, sizeof f.url, "http://127.0.0.1:%u/path?x=1", f.peer.port);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    http_client_response_done(&f->response);
    http_client_free(f->client);
    close(f->peer.listener);
    return 0;
}

static enum warren_status send_it(struct fixture *f, const struct http_client_request *request)
{
    return http_client_send(f->client, request, &f->response, &f->error);
}

/* An answer comes whole, with a NUL behind it, whatever its status. */
static void an_answer_of_any_status_is_one(void **state)
{
    struct fixture *f = *state;
    const struct http_client_request request = {.url = f->url};

    answer_with(f, "HTTP/1.1 503 no\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(send_it(f, &request), WARREN_OK);
    pthread_join(f->peer.thread, NULL);
    assert_int_equal(f->response.status, 503);
    assert_int_equal(f->response.retry_after_s, 7);
    assert_int_equal(f->response.body_len, 5);
    assert_string_equal(f->response.body, "hello");
    assert_non_null(strstr(f->peer.request, "GET /path?x=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(f->peer.request, "User-Agent: warren/"));
}

/* Method, headers, token and the bytes of the body arrive. */
static void a_request_arrives_as_it_was_given(void **state)
{
    struct fixture *f = *state;
    static const char *const headers[] = {"Content-Type: application/json", "X-Mine: yes"};
    const struct http_client_request request = {.url = f->url,
                                                .token = "s3cret",
                                                .headers = headers,
                                                .header_count = 2,
                                                .body = "{\"a\":1}",
                                                .body_len = 7};

    answer_with(f, "HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(send_it(f, &request), WARREN_OK);
    pthread_join(f->peer.thread, NULL);
    assert_int_equal(f->response.status, 200);
    assert_string_equal(f->response.body, "");
    assert_non_null(strstr(f->peer.request, "POST /path?x=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(f->peer.request, "Authorization: Bearer s3cret\r\n"));
    assert_non_null(strstr(f->peer.request, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(f->peer.request, "X-Mine: yes\r\n"));
    assert_null(strstr(f->peer.request, "Expect"));
    assert_non_null(strstr(f->peer.request, "\r\n\r\n{\"a\":1}"));
}

/* An answer above the bound ends the request; nothing of it is kept. */
static void an_answer_is_bounded(void **state)
{
    struct fixture *f = *state;
    const struct http_client_request request = {.url = f->url, .response_max = 100};

    f->peer.padding = 1 << 20;
    answer_with(f, "HTTP/1.1 200 ok\r\n\r\n");
    assert_int_equal(send_it(f, &request), WARREN_EFULL);
    pthread_join(f->peer.thread, NULL);
    assert_null(f->response.body);
    assert_non_null(strstr(f->error.text, "above 100 bytes"));
}

/* Headers are bounded, too. */
static void endless_headers_end_the_request(void **state)
{
    struct fixture *f = *state;
    const struct http_client_request request = {.url = f->url};
    char *answer = malloc(200000);
    size_t len = (size_t)sprintf(answer, "HTTP/1.1 200 ok\r\n");

    while (len < 190000)
        len += (size_t)sprintf(answer + len, "X-Header: abcdefghijklmnopqrstuvwxyz\r\n");
    answer_with(f, answer);
    assert_int_equal(send_it(f, &request), WARREN_EFULL);
    pthread_join(f->peer.thread, NULL);
    free(answer);
}

/* A peer that does not answer costs the time that was given, and no more. */
static void a_silent_peer_is_given_up(void **state)
{
    struct fixture *f = *state;
    const struct http_client_request request = {.url = f->url, .timeout_ms = 50};

    answer_with(f, NULL);
    assert_int_equal(send_it(f, &request), WARREN_ETIMEOUT);
    pthread_join(f->peer.thread, NULL);
    assert_non_null(strstr(f->error.text, f->url));
}

static void *cancel_it(void *arg)
{
    http_client_cancel(arg);
    return NULL;
}

/* A request of minutes ends when it is called off, and there is none after it. */
static void a_request_can_be_called_off(void **state)
{
    struct fixture *f = *state;
    const struct http_client_request request = {.url = f->url, .timeout_ms = 600000};
    pthread_t other;

    answer_with(f, NULL);
    assert_int_equal(pthread_create(&other, NULL, cancel_it, f->client), 0);
    assert_int_equal(send_it(f, &request), WARREN_ECLOSED);
    pthread_join(other, NULL);
    shutdown(f->peer.listener, SHUT_RDWR); /* if it was called off before it connected */
    pthread_join(f->peer.thread, NULL);
    assert_int_equal(send_it(f, &request), WARREN_ECLOSED);
}

/* Who is not there is named. */
static void a_refused_connection_says_so(void **state)
{
    struct fixture *f = *state;
    const struct http_client_request request = {.url = f->url};

    close(f->peer.listener);
    f->peer.listener = -1;
    assert_int_equal(send_it(f, &request), WARREN_EIO);
    assert_non_null(strstr(f->error.text, f->url));
    assert_non_null(strstr(f->error.text, "onnect"));
}

/* Such as at the port of a broker. */
static void a_peer_that_speaks_no_http_is_told(void **state)
{
    struct fixture *f = *state;
    const struct http_client_request request = {.url = f->url};

    answer_with(f, "AMQP\x01");
    assert_int_equal(send_it(f, &request), WARREN_EPROTOCOL);
    pthread_join(f->peer.thread, NULL);
    assert_non_null(strstr(f->error.text, f->url));
    assert_non_null(strstr(f->error.text, "what answers there is no HTTP"));
}

/* What would be another request, or none of HTTP, is not sent. */
static void malformed_requests_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const injected[] = {"X: a\r\nY: b"};
    static const char *const nameless[] = {"no colon"};
    const struct http_client_request requests[] = {
        {.url = "file:///etc/passwd"},
        {.url = "127.0.0.1:9464"},
        {.url = "http://127.0.0.1/\r\nX: y"},
        {.url = "http://[::1"},
        {.url = f->url, .token = "a\nb"},
        {.url = f->url, .token = ""},
        {.url = f->url, .headers = injected, .header_count = 1},
        {.url = f->url, .headers = nameless, .header_count = 1},
    };

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        assert_int_equal(send_it(f, &requests[i]), WARREN_EINVAL);
        assert_true(*f->error.text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_of_any_status_is_one),
        TEST(a_request_arrives_as_it_was_given),
        TEST(an_answer_is_bounded),
        TEST(endless_headers_end_the_request),
        TEST(a_silent_peer_is_given_up),
        TEST(a_request_can_be_called_off),
        TEST(a_refused_connection_says_so),
        TEST(malformed_requests_are_refused),
        TEST(a_peer_that_speaks_no_http_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
