/* test_http_stream.c - http/stream.h: answers without an end; and who may ask for what.
 */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "http/stream.h"
#include "loop/loop.h"
#include "support/test.h"

#define DEADLINE_MS 30000
#define HOST        "Host: 127.0.0.1\r\n"
#define WATCH       "GET /watch HTTP/1.1\r\n" HOST "\r\n"
/* Above what the kernel takes for a peer that does not read. */
#define PIECE ((size_t)1 << 20)

struct fixture {
    struct http_server *server;
    struct http_server_options options;
    struct http_address address;
    struct loop_timer timer;
    char *bytes;
    size_t piece; /* bytes of each */
};

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

/* ---- the server ---- */

static void watch(struct http_exchange *exchange, void *user)
{
    (void)user;
    http_answer_stream(exchange, "text/event-stream", NULL);
}

static void hello(struct http_exchange *exchange, void *user)
{
    (void)user;
    http_answer(exchange, 200, "text/plain", "hello", 5);
}

static const struct http_route routes[] = {{"GET", "/watch", HTTP_OPEN, watch, 0},
                                           {"GET", "/hello", HTTP_OPEN, hello, 0},
                                           {"GET", "/read", HTTP_PAGE, hello, 0},
                                           {"POST", "/change", HTTP_CHANGE, hello, 0},
                                           {0}};

/* Every few milliseconds each watcher gets a piece. */
static void fire(void *arg)
{
    struct fixture *f = arg;
    struct http_piece *piece = http_piece_new(f->bytes, f->piece);

    http_stream_send(f->server, piece);
    http_piece_unref(piece);
    loop_timer_arm_ms(&f->timer, 5);
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.bytes = malloc(PIECE), .piece = 10};
    memset(f.bytes, 'p', PIECE);
    http_address_parse("127.0.0.1:0", &f.address, NULL);
    f.options = (struct http_server_options){
        .name = "test", .what = "of a test", .address = &f.address, .routes = routes, .user = &f};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->server)
        http_server_stop(f->server);
    loop_timer_done(&f->timer);
    http_server_free(f->server);
    free(f->bytes);
    return 0;
}

static void start(struct fixture *f)
{
    char text[HTTP_ADDRESS_TEXT_MAX];

    assert_int_equal(http_server_new(&f->options, &f->server, NULL), WARREN_OK);
    assert_int_equal(loop_timer_init(&f->timer, http_server_loop(f->server), fire, f), WARREN_OK);
    loop_timer_arm_ms(&f->timer, 1);
    assert_int_equal(http_server_start(f->server, NULL), WARREN_OK);
    http_server_text(f->server, text);
    assert_int_equal(http_address_parse(text, &f->address, NULL), WARREN_OK);
}

/* ---- peers ---- */

static int dial(const struct fixture *f, const char *request)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int size = 4096; /* of one that does not read */

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    assert_int_equal(connect(fd, (const struct sockaddr *)&f->address.at, f->address.len), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    return fd;
}

/* At least @least bytes, or all until the peer closes. @return how many came */
static size_t hear(int fd, char *text, size_t size, size_t least)
{
    int64_t end_ms = now_ms() + DEADLINE_MS;
    size_t len = 0;

    while (len < least && len < size) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&ready, 1, 100) == 0 && now_ms() > end_ms)
            fail_msg("only %zu bytes came", len);
        if (!ready.revents)
            continue;
        got = recv(fd, text + len, size - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    return len;
}

static void expect(struct fixture *f, const char *request, const char *part)
{
    char text[4096];
    int fd = dial(f, request);
    size_t len = hear(fd, text, sizeof text - 1, sizeof text - 1);

    text[len] = '\0';
    close(fd);
    if (!strstr(text, part))
        fail_msg("%s\nlacks %s\n%s", request, part, text);
}

static bool becomes(enum metric_id id, double least)
{
    struct warren_series *series = metric_series(id);
    int64_t end_ms = now_ms() + DEADLINE_MS;
    bool there;

    while (!(there = metric_value(series) >= least) && now_ms() < end_ms)
        usleep(2000);
    metric_release(series);
    return there;
}

/* ---- streams ---- */

/* Each watcher gets what is sent, with a head that no browser keeps or shows elsewhere. */
static void watchers_get_what_is_sent(void **state)
{
    struct fixture *f = *state;
    char text[2048];
    int fds[20];

    start(f);
    for (size_t i = 0; i < 20; i++)
        fds[i] = dial(f, WATCH);
    for (size_t i = 0; i < 20; i++) {
        size_t len = hear(fds[i], text, sizeof text - 1, 1000);

        text[len] = '\0';
        assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
        assert_non_null(strstr(text, "Content-Type: text/event-stream\r\n"));
        assert_non_null(strstr(text, "frame-ancestors 'none'"));
        assert_null(strstr(text, "Content-Length"));
        assert_null(strstr(text, "Access-Control"));
        assert_non_null(strstr(text, "\r\n\r\npppppppppp"));
        close(fds[i]);
    }
    expect(f, "HEAD /watch HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "Content-Length: 0\r\n");
}

static long resident_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");

    while (fgets(line, sizeof line, file))
        sscanf(line, "VmRSS: %ld", &kib);
    fclose(file);
    return kib;
}

/* Fifty that do not read are closed; others, who do, get their pieces all the while, and a piece
 * that waits for many is there once. */
static void who_does_not_read_is_closed(void **state)
{
    struct fixture *f = *state;
    struct warren_series *lagged = metric_series(METRIC_ADMIN_WATCHERS_LAGGED);
    double before = metric_value(lagged);
    long kib = resident_kib();
    int idle[50], busy;
    static char text[4 << 20];

    f->piece = PIECE;
    f->options.lag_ms = 5000; /* who is merely slow, on a busy machine, is not meant */
    start(f);
    for (size_t i = 0; i < 50; i++)
        idle[i] = dial(f, WATCH);
    busy = dial(f, WATCH);
    assert_true(hear(busy, text, sizeof text, 3 * PIECE) >= 3 * PIECE);
    if (getenv("ASAN_OPTIONS") == NULL && getenv("TSAN_OPTIONS") == NULL)
        assert_true(resident_kib() - kib < 40 * 1024); /* not fifty times a piece */
    while (metric_value(lagged) < before + 50)
        assert_true(hear(busy, text, sizeof text, PIECE) >= PIECE);
    for (size_t i = 0; i < 50; i++)
        close(idle[i]);
    close(busy);
    metric_release(lagged);
}

/* Beyond the bound they are turned away, and other requests are still answered. */
static void too_many_are_turned_away(void **state)
{
    struct fixture *f = *state;
    int fds[HTTP_WATCHERS_MAX];

    start(f);
    for (size_t i = 0; i < HTTP_WATCHERS_MAX; i++)
        fds[i] = dial(f, WATCH);
    assert_true(becomes(METRIC_ADMIN_WATCHERS, HTTP_WATCHERS_MAX));
    expect(f, "GET /watch HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", " 503 ");
    expect(f, "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "\r\n\r\nhello");
    for (size_t i = 0; i < HTTP_WATCHERS_MAX; i++)
        close(fds[i]);
}

/* ---- who may ask ---- */

#define CHANGE  "POST /change HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n"
#define READ    "GET /read HTTP/1.1\r\nConnection: close\r\n"
#define KNOWN   "Authorization: Bearer sesame\r\n"
#define FOREIGN "Origin: http://evil.example\r\n"

/* Without a token nothing is changed, and names that could mean anything are not answered. */
static void without_a_token_it_is_read_only(void **state)
{
    struct fixture *f = *state;

    start(f);
    expect(f, CHANGE HOST "\r\n", " 403 ");
    expect(f, CHANGE HOST KNOWN "\r\n", "admin.token_file");
    expect(f, READ HOST "\r\n", "\r\n\r\nhello");
    expect(f, READ "Host: worker-1:9464\r\n\r\n", " 403 ");
    expect(f, READ HOST FOREIGN "\r\n", " 403 ");
}

/* With it both are asked for it, whatever page asks must be ours, and a name may be one. */
static void with_a_token_it_is_asked_for(void **state)
{
    struct fixture *f = *state;
    char file[] = "/tmp/warren-token-XXXXXX";
    int fd = mkstemp(file);

    assert_int_equal(write(fd, "sesame\n", 7), 7);
    close(fd);
    f->options.token_file = file;
    start(f);
    expect(f, CHANGE HOST "\r\n", " 401 ");
    expect(f, READ HOST "\r\n", " 401 ");
    expect(f, CHANGE HOST "Authorization: Bearer other\r\n\r\n", " 401 ");
    expect(f, CHANGE HOST "Cookie: token=sesame\r\n\r\n", " 401 ");
    expect(f, CHANGE HOST KNOWN "\r\n", "\r\n\r\nhello");
    expect(f, CHANGE "Host: worker-1\r\nOrigin: http://worker-1\r\n" KNOWN "\r\n", "\r\n\r\nhello");
    expect(f, CHANGE HOST KNOWN FOREIGN "\r\n", " 403 ");
    expect(f, CHANGE HOST KNOWN "Sec-Fetch-Site: cross-site\r\n\r\n", " 403 ");
    unlink(file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(watchers_get_what_is_sent),    TEST(who_does_not_read_is_closed),
        TEST(too_many_are_turned_away),     TEST(without_a_token_it_is_read_only),
        TEST(with_a_token_it_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
