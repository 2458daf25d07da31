/* fuzz_http.c - heads of requests, their parameters, where they come from, and addresses. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "http/address.h"
#include "http/guard.h"
#include "http/query.h"
#include "http/request.h"

/* What is decoded is a text of its place, and nothing if it is wrong. */
static void check_query(const struct http_request *request)
{
    char text[16];
    enum http_query_found found;

    memset(text, 'x', sizeof text);
    found = http_query_get(request, "a", text, sizeof text);
    fuzz_expect(memchr(text, '\0', sizeof text) != NULL, "an end of the value");
    fuzz_expect(found == HTTP_QUERY_FOUND || !*text, "no value");
    http_guard_origin(request);
    http_guard_host(request);
}

/* All texts end inside of the head. */
static void check(const struct http_request *request, const char *head, size_t len)
{
    fuzz_expect(request->header_count <= HTTP_HEADERS_MAX, "the bound of headers");
    fuzz_expect(request->body_len <= HTTP_BODY_MAX, "the bound of bodies");
    fuzz_expect(request->path + strlen(request->path) < head + len, "a path in the head");
    for (size_t i = 0; i < request->header_count; i++) {
        const char *value = request->headers[i].value;

        fuzz_expect(value >= head && value + strlen(value) < head + len, "a header in the head");
        fuzz_expect(!strchr(value, '\n') && !strchr(value, '\r'), "no line in a value");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = http_head_len((const char *)data, size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX);
    char *head = malloc(size + 1);
    struct http_address address;
    struct http_request request;
    const char *why = NULL;

    fuzz_expect(head != NULL, "memory");
    memcpy(head, data, size);
    head[size] = '\0';
    http_address_parse(head, &address, NULL);
    if (len > 0) {
        if (http_request_parse(head, len, &request, &why) == 0)
            check(&request, head, len);
        else
            fuzz_expect(why != NULL, "a reason");
        if (!why)
            check_query(&request);
    }
    free(head);
    return 0;
}
