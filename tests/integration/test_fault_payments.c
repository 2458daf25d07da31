/* test_fault_payments.c - the same payments published twice, while connections are cut, the worker
 * is killed again and again and the broker now and then: the ledger has each payment exactly once.
 * Everything random comes from a seed, which is printed; WARREN_TEST_SEED repeats it.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/random.h"
#include "support/fixture.h"
#include "support/stored.h"

#define LONG_MS (2 * PATIENCE_MS)

enum {
    PAYMENTS = 10000,
    COPIES = 2 * PAYMENTS,
    BLOCK = 500, /* payments that are published, and then published again */
    KILLS = 200, /* of a worker that consumes */
    BROKER_KILLS = 5,
    AHEAD = 300,        /* copies that may be published before their kill is due */
    CONSUMING_MS = 400, /* longest wait for a worker to consume before it is killed all the same */
    LIFE_MS = 120       /* longest life after that */
};

struct run {
    struct fixture *f;
    struct random random;
    pthread_t publishing;
    atomic_int kills; /* of a worker that consumed */
    int other_kills;
    int cuts;
    atomic_int confirmed;
    atomic_int unconfirmed; /* attempts that ended otherwise, and were made again */
    atomic_uchar done[COPIES];
};

static struct run *run; /* one at a time; static for the receipts */

/* ---- publishing ---- */

static void on_receipt(const struct warren_receipt *receipt, void *user)
{
    size_t copy = (size_t)(uintptr_t)user;

    if (receipt->result == WARREN_CONFIRMED) {
        atomic_store(&run->done[copy], 1);
        atomic_fetch_add(&run->confirmed, 1);
    } else {
        atomic_store(&run->done[copy], 2); /* to be published again */
        atomic_fetch_add(&run->unconfirmed, 1);
    }
}

/* A block of payments, and the same block again. */
static int number_of(int copy)
{
    return copy / (2 * BLOCK) * BLOCK + copy % BLOCK;
}

static void publish(int copy)
{
    char id[32];
    char body[80];
    struct warren_message message = {.properties = {.message_id = id}};
    struct warren_publish what = {.routing_key = run->f->queue, .message = &message};

    snprintf(id, sizeof id, "p%d", number_of(copy));
    snprintf(body, sizeof body, "{\"id\":\"%s\",\"cents\":%d}", id, number_of(copy));
    message.body = warren_text(body);
    atomic_store(&run->done[copy], 0);
    while (warren_publisher_publish(run->f->publisher, &what, on_receipt, (void *)(uintptr_t)copy,
                                    NULL) != WARREN_OK)
        rest_ms(50);
}

/* So that there is something to do in each of the worker's lives. */
static bool is_due(int copy)
{
    return copy < AHEAD + (int)((int64_t)COPIES * atomic_load(&run->kills) / KILLS);
}

static void *publish_all(void *arg)
{
    (void)arg;
    for (int copy = 0; copy < COPIES; copy++) {
        while (!is_due(copy))
            rest_ms(2);
        publish(copy);
    }
    while (atomic_load(&run->confirmed) < COPIES) {
        for (int copy = 0; copy < COPIES; copy++)
            if (atomic_load(&run->done[copy]) == 2)
                publish(copy);
        rest_ms(20);
    }
    return NULL;
}

/* ---- faults ---- */

static void *kill_broker(void *arg)
{
    broker_kill(arg);
    broker_do(arg, "start");
    return NULL;
}

/* One life of a worker, and its end at a random point. */
static void live_and_die(void)
{
    bool consumed;

    worker_run(run->f->worker, NULL);
    if (random_upto(&run->random, 9) == 0) { /* somewhere in its beginning */
        rest_ms((int64_t)random_upto(&run->random, CONSUMING_MS / 4));
        consumed = worker_logged(run->f->worker, "consuming queue=", NULL) > 0;
    } else {
        consumed =
            WAIT_FOR(worker_logged(run->f->worker, "consuming queue=", NULL) > 0, CONSUMING_MS);
        rest_ms((int64_t)random_upto(&run->random, LIFE_MS));
    }
    if (random_upto(&run->random, 7) == 0) {
        run->cuts += proxy_cut(run->f->proxy, random_upto(&run->random, 1) ? PROXY_RST : PROXY_FIN);
        rest_ms((int64_t)random_upto(&run->random, LIFE_MS));
    }
    proc_signal(run->f->worker->proc, SIGKILL);
    if (proc_wait(run->f->worker->proc, LONG_MS) != PROC_SIGNAL + SIGKILL)
        fail_msg("the worker ended by itself:\n%s", proc_stderr(run->f->worker->proc));
    if (consumed)
        atomic_fetch_add(&run->kills, 1);
    else
        run->other_kills++;
}

static void all_faults(void)
{
    for (int i = 0; i <= BROKER_KILLS; i++) {
        pthread_t killing;

        if (i > 0)
            assert_int_equal(pthread_create(&killing, NULL, kill_broker, run->f->broker), 0);
        while (atomic_load(&run->kills) < KILLS * (i + 1) / (BROKER_KILLS + 1))
            live_and_die();
        if (i > 0)
            pthread_join(killing, NULL);
    }
}

/* ---- the books ---- */

static void check_books(void)
{
    int64_t rows = stored_number(run->f->worker, "SELECT count(*) FROM payment");
    int64_t payments = stored_number(run->f->worker, "SELECT count(DISTINCT id) FROM payment");
    int64_t unexpected = stored_number(
        run->f->worker, "SELECT count(*) FROM payment WHERE id <> 'p' || cents OR cents "
                        "NOT BETWEEN 0 AND 9999");

    print_message("attempts %d; acknowledged %d; ok %" PRId64 "; lost %" PRId64
                  "; unexpected %" PRId64 "; duplicated effects %" PRId64
                  "; faults: %d SIGKILL of the worker (%d before it consumed), %d of the broker, "
                  "%d connections cut\n",
                  COPIES + atomic_load(&run->unconfirmed), atomic_load(&run->confirmed), payments,
                  PAYMENTS - payments, unexpected, rows - payments,
                  atomic_load(&run->kills) + run->other_kills, run->other_kills, BROKER_KILLS,
                  run->cuts);
    assert_int_equal(rows, PAYMENTS);
    assert_int_equal(payments, PAYMENTS);
    assert_int_equal(unexpected, 0);
    assert_int_equal(stored_number(run->f->worker, "SELECT count(*) FROM done"), PAYMENTS);
    assert_int_equal(stored_number(run->f->worker, "SELECT sum(cents) FROM payment"),
                     PAYMENTS * (PAYMENTS - 1) / 2);
}

static bool is_empty(struct fixture *f)
{
    return broker_messages(f->broker, f->queue) == 0;
}

/* The last worker is left alone until nothing is left to do. */
static void finish(struct fixture *f)
{
    worker_run(f->worker, NULL);
    pthread_join(run->publishing, NULL);
    fixture_new_peer(f); /* the node was killed */
    if (!WAIT_FOR(is_empty(f), LONG_MS))
        fail_msg("the queue is not empty; the worker said:\n%s", proc_stderr(f->worker->proc));
    assert_int_equal(worker_stop(f->worker), 0);
}

/* ---- the run ---- */

static int setup(void **state)
{
    const char *seed_text = getenv("WARREN_TEST_SEED");
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : random_seed() % 1000000;
    struct fixture *f;

    *state = "classic";
    fixture_setup(state);
    f = *state;
    f->own = run = calloc(1, sizeof *run);
    assert_non_null(run);
    run->f = f;
    print_message("seed %" PRIu64 "\n", seed);
    random_init(&run->random, seed);
    f->proxy = proxy_new(f->broker->port);
    f->worker = worker_new(
        proxy_uri(f->proxy),
        "store: {path: store.db}\n"
        "dead_letter: {enabled: false}\n"
        "consumer: {prefetch: 50}\n"
        "subscriptions:\n"
        "  - queue: %s\n"
        "    handler: sqlite_sink.insert\n"
        "    concurrency: 4\n"
        "    options: {table: payment, columns: [id, cents], create: 'CREATE TABLE IF NOT EXISTS "
        "payment (id TEXT, cents INTEGER)'}\n"
        "    middleware: [log, retry, idempotency, recover]\n",
        f->queue);
    f->publisher = publisher_open(proxy_uri(f->proxy), NULL);
    return 0;
}

/* 10,000 payments, each published twice; the worker is killed 200 times while it consumes, and some
 * more; the broker 5 times. */
static void each_payment_once(void **state)
{
    assert_int_equal(pthread_create(&run->publishing, NULL, publish_all, NULL), 0);
    all_faults();
    finish(*state);
    check_books();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_payment_once, setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, fixture_own_node, fixture_end_node);
}
