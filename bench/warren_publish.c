/* warren_publish.c - warren's publisher against the same work: window 1000, a callback each.
 *
 *   warren_publish [-k KEYS] URI QUEUE COUNT [THREADS [SPOOL [normal]]]
 *
 * With -k each has a header `customer`, one of so many in turn.
 * With SPOOL, a file, each message is on disk before publish returns; normal: without a flush.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <warren/publisher.h>

#include "stopwatch.h"

#define BODY_SIZE   256
#define THREADS_MAX 256
#define KEY_SIZE    32

struct load {
    struct warren_publisher *publisher;
    const char *queue;
    unsigned keys;  /* 0: no header */
    uint64_t count; /* of each thread */
    atomic_uint_fast64_t ended;
};

static void die(const char *what)
{
    fprintf(stderr, "warren_publish: %s\n", what);
    exit(1);
}

/* What the spool sends later has its receipt before; that it is confirmed is seen in the end. */
static void count_ended(const struct warren_receipt *receipt, void *user)
{
    struct load *load = user;

    if (receipt->result == WARREN_CONFIRMED || receipt->result == WARREN_SPOOLED)
        atomic_fetch_add_explicit(&load->ended, 1, memory_order_relaxed);
}

static void *publish_all(void *arg)
{
    struct load *load = arg;
    struct warren_message message = {0};
    struct warren_publish publish = {.message = &message, .routing_key = load->queue};
    struct warren_field customer = {.name = "customer", .value = {.type = WARREN_STRING}};
    char name[KEY_SIZE];
    char body[BODY_SIZE];

    memset(body, 'x', sizeof body);
    message.body = (struct warren_bytes){body, sizeof body};
    if (load->keys > 0)
        message.properties.headers = (struct warren_table){&customer, 1};
    for (uint64_t i = 0; i < load->count; i++) {
        if (load->keys > 0) {
            snprintf(name, sizeof name, "customer-%u", (unsigned)(i % load->keys));
            customer.value.as.bytes = warren_text(name);
        }
        if (warren_publisher_publish(load->publisher, &publish, count_ended, load, NULL) !=
            WARREN_OK)
            die("publish failed");
    }
    return NULL;
}

static struct warren_publisher *connect_publisher(int argc, char **argv)
{
    struct warren_publisher_options options;
    struct warren_publisher *publisher;
    struct warren_error error;
    const char *uri = argv[1];

    warren_publisher_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    options.window_messages = 1000;
    options.spool_path = argc > 5 ? argv[5] : NULL;
    options.spool_unsynced = argc > 6;
    if (warren_publisher_new(&options, &publisher, &error) != WARREN_OK ||
        warren_publisher_wait_connected(publisher, 10000, &error) != WARREN_OK)
        die(error.text);
    return publisher;
}

int main(int argc, char **argv)
{
    bool keyed = argc > 2 && strcmp(argv[1], "-k") == 0;
    unsigned keys = keyed ? (unsigned)atoi(argv[2]) : 0;
    unsigned threads;
    pthread_t running[THREADS_MAX];
    struct warren_publisher_stats stats;
    struct load load = {.keys = keys};
    int64_t first_ns;
    uint64_t count;

    argc -= keyed ? 2 : 0;
    argv += keyed ? 2 : 0;
    threads = argc > 4 ? (unsigned)atoi(argv[4]) : 1;
    if (argc < 4 || threads < 1 || threads > THREADS_MAX)
        die("usage: warren_publish [-k KEYS] URI QUEUE COUNT [THREADS [SPOOL [normal]]]");
    load.publisher = connect_publisher(argc, argv);
    load.queue = argv[2];
    load.count = strtoull(argv[3], NULL, 10) / threads;
    count = load.count * threads;
    first_ns = now_ns();
    for (unsigned i = 1; i < threads; i++)
        if (pthread_create(&running[i], NULL, publish_all, &load) != 0)
            die("no thread");
    publish_all(&load);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(running[i], NULL);
    if (warren_publisher_flush(load.publisher, 0) != WARREN_OK)
        die("flush failed");
    print_result(count, first_ns, now_ns(), NULL);
    warren_publisher_stats(load.publisher, &stats);
    warren_publisher_close(load.publisher, 10000);
    if (load.ended != count || stats.confirmed != count)
        die("not all were confirmed");
    return 0;
}
