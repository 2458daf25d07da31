/* test_http_request.c - http/request.h and http/address.h: what is taken, and what is refused. */
#include "http/address.h"
#include "http/request.h"
#include "support/test.h"

#define HOST "Host: here\r\n"

/* The status of the refusal; 0: taken. */
static int parse_bytes(const char *head, size_t len, struct http_request *request)
{
    static char copy[HTTP_HEAD_MAX + 1];
    const char *why = NULL;
    int status;

    assert_int_equal(http_head_len(head, len), len);
    memcpy(copy, head, len);
    status = http_request_parse(copy, len, request, &why);
    assert_true(status == 0 || (why && *why));
    return status;
}

static int parse(const char *head, struct http_request *request)
{
    return parse_bytes(head, strlen(head), request);
}

/* Method, path, query and headers are found; values without the blanks around them. */
static void a_request_is_split(void **state)
{
    struct http_request request;

    (void)state;
    assert_int_equal(parse("POST /a/b?c=d?e HTTP/1.1\r\nhOST:here\r\nX-Empty:\r\n"
                           "Content-Length: \t12 \r\n\r\n",
                           &request),
                     0);
    assert_string_equal(request.method, "POST");
    assert_string_equal(request.path, "/a/b");
    assert_string_equal(request.query, "c=d?e");
    assert_int_equal(request.header_count, 3);
    assert_int_equal(request.body_len, 12);
    assert_true(request.keep_alive);
    assert_string_equal(http_request_header(&request, "host"), "here");
    assert_string_equal(http_request_header(&request, "x-empty"), "");
    assert_null(http_request_header(&request, "Hos"));
    assert_int_equal(parse("GET / HTTP/1.1\r\n" HOST "\r\n", &request), 0);
    assert_null(request.query);
}

/* A proxy's form of the path is one, too; nothing is decoded, no ".." is resolved. */
static void paths_stay_as_they_are(void **state)
{
    struct http_request request;

    (void)state;
    assert_int_equal(parse("GET http://h:1/x/../y HTTP/1.1\r\n" HOST "\r\n", &request), 0);
    assert_string_equal(request.path, "/x/../y");
    assert_int_equal(parse("GET /%2e%2e/%00?%0a HTTP/1.1\r\n" HOST "\r\n", &request), 0);
    assert_string_equal(request.path, "/%2e%2e/%00");
    assert_string_equal(request.query, "%0a");
}

/* Who wants the connection closed says so, or speaks HTTP/1.0. */
static void a_connection_is_kept_or_not(void **state)
{
    static const struct {
        const char *head;
        bool kept;
    } cases[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", true},
        {"GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
    };
    struct http_request request;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(cases[i].head, &request), 0);
        assert_int_equal(request.keep_alive, cases[i].kept);
    }
}

/* Each of these is answered with its own status. */
static void what_is_wrong_is_refused(void **state)
{
    static const struct {
        const char *head;
        int status;
    } cases[] = {
        {"GET /\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
        {"GET / HTTP/1.1x\r\n" HOST "\r\n", 505},
        {"GET / SMTP/1.1\r\n" HOST "\r\n", 400},
        {"G(T / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET metrics HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET http://host HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\n\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "Name : x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: x\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Expect: miracles\r\n\r\n", 417},
    };
    struct http_request request;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (parse(cases[i].head, &request) != cases[i].status)
            fail_msg("case %zu: %s", i, cases[i].head);
}

/* A NUL would end a text early, and so is refused wherever it stands. */
static void a_nul_is_refused(void **state)
{
    static const char heads[][40] = {"GET /\0x HTTP/1.1\r\nHost: here\r\n\r\n",
                                     "GET / HTTP/1.1\r\nHost: h\0re\r\n\r\n",
                                     "GET / HTTP/1.1\r\nHo\0t: here\r\n\r\n"};
    static const size_t lens[] = {34, 32, 33};
    struct http_request request;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t len = http_head_len(heads[i], lens[i]);

        assert_true(len > 0);
        assert_int_equal(parse_bytes(heads[i], len, &request), 400);
    }
}

/* The number of lines is bounded. */
static void too_many_headers_are_refused(void **state)
{
    char head[HTTP_HEAD_MAX] = "GET / HTTP/1.1\r\n" HOST;
    struct http_request request;

    (void)state;
    for (int i = 1; i < HTTP_HEADERS_MAX; i++)
        strcat(head, "X: y\r\n");
    strcat(head, "\r\n");
    assert_int_equal(parse(head, &request), 0);
    assert_int_equal(request.header_count, HTTP_HEADERS_MAX);
    strcpy(head + strlen(head) - 2, "X: y\r\n\r\n");
    assert_int_equal(parse(head, &request), 431);
}

/* The end is found at its byte, and not before. */
static void the_end_of_a_head_is_found(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET";

    (void)state;
    for (size_t len = 0; len < sizeof head; len++)
        assert_int_equal(http_head_len(head, len), len < 27 ? 0 : 27);
    assert_int_equal(http_head_len("a\n\nb", 4), 3);
    assert_int_equal(http_head_len("\n\r\n", 3), 3);
    assert_int_equal(http_head_len("\r\n", 2), 0);
}

/* ---- addresses ---- */

static void addresses_are_read(void **state)
{
    static const struct {
        const char *text;
        const char *same;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:9464", "127.0.0.1:9464", true}, {"127.9.9.9:1", "127.9.9.9:1", true},
        {"localhost:9464", "127.0.0.1:9464", true}, {"[::1]:9464", "[::1]:9464", true},
        {"0.0.0.0:0", "0.0.0.0:0", false},          {"[::]:65535", "[::]:65535", false},
        {"10.1.2.3:80", "10.1.2.3:80", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_address address;
        char text[HTTP_ADDRESS_TEXT_MAX];

        assert_int_equal(http_address_parse(cases[i].text, &address, NULL), WARREN_OK);
        http_address_text(&address, text);
        assert_string_equal(text, cases[i].same);
        assert_int_equal(http_address_is_loopback(&address), cases[i].loopback);
    }
}

static void wrong_addresses_are_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "127.0.0.1",
                                        ":9464",
                                        "*:9464",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:1x",
                                        "127.0.0.1:000001",
                                        "::1:9464",
                                        "[::1]",
                                        "[]:1",
                                        "[127.0.0.1]:1",
                                        "1.2.3:1",
                                        "admin.example:9464",
                                        "http://127.0.0.1:9464",
                                        "[::1:1"};
    struct http_address address;
    struct warren_error error;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        error = (struct warren_error){WARREN_OK, ""};
        if (http_address_parse(texts[i], &address, &error) != WARREN_ECONFIG ||
            !strstr(error.text, texts[i]))
            fail_msg("\"%s\": %s", texts[i], error.text);
    }
    http_address_parse(":9464", &address, &error);
    assert_non_null(strstr(error.text, "0.0.0.0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_split),
        cmocka_unit_test(paths_stay_as_they_are),
        cmocka_unit_test(a_connection_is_kept_or_not),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(a_nul_is_refused),
        cmocka_unit_test(too_many_headers_are_refused),
        cmocka_unit_test(the_end_of_a_head_is_found),
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(wrong_addresses_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
