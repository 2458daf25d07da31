/* embed.c - one program that publishes orders and handles them: a publisher and a worker as its own
 * parts, with its own signals, its own log, and its own data in the handler.
 *
 * Threads: main waits for signals; one runs the worker; all others are warren's.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <warren/publisher.h>
#include <warren/worker.h>

#define CLOSE_MS 5000
#define URI_MAX  512

/* What the program shares with its handlers. */
struct shop {
    pthread_t main;
    struct warren_worker *worker;
    struct warren_publisher *publisher;
    char **orders;            /* to be published; ends with NULL */
    enum warren_status ended; /* what warren_worker_run() answered */
    atomic_uint handled;
};

/* Read as a file would be. Without state_dir an order that crashes the program would crash every
 * program that comes after it. */
static const char yaml[] = "state_dir: embed-state\n"
                           "topology:\n"
                           "  queues: [{name: embed-orders}]\n"
                           "subscriptions: [{queue: embed-orders, handler: shop.take}]\n";

/* ---- the handler ---- */

static enum warren_status take_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    (void)error;
    *state = info->user;
    return WARREN_OK;
}

/* On a thread of warren's: what it shares with the program is atomic, or under a lock. */
static enum warren_outcome take(struct warren_job *job, void *state)
{
    struct warren_bytes order = warren_job_body(job);
    struct shop *shop = state;

    printf("order %.*s\n", (int)order.len, (const char *)order.data);
    atomic_fetch_add(&shop->handled, 1);
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {
    {.name = "take", .help = "Takes an order.", .open = take_open, .handle = take}, {0}};

/* ---- what warren tells the program ---- */

static void on_log(enum warren_log_level level, const char *line, void *user)
{
    (void)user;
    if (level <= WARREN_LOG_WARN)
        fprintf(stderr, "shop: %s\n", line);
}

static void on_state(enum warren_worker_state state, void *user)
{
    static const char *const names[] = {"starting", "ready", "draining", "ended"};
    struct shop *shop = user;

    printf("worker is %s\n", names[state]);
    if (state == WARREN_WORKER_READY)
        pthread_kill(shop->main, SIGUSR1); /* the queue is declared */
}

/* ---- the program ---- */

static void *run_worker(void *arg)
{
    struct shop *shop = arg;

    shop->ended = warren_worker_run(shop->worker);
    pthread_kill(shop->main, SIGTERM); /* whatever it ended for, the program ends, too */
    return NULL;
}

static enum warren_status make_worker(struct shop *shop, const char *uri,
                                      struct warren_error *error)
{
    const struct warren_plugin plugin =
        WARREN_PLUGIN_INIT(.name = "shop", .handlers = handlers, .user = shop);
    const struct warren_plugin *const plugins[] = {&plugin};
    char broker[URI_MAX];
    const char *const sets[] = {broker};
    const struct warren_worker_options options = {.size = sizeof options,
                                                  .config_text = yaml,
                                                  .config_name = "embed.c",
                                                  .sets = sets,
                                                  .set_count = 1,
                                                  .plugins = plugins,
                                                  .plugin_count = 1,
                                                  .on_log = on_log,
                                                  .on_state = on_state,
                                                  .user = shop};

    snprintf(broker, sizeof broker, "broker.uri=%s", uri);
    return warren_worker_new(&options, &shop->worker, error);
}

static enum warren_status make_publisher(struct shop *shop, const char *uri,
                                         struct warren_error *error)
{
    struct warren_publisher_options options;

    warren_publisher_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    return warren_publisher_new(&options, &shop->publisher, error);
}

static void publish(struct shop *shop, const char *order)
{
    struct warren_message message = {.body = {order, strlen(order)}};
    struct warren_publish publish = {.routing_key = "embed-orders", .message = &message};
    struct warren_error error;
    enum warren_result result;

    if (warren_publisher_publish_wait(shop->publisher, &publish, &result, &error) == WARREN_OK)
        printf("published %s: %s\n", order, warren_result_name(result));
    else
        fprintf(stderr, "shop: %s is not published: %s\n", order, error.text);
}

/* Before there is any thread: all of them inherit what is blocked. */
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static void live(struct shop *shop, const sigset_t *signals)
{
    int signal;

    while (sigwait(signals, &signal) == 0 && signal == SIGUSR1)
        for (; *shop->orders; shop->orders++)
            publish(shop, *shop->orders);
}

static void print_counts(struct shop *shop)
{
    struct warren_worker_stats stats = {.size = sizeof stats};

    if (warren_worker_stats(shop->worker, &stats) == WARREN_OK)
        printf("took %u orders; received %llu, acked %llu\n", atomic_load(&shop->handled),
               (unsigned long long)stats.received, (unsigned long long)stats.acked);
}

int main(int argc, char **argv)
{
    struct shop shop = {.main = pthread_self(), .orders = argv + 2};
    struct warren_error error = {WARREN_EIO, "cannot start a thread"};
    sigset_t signals;
    pthread_t thread;

    if (argc < 2) {
        fprintf(stderr, "usage: %s URI [ORDER...]\n", argv[0]);
        return 2;
    }
    setlinebuf(stdout);
    block_signals(&signals);
    if (make_worker(&shop, argv[1], &error) != WARREN_OK ||
        make_publisher(&shop, argv[1], &error) != WARREN_OK ||
        pthread_create(&thread, NULL, run_worker, &shop) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    live(&shop, &signals);
    /* The worker first: its handlers may use the publisher. */
    warren_worker_stop(shop.worker);
    pthread_join(thread, NULL);
    print_counts(&shop);
    warren_worker_free(shop.worker);
    warren_publisher_close(shop.publisher, CLOSE_MS);
    if (shop.ended != WARREN_OK) {
        fprintf(stderr, "shop: the worker ended: %s\n", warren_status_name(shop.ended));
        _exit(1); /* after a crash nothing more is run, nor is a handler waited for */
    }
    return 0;
}
