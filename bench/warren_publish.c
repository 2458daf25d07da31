/* warren_publish.c - warren's publisher against the same work: window 1000, a callback each.
 *
 *   warren_publish URI QUEUE COUNT
 */
#include <stdlib.h>

#include <warren/publisher.h>

#include "stopwatch.h"

#define BODY_SIZE 256

static void count_confirmed(const struct warren_receipt *receipt, void *user)
{
    uint64_t *confirmed = user;

    if (receipt->result == WARREN_CONFIRMED)
        (*confirmed)++;
}

static void die(const char *what)
{
    fprintf(stderr, "warren_publish: %s\n", what);
    exit(1);
}

int main(int argc, char **argv)
{
    struct warren_publisher_options options;
    struct warren_publisher *publisher;
    struct warren_error error;
    struct warren_message message = {0};
    struct warren_publish publish = {.message = &message};
    const char *uri = argc == 4 ? argv[1] : NULL;
    uint64_t confirmed = 0;
    uint64_t count;
    char body[BODY_SIZE];
    int64_t first_ns;

    if (!uri)
        die("usage: warren_publish URI QUEUE COUNT");
    count = strtoull(argv[3], NULL, 10);
    warren_publisher_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    options.window_messages = 1000;
    if (warren_publisher_new(&options, &publisher, &error) != WARREN_OK ||
        warren_publisher_wait_connected(publisher, 10000, &error) != WARREN_OK)
        die(error.text);
    memset(body, 'x', sizeof body);
    message.body = (struct warren_bytes){body, sizeof body};
    publish.routing_key = argv[2];
    first_ns = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        if (warren_publisher_publish(publisher, &publish, count_confirmed, &confirmed) != WARREN_OK)
            die("publish failed");
    }
    if (warren_publisher_flush(publisher, 0) != WARREN_OK)
        die("flush failed");
    print_result(count, first_ns, now_ns(), NULL);
    warren_publisher_close(publisher, 10000);
    if (confirmed != count)
        die("not all were confirmed");
    return 0;
}
