/* test_fault_spool.c - a process that publishes through a spool is killed with -9, and so is the
 * broker: what publish accepted arrives, all of it, in the order of each routing key.
 *
 * The publishing process is this program again, with arguments (see child()). It counts what was
 * accepted in a file that it maps, so that the count survives it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "support/fixture.h"

#define LONG_MS (2 * PATIENCE_MS)

/* Each thread of the child has a routing key, and so a queue, of its own. */
#define KEYS 16

struct counts {
    atomic_uint accepted[KEYS]; /* numbers below are accepted */
};

static struct counts *map_counts(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *at = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof(struct counts)) == 0)
        at = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (at == MAP_FAILED) {
        perror(path);
        exit(3);
    }
    return at;
}

/* ---- the child ---- */

struct key {
    struct warren_publisher *publisher;
    struct counts *counts;
    const char *queues; /* what their names begin with */
    unsigned index;
    unsigned goal;
};

/* The numbers from the first one that is not known to be accepted; that one may be on disk. */
static void *publish_numbers(void *arg)
{
    const struct key *key = arg;
    atomic_uint *accepted = &key->counts->accepted[key->index];
    char queue[128], id[64], body[16];
    struct warren_message message = {.properties = {.message_id = id}};
    struct warren_publish publish = {.routing_key = queue, .message = &message};

    snprintf(queue, sizeof queue, "%s.%u", key->queues, key->index);
    while (*accepted < key->goal) {
        enum warren_status status;

        snprintf(body, sizeof body, "%u", *accepted);
        snprintf(id, sizeof id, "%u-%u", key->index, *accepted);
        message.body = warren_text(body);
        status = warren_publisher_publish(key->publisher, &publish, NULL, NULL, NULL);
        if (status != WARREN_OK) {
            fprintf(stderr, "publish: %s\n", warren_status_name(status));
            exit(4);
        }
        (*accepted)++;
    }
    return NULL;
}

/* argv: URI SPOOL COUNTS QUEUES GOAL END. Publishes, sends what is in the spool, and ends, unless
 * END is "killed": then it waits for that. */
static int child(char **argv)
{
    const char *uri = argv[0];
    struct counts *counts = map_counts(argv[2]);
    struct warren_publisher_options options;
    struct warren_error error = {WARREN_OK, ""};
    struct warren_publisher *publisher;
    pthread_t threads[KEYS];
    struct key keys[KEYS];

    warren_publisher_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    options.reconnect_delay_max_ms = 500;
    options.spool_path = argv[1];
    if (warren_publisher_new(&options, &publisher, &error) != WARREN_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 5;
    }
    for (unsigned i = 0; i < KEYS; i++) {
        keys[i] = (struct key){publisher, counts, argv[3], i, (unsigned)atoi(argv[4]) / KEYS};
        pthread_create(&threads[i], NULL, publish_numbers, &keys[i]);
    }
    for (unsigned i = 0; i < KEYS; i++)
        pthread_join(threads[i], NULL);
    while (strcmp(argv[5], "killed") == 0)
        pause();
    return warren_publisher_close(publisher, UINT32_MAX) == WARREN_OK ? 0 : 6;
}

/* ---- a run ---- */

struct run {
    struct fixture *f; /* the names of the queues begin with that of its queue */
    char *counts_path;
    struct counts *counts;
    char *goal;
    struct proc *child;
    unsigned copies[KEYS]; /* further ones */
    unsigned next[KEYS];
    unsigned key; /* being drained */
    unsigned disordered;
};

static int set_up(void **state)
{
    struct run *run = calloc(1, sizeof *run);
    struct fixture *f;

    assert_non_null(run);
    fixture_setup(state);
    f = run->f = *state;
    f->own = run;
    run->counts_path = text("%s/counts", f->directory);
    run->counts = map_counts(run->counts_path);
    for (unsigned i = 0; i < KEYS; i++) {
        char *queue = text("%s.%u", f->queue, i);

        peer_declare(f->peer, queue, "classic");
        free(queue);
    }
    return 0;
}

static int tear_down(void **state)
{
    const struct fixture *f = *state;
    struct run *run = f->own;

    proc_free(run->child);
    munmap(run->counts, sizeof *run->counts);
    free(run->counts_path);
    free(run->goal);
    return fixture_teardown(state);
}

static void start_child(struct run *run, const char *end)
{
    const char *argv[] = {"/proc/self/exe",
                          "--child",
                          run->f->broker->uri,
                          run->f->spool,
                          run->counts_path,
                          run->f->queue,
                          run->goal,
                          end,
                          NULL};

    run->child = proc_start(argv, NULL, NULL);
}

static void kill_child(struct run *run)
{
    proc_signal(run->child, SIGKILL);
    assert_int_equal(proc_wait(run->child, LONG_MS), PROC_SIGNAL + SIGKILL);
    proc_free(run->child);
    run->child = NULL;
}

static void expect_end(struct run *run)
{
    int status = proc_wait(run->child, 3 * LONG_MS);

    if (status != 0)
        fail_msg("the child ended with %d: %s", status, proc_stderr(run->child));
}

static unsigned accepted(const struct run *run)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < KEYS; i++)
        sum += run->counts->accepted[i];
    return sum;
}

static void wait_for_accepted(struct run *run, unsigned goal)
{
    if (!WAIT_FOR(accepted(run) >= goal || proc_wait(run->child, 0) != PROC_RUNNING, LONG_MS) ||
        accepted(run) < goal)
        fail_msg("%u of %u were accepted: %s", accepted(run), goal, proc_stderr(run->child));
}

/* The first copy of each number comes behind that of the number before. */
static void on_message(const struct peer_message *message, void *user)
{
    struct run *run = user;
    unsigned number = (unsigned)atoi(message->body);
    char id[64];

    snprintf(id, sizeof id, "%u-%u", run->key, number);
    assert_string_equal(message->message_id, id);
    if (number < run->next[run->key])
        run->copies[run->key]++;
    else if (number == run->next[run->key])
        run->next[run->key]++;
    else
        run->disordered++;
}

/* All that was accepted is there, in order. @return how many further copies there are */
static unsigned drain(struct run *run)
{
    struct peer *peer = fixture_new_peer(run->f); /* the node was stopped */
    unsigned copies = 0;

    for (run->key = 0; run->key < KEYS; run->key++) {
        char *queue = text("%s.%u", run->f->queue, run->key);

        peer_drain(peer, queue, on_message, run);
        assert_int_equal(run->next[run->key], run->counts->accepted[run->key]);
        copies += run->copies[run->key];
        free(queue);
    }
    assert_int_equal(run->disordered, 0);
    return copies;
}

/* ---- tests ---- */

/* The broker is down, 50,000 are published, the process is killed; both are started again: all
 * arrive, once, for nothing had been sent. */
static void an_outage_and_a_kill(void **state)
{
    const struct fixture *f = *state;
    struct run *run = f->own;

    run->goal = text("%d", 50000);
    broker_do(f->broker, "stop");
    start_child(run, "killed");
    wait_for_accepted(run, 50000);
    kill_child(run);
    broker_do(f->broker, "start");
    start_child(run, "done");
    expect_end(run);
    assert_int_equal(drain(run), 0);
}

/* Killed at random, 20 times, while it publishes and sends, and the broker twice: nothing is lost,
 * the order of first copies is kept. */
static void kills_at_random(void **state)
{
    const struct fixture *f = *state;
    struct run *run = f->own;
    const char *given = getenv("WARREN_TEST_SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);
    unsigned copies;

    print_message("WARREN_TEST_SEED=%u\n", seed);
    run->goal = text("%d", 20000);
    for (unsigned round = 1; round <= 20; round++) {
        unsigned goal = accepted(run) + (unsigned)rand_r(&seed) % 900;

        start_child(run, "killed");
        wait_for_accepted(run, goal < 20000 ? goal : 20000);
        if (round % 10 == 5)
            broker_kill(f->broker);
        kill_child(run);
        if (round % 10 == 7)
            broker_do(f->broker, "start");
    }
    start_child(run, "done");
    expect_end(run);
    assert_int_equal(accepted(run), 20000);
    copies = drain(run);
    print_message("20 kills of the process, 2 of the broker: 20000 messages, lost 0, sent again "
                  "%u\n",
                  copies);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_outage_and_a_kill),
        TEST(kills_at_random),
    };

    if (argc == 8 && strcmp(argv[1], "--child") == 0)
        return child(argv + 2);
    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
