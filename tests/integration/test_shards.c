/* test_shards.c - `shards:` on a real broker: three workers share the queues out within one of
 * even, whoever comes, ends or is killed; what each key has is handled in order, and nothing is
 * lost.
 *
 * What the handler writes down (tests/plugins/ordered.c, one file for all workers) is played again:
 * a message of a key may begin only when nobody has another one of it, but a worker that was killed
 * or cut off, and all before it are done.
 */
#include <signal.h>

#include "amqp/consumer/seats.h"
#include "support/admin.h"
#include "support/amqp_rig.h"
#include "support/keyed.h"

#define COUNT   8 /* shards */
#define KEYS    40
#define WORKERS 3
#define GONE    4 /* processes that were killed, or cut off */

struct shards {
    struct fixture *f;
    struct worker *workers[WORKERS];
    pid_t gone[GONE];
    unsigned gone_count;
    unsigned published; /* of each key */
};

/* ---- publishing ---- */

/* Of each of @keys the numbers from @first up to @end, to the shards. */
static void publish_keys(const struct shards *s, unsigned keys, unsigned first, unsigned end)
{
    struct keyed keyed;

    keyed_begin(&keyed, s->f, "customer");
    keyed.exchange = s->f->queue;
    for (unsigned number = first; number < end; number++)
        for (unsigned key = 0; key < keys; key++)
            keyed_publish(&keyed, key, number, NULL);
    keyed_end(&keyed);
}

static void publish_more(struct shards *s, unsigned count)
{
    publish_keys(s, KEYS, s->published, s->published + count);
    s->published += count;
}

/* ---- what was handled ---- */

struct played {
    const struct shards *shards;
    pid_t at_work[KEYS]; /* who has one of it; 0: nobody */
    unsigned done_of[KEYS];
    unsigned done;
};

static bool is_gone(const struct shards *s, pid_t pid)
{
    for (unsigned i = 0; i < s->gone_count; i++)
        if (s->gone[i] == pid)
            return true;
    return false;
}

static void play_line(void *user, const struct keyed_line *line)
{
    struct played *p = user;
    pid_t *at_work = &p->at_work[line->key];
    unsigned *done_of = &p->done_of[line->key];

    if (!line->begins) {
        *at_work = *at_work == line->pid ? 0 : *at_work;
        if (keyed_is_acked(line) && line->number == *done_of) {
            ++*done_of;
            p->done++;
        }
        return;
    }
    /* Who was cut off may begin another one before it sees that. */
    if (*at_work != 0 && !is_gone(p->shards, *at_work) && !is_gone(p->shards, line->pid))
        fail_msg("%d begins k%u %u, and %d is at work on another one", line->pid, line->key,
                 line->number, (int)*at_work);
    if (line->number > *done_of)
        fail_msg("k%u %u begins, and those from %u on are not done", line->key, line->number,
                 *done_of);
    *at_work = line->pid;
}

static unsigned done(const struct shards *s)
{
    struct played played = {.shards = s};

    keyed_play(s->f, KEYS, play_line, &played);
    return played.done;
}

static void expect_done(const struct shards *s, unsigned count)
{
    if (!WAIT_FOR(done(s) >= count, PATIENCE_MS))
        fail_msg("%u of %u are done: %s", done(s), count, proc_stderr(s->workers[0]->proc));
}

/* ---- workers ---- */

static void make(struct shards *s, unsigned index, const char *uri, const char *shards,
                 const char *more)
{
    s->workers[index] = worker_new(uri,
                                   "admin: {listen: '127.0.0.1:0'}\n"
                                   "state_dir: state\n"
                                   "middleware: {retry: {policy: constant, initial_delay: 5ms}}\n"
                                   "crash: {max_attempts: 100}\n"
                                   "subscriptions:\n"
                                   "  - handler: ordered.run\n"
                                   "    concurrency: 2\n"
                                   "    prefetch: 20\n"
                                   "    shards: {exchange: %s, %s}\n"
                                   "    options: {path: '%s', delay: 8ms, fail_each: 5, fails: 1}\n"
                                   "%s",
                                   s->f->queue, shards, s->f->record, more);
}

static void make_ordered(struct shards *s, unsigned index, const char *uri)
{
    make(s, index, uri, "count: 8, by: header:customer", "    order: {by: header:customer}\n");
}

static long told(const struct shards *s, unsigned index, const char *key)
{
    return worker_number(s->workers[index], "msg=shards ", key);
}

/* Subscriptions to shards that the worker really has. */
static long consuming(const struct shards *s, unsigned index)
{
    static const char state[] = "\"state\":\"consuming\"";
    char *address = admin_address(s->workers[index]);
    char *body = NULL;
    long count = 0;

    admin_get(address, "/readyz", NULL, &body);
    for (const char *at = strstr(body, state); at; at = strstr(at + 1, state))
        count++;
    free(body);
    free(address);
    return count;
}

/* Those of @who, a bit each, see each other, have all @shards, and none has more than one above
 * another. */
static bool is_spread(const struct shards *s, unsigned who, long shards)
{
    long workers = __builtin_popcount(who);
    long all = 0;

    for (unsigned i = 0; i < WORKERS; i++) {
        long mine;

        if (!(who & 1u << i))
            continue;
        mine = told(s, i, "mine");
        if (told(s, i, "workers") != workers || mine < shards / workers ||
            mine > (shards + workers - 1) / workers || consuming(s, i) != mine)
            return false;
        all += mine;
    }
    return all == shards;
}

static void expect_spread(const struct shards *s, unsigned who, long shards)
{
    if (WAIT_FOR(is_spread(s, who, shards), PATIENCE_MS))
        return;
    for (unsigned i = 0; i < WORKERS; i++)
        if (who & 1u << i)
            fprintf(stderr, "worker %u consumes %ld:\n%s\n", i, consuming(s, i),
                    proc_stderr(s->workers[i]->proc));
    fail_msg("%ld shards are not spread over %x", shards, who);
}

static unsigned messages(const struct shards *s, unsigned count)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < count; i++) {
        char *queue = text("%s.%u", s->f->queue, i);

        sum += (unsigned)broker_messages(s->f->broker, queue);
        free(queue);
    }
    return sum;
}

static void forget(struct shards *s, unsigned index)
{
    s->gone[s->gone_count++] = proc_pid(s->workers[index]->proc);
}

/* What was handled, and whose ack was lost, comes once more. */
static void stop_all(struct shards *s, unsigned who)
{
    expect_done(s, s->published * KEYS);
    assert_true(WAIT_FOR(messages(s, COUNT) == 0, PATIENCE_MS));
    for (unsigned i = 0; i < WORKERS; i++)
        if (who & 1u << i)
            assert_int_equal(worker_stop(s->workers[i]), 0);
    assert_int_equal(done(s), s->published * KEYS);
    assert_int_equal(messages(s, COUNT), 0);
}

static int setup(void **state)
{
    struct shards *s = calloc(1, sizeof *s);
    void *fixture = *state;

    assert_non_null(s);
    keyed_setup(&fixture);
    s->f = fixture;
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct shards *s = *state;
    void *fixture = s->f;

    for (unsigned i = 0; i < WORKERS; i++)
        worker_free(s->workers[i]);
    free(s);
    return fixture_teardown(&fixture);
}

/* ---- three workers ---- */

static void workers_come_end_and_are_killed(void **state)
{
    struct shards *s = *state;

    for (unsigned i = 0; i < WORKERS; i++)
        make_ordered(s, i, s->f->broker->uri);
    worker_consume(s->workers[0], COUNT);
    publish_more(s, 10);
    worker_consume(s->workers[1], COUNT / 3);
    worker_consume(s->workers[2], COUNT / 3);
    expect_spread(s, 7, COUNT);
    publish_more(s, 15);
    expect_done(s, 11 * KEYS);
    forget(s, 2);
    proc_signal(s->workers[2]->proc, SIGKILL);
    proc_wait(s->workers[2]->proc, PATIENCE_MS);
    expect_spread(s, 3, COUNT);
    publish_more(s, 10);
    expect_done(s, 26 * KEYS);
    assert_int_equal(worker_stop(s->workers[0]), 0);
    expect_spread(s, 2, COUNT);
    publish_more(s, 10);
    worker_consume(s->workers[0], COUNT / 2);
    worker_consume(s->workers[2], COUNT / 3);
    expect_spread(s, 7, COUNT);
    stop_all(s, 7);
}

/* The connection of one is cut, again and again: others take its shards over, and it comes back. */
static void a_lost_connection_keeps_the_order(void **state)
{
    struct shards *s = *state;

    s->f->proxy = proxy_new(s->f->broker->port);
    make_ordered(s, 0, proxy_uri(s->f->proxy));
    make_ordered(s, 1, s->f->broker->uri);
    worker_consume(s->workers[0], COUNT);
    forget(s, 0);
    publish_more(s, 10);
    worker_consume(s->workers[1], COUNT / 2);
    for (unsigned i = 0; i < 3; i++) {
        publish_more(s, 5);
        expect_done(s, (s->published - 4) * KEYS);
        proxy_cut(s->f->proxy, PROXY_RST);
    }
    expect_spread(s, 3, COUNT);
    stop_all(s, 3);
}

/* ---- a reload ---- */

static void edit(const struct worker *worker, const char *from, const char *to)
{
    char *was = read_file(worker->config, NULL);
    const char *at = strstr(was, from);
    char *now;

    assert_non_null(at);
    now = text("%.*s%s%s", (int)(at - was), was, to, at + strlen(from));
    free(write_file(worker->directory, "worker.yaml", now));
    free(now);
    free(was);
}

static void reload(struct worker *worker, const char *says)
{
    proc_signal(worker->proc, SIGHUP);
    if (!WAIT_FOR(worker_logged(worker, says, NULL) > 0, PATIENCE_MS))
        fail_msg("\"%s\" is not in: %s", says, proc_stderr(worker->proc));
}

/* What a reload changes is so for shards that are another's, too, when they come here; other shards
 * it refuses. */
static void a_reload_reaches_all_shards(void **state)
{
    struct shards *s = *state;

    for (unsigned i = 0; i < 2; i++) {
        make_ordered(s, i, s->f->broker->uri);
        worker_consume(s->workers[i], COUNT / 2);
    }
    expect_spread(s, 3, COUNT);
    publish_more(s, 5);
    edit(s->workers[0], "concurrency: 2", "concurrency: 3");
    edit(s->workers[0], "prefetch: 20", "prefetch: 30");
    reload(s->workers[0], "prefetch of ");
    edit(s->workers[0], "count: 8", "count: 7");
    reload(s->workers[0], "are other ones, which takes a restart");
    publish_more(s, 5);
    assert_int_equal(worker_stop(s->workers[1]), 0);
    expect_spread(s, 1, COUNT);
    publish_more(s, 5);
    stop_all(s, 1);
}

/* ---- more workers than shards ---- */

static bool is_ready(const struct shards *s, unsigned index, const char *says)
{
    char *address = admin_address(s->workers[index]);
    char *body = NULL;
    bool ready = admin_get(address, "/readyz", NULL, &body) == 200 && strstr(body, says);

    free(body);
    free(address);
    return ready;
}

static bool one_is_idle(const struct shards *s, unsigned *ret_which)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (told(s, i, "mine") == 0) {
            *ret_which = i;
            return is_ready(s, i, "another worker has this shard");
        }
    return false;
}

/* The third one has nothing, and is ready; it takes over what another one leaves. All begin at
 * once, and so want the same seats. */
static void who_has_no_shard_stands_by(void **state)
{
    struct shards *s = *state;
    unsigned idle = 0;
    unsigned other;

    for (unsigned i = 0; i < WORKERS; i++) {
        make(s, i, s->f->broker->uri, "count: 2, by: routing_key", "");
        worker_run(s->workers[i], NULL);
    }
    if (!WAIT_FOR(one_is_idle(s, &idle), PATIENCE_MS))
        fail_msg("nobody is idle: %s", proc_stderr(s->workers[0]->proc));
    other = (idle + 1) % WORKERS;
    assert_int_equal(worker_stop(s->workers[other]), 0);
    expect_spread(s, 7 & ~(1u << other), 2);
}

/* A message where none belongs is dropped; a seat that is deleted is declared again, and taken. */
static void a_seat_that_is_disturbed_is_taken_again(void **state)
{
    struct shards *s = *state;
    char *seats[2];

    for (unsigned i = 0; i < 2; i++) {
        seats[i] = text("%s.seat.%u", s->f->queue, i);
        make(s, i, s->f->broker->uri, "count: 2, by: routing_key", "");
        worker_consume(s->workers[i], 1);
    }
    expect_spread(s, 3, 2);
    for (unsigned i = 0; i < 2; i++) {
        peer_say(s->f->peer, seats[i], "who is there?");
        peer_delete_alone(s->f->peer, seats[i]);
    }
    for (unsigned i = 0; i < 2; i++)
        assert_true(WAIT_FOR(peer_consumers(s->f->peer, seats[i]) == 1, PATIENCE_MS));
    expect_spread(s, 3, 2);
    for (unsigned i = 0; i < 2; i++)
        free(seats[i]);
}

/* ---- seats ---- */

struct sitter {
    struct seats seats;
    int own;
    unsigned taken;
    unsigned seen;
    unsigned missing;
};

static void on_seen(void *user, int own, const bool *taken)
{
    struct sitter *sitter = user;

    sitter->own = own;
    sitter->taken = taken[0] + 2u * taken[1] + 4u * taken[2];
    sitter->seen++;
}

static void on_missing(void *user)
{
    ((struct sitter *)user)->missing++;
}

static void sit_down(struct rig *rig, struct sitter *sitter, const char *prefix)
{
    static const struct seats_events events = {.seen = on_seen, .missing = on_missing};
    const struct seats_options options = {.prefix = prefix, .count = 3, .period_ms = 20, .seed = 1};

    *sitter = (struct sitter){.own = -2};
    assert_int_equal(seats_init(&sitter->seats, rig->connection, &options, &events, sitter),
                     WARREN_OK);
    assert_int_equal(seats_start(&sitter->seats), WARREN_OK);
    assert_int_equal(seats_start(&sitter->seats), WARREN_OK);
}

static unsigned taken_by(const struct sitter *sitters, unsigned count)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < count; i++)
        if (sitters[i].own >= 0)
            taken |= 1u << sitters[i].own;
    return taken;
}

/* At once, and of the same seed, so that all try the same ones; a fourth one has none until another
 * gets up. */
static void four_want_three_seats(void **state)
{
    struct shards *s = *state;
    struct rig *rig = rig_new(s->f->broker->uri);
    struct sitter sitters[4];
    unsigned free_seat;
    unsigned idle = 0;

    sit_down(rig, &sitters[0], s->f->queue);
    assert_true(RIG_UNTIL(rig, sitters[0].missing > 0, PATIENCE_MS));
    seats_done(&sitters[0].seats);
    for (unsigned i = 0; i < 3; i++) {
        char *queue = text("%s.%u", s->f->queue, i);

        rig_declare_queue(rig, queue, "classic", s->f->dlq);
        free(queue);
    }
    for (unsigned i = 0; i < 4; i++)
        sit_down(rig, &sitters[i], s->f->queue);
    assert_true(RIG_UNTIL(
        rig, sitters[0].taken + sitters[1].taken + sitters[2].taken + sitters[3].taken == 4 * 7,
        PATIENCE_MS));
    assert_int_equal(taken_by(sitters, 4), 7);
    while (sitters[idle].own != SEAT_NONE)
        idle++;
    free_seat = (idle + 1) % 4;
    seats_done(&sitters[free_seat].seats);
    assert_true(RIG_UNTIL(rig, sitters[idle].own == sitters[free_seat].own, PATIENCE_MS));
    for (unsigned i = 0; i < 4; i++)
        seats_done(&sitters[i].seats);
    rig_free(rig);
}

/* ---- keys ---- */

#define MANY 12 /* shards */
#define ALL  1200

static void count_each(const struct shards *s, unsigned counts[MANY])
{
    for (unsigned i = 0; i < MANY; i++) {
        char *queue = text("%s.%u", s->f->queue, i);

        counts[i] = (unsigned)broker_messages(s->f->broker, queue);
        free(queue);
    }
}

/* Many keys: no queue has half or twice as many as it should. After a restart of RabbitMQ 4.3 each
 * key goes where it went before; earlier ones promise nothing (docs/sharding.md). */
static void expect_spread_keys(struct shards *s, const char *how)
{
    unsigned before[MANY];
    unsigned after[MANY];

    make(s, 0, s->f->broker->uri, how, "");
    worker_consume(s->workers[0], MANY);
    assert_int_equal(worker_stop(s->workers[0]), 0);
    publish_keys(s, ALL, 0, 1);
    count_each(s, before);
    for (unsigned i = 0; i < MANY; i++)
        if (before[i] < ALL / MANY / 2 || before[i] > ALL / MANY * 2)
            fail_msg("shard %u has %u of %u", i, before[i], ALL);
    if (!broker_at_least(s->f->broker, 4, 3))
        return;
    broker_do(s->f->broker, "restart");
    publish_keys(s, ALL, 0, 1);
    count_each(s, after);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(after[i], 2 * before[i]);
}

static void keys_are_spread_and_stay(void **state)
{
    expect_spread_keys(*state, "count: 12, by: header:customer");
}

static void keys_need_no_plugin(void **state)
{
    struct shards *s = *state;

    if (!broker_at_least(s->f->broker, 4, 3))
        skip();
    expect_spread_keys(s, "count: 12, by: routing_key, hash: modulus");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(workers_come_end_and_are_killed),
        TEST(a_lost_connection_keeps_the_order),
        TEST(a_reload_reaches_all_shards),
        TEST(who_has_no_shard_stands_by),
        TEST(a_seat_that_is_disturbed_is_taken_again),
        TEST(four_want_three_seats),
        TEST(keys_are_spread_and_stay),
        TEST(keys_need_no_plugin),
    };

    return cmocka_run_group_tests(tests, fixture_own_hash_node, fixture_end_node);
}
