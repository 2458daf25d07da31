/* test_http_guard.c - http/guard.h and http/query.h. */
#include "http/guard.h"
#include "http/query.h"
#include "support/test.h"

static struct http_request request_of(const char *const *headers)
{
    struct http_request request = {.method = "GET", .path = "/"};

    for (; *headers; headers += 2)
        request.headers[request.header_count++] = (struct http_header){headers[0], headers[1]};
    return request;
}

#define REQUEST(...) request_of((const char *const[]){__VA_ARGS__, NULL})

/* A browser says where a request comes from: it must be here, or nowhere. */
static void other_pages_are_kept_out(void **state)
{
    static const struct {
        const char *headers[7];
        bool ours;
    } cases[] = {
        {{"Host", "127.0.0.1:9464"}, true},
        {{"Host", "127.0.0.1:9464", "Origin", "http://127.0.0.1:9464"}, true},
        {{"Host", "Worker:9464", "Origin", "https://worker:9464"}, true},
        {{"Host", "127.0.0.1:9464", "Origin", "http://127.0.0.1:80"}, false},
        {{"Host", "127.0.0.1:9464", "Origin", "http://evil.example"}, false},
        {{"Host", "127.0.0.1:9464", "Origin", "null"}, false},
        {{"Host", "127.0.0.1:9464", "Origin", ""}, false},
        {{"Host", "127.0.0.1:9464", "Origin", "file://127.0.0.1:9464"}, false},
        {{"Origin", "http://127.0.0.1:9464"}, false},
        {{"Host", "h", "Sec-Fetch-Site", "same-origin"}, true},
        {{"Host", "h", "Sec-Fetch-Site", "none"}, true},
        {{"Host", "h", "Sec-Fetch-Site", "cross-site"}, false},
        {{"Host", "h", "Sec-Fetch-Site", "same-site"}, false},
        {{"Host", "h", "Origin", "http://h", "Sec-Fetch-Site", "cross-site"}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_request request = request_of(cases[i].headers);

        if (http_guard_origin(&request) != cases[i].ours)
            fail_msg("case %zu", i);
    }
}

/* A name may come to mean this address; a number and "localhost" may not. */
static void names_are_no_addresses(void **state)
{
    static const struct {
        const char *host;
        bool number;
    } cases[] = {{"127.0.0.1", true},
                 {"127.0.0.1:9464", true},
                 {"10.1.2.3:80", true},
                 {"localhost", true},
                 {"LocalHost:9464", true},
                 {"[::1]", true},
                 {"[::1]:9464", true},
                 {"[fe80::1]:9464", true},
                 {"worker", false},
                 {"evil.example", false},
                 {"127.0.0.1.evil", false},
                 {"127.0.0.1:9464x", false},
                 {"127.0.0.1:evil", false},
                 {"", false},
                 {":9464", false},
                 {"[::1", false},
                 {"[::1]x", false},
                 {"[]", false},
                 {"[127.0.0.1]", false},
                 {"1.2.3", false},
                 {"0x7f.1", false},
                 {"localhost.evil", false},
                 {"[localhost]", false},
                 {"2130706433", false},
                 {"::1", false},
                 {"[", false},
                 {"[::1]:", true}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_request request = REQUEST("Host", cases[i].host);

        if (http_guard_host(&request) != cases[i].number)
            fail_msg("\"%s\"", cases[i].host);
    }
    assert_false(http_guard_host(&(struct http_request){.method = "GET"}));
}

static void expect(const char *query, const char *name, enum http_query_found found,
                   const char *value)
{
    struct http_request request = {.query = query};
    char text[12] = "before";

    if (http_query_get(&request, name, text, sizeof text) != found || strcmp(text, value) != 0)
        fail_msg("%s of %s: \"%s\"", name, query, text);
}

/* Parameters are found by their whole names, and decoded; what is wrong is not taken in part. */
static void parameters_are_decoded(void **state)
{
    (void)state;
    expect("a=1&queue=b%20c+d&a=2", "queue", HTTP_QUERY_FOUND, "b c d");
    expect("a=1&a=2", "a", HTTP_QUERY_FOUND, "1");
    expect("a=", "a", HTTP_QUERY_FOUND, "");
    expect("a=%26%3d%2B%c3%A4", "a", HTTP_QUERY_FOUND, "&=+\xc3\xa4");
    expect("a=..%2F..", "a", HTTP_QUERY_FOUND, "../..");
    expect("aa=1&b", "a", HTTP_QUERY_NONE, "");
    expect("aa=1&b", "b", HTTP_QUERY_NONE, "");
    expect("", "a", HTTP_QUERY_NONE, "");
    expect(NULL, "a", HTTP_QUERY_NONE, "");
    expect("&&a=1&", "a", HTTP_QUERY_FOUND, "1");
    expect("a=%2", "a", HTTP_QUERY_WRONG, "");
    expect("a=%&b=1", "a", HTTP_QUERY_WRONG, "");
    expect("a=%2&3=1", "a", HTTP_QUERY_WRONG, "");
    expect("a=%zz", "a", HTTP_QUERY_WRONG, "");
    expect("a=x%00y", "a", HTTP_QUERY_WRONG, "");
    expect("a=12345678901", "a", HTTP_QUERY_FOUND, "12345678901");
    expect("a=123456789012", "a", HTTP_QUERY_WRONG, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_pages_are_kept_out),
        cmocka_unit_test(names_are_no_addresses),
        cmocka_unit_test(parameters_are_decoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
