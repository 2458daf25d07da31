/* publish_load.c - publish many messages as fast as the broker confirms them, from several threads
 * through one publisher.
 *
 *   cc publish_load.c $(pkg-config --cflags --libs warren) -o publish_load -lpthread
 *   ./publish_load amqp://guest:guest@127.0.0.1:5672/ payments 100000 256 4
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <warren/warren.h>

#define THREADS_MAX 64
#define BODY_MAX    (1 << 20)

struct load {
    struct warren_publisher *publisher;
    const char *queue;
    unsigned long count; /* of each thread */
    struct warren_bytes body;
    enum warren_status status; /* of the first publish that was not accepted */
};

/* A publisher is thread-safe, and copies the message: everything here lives on the stack. */
static void *publish_share(void *arg)
{
    struct load *load = arg;
    struct warren_message message = {.body = load->body};
    struct warren_publish publish = {.routing_key = load->queue, .message = &message};

    for (unsigned long i = 0; i < load->count && load->status == WARREN_OK; i++)
        load->status = warren_publisher_publish(load->publisher, &publish, NULL, NULL, NULL);
    return NULL;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run(struct warren_publisher *publisher, const struct load *load, int threads)
{
    pthread_t ids[THREADS_MAX];
    struct load loads[THREADS_MAX];
    struct warren_publisher_stats stats;
    double started = now_s();
    double seconds;
    int started_threads = 0;

    for (int i = 0; i < threads; i++) {
        loads[i] = *load;
        if (pthread_create(&ids[i], NULL, publish_share, &loads[i]) != 0)
            break;
        started_threads++;
    }
    for (int i = 0; i < started_threads; i++) {
        pthread_join(ids[i], NULL);
        if (loads[i].status != WARREN_OK)
            fprintf(stderr, "a thread stopped: %s\n", warren_status_name(loads[i].status));
    }
    warren_publisher_flush(publisher, 0);
    seconds = now_s() - started;
    warren_publisher_stats(publisher, &stats);
    printf("published %llu, confirmed %llu in %.2f s: %.0f/s\n",
           (unsigned long long)stats.published, (unsigned long long)stats.confirmed, seconds,
           (double)stats.confirmed / seconds);
    return stats.confirmed == load->count * (unsigned long)threads ? 0 : 1;
}

int main(int argc, char **argv)
{
    static char body[BODY_MAX];
    struct warren_publisher_options options;
    struct warren_error error = {WARREN_OK, ""};
    struct load load = {.status = WARREN_OK};
    const char *uri;
    int threads, failed;

    if (argc != 6) {
        fprintf(stderr, "usage: %s URI QUEUE COUNT BODY_SIZE THREADS\n", argv[0]);
        return 2;
    }
    uri = argv[1];
    load.queue = argv[2];
    threads = atoi(argv[5]);
    load.body = (struct warren_bytes){body, strtoul(argv[4], NULL, 10)};
    if (threads < 1 || threads > THREADS_MAX || load.body.len > BODY_MAX) {
        fprintf(stderr, "1 to %d threads, at most %d bytes\n", THREADS_MAX, BODY_MAX);
        return 2;
    }
    load.count = strtoul(argv[3], NULL, 10) / (unsigned long)threads;
    memset(body, 'x', load.body.len);
    warren_publisher_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    if (warren_publisher_new(&options, &load.publisher, &error) != WARREN_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    failed = run(load.publisher, &load, threads);
    warren_publisher_close(load.publisher, 5000);
    return failed;
}
