/* test_resolver.c - name look-ups that succeed, fail, hang and are abandoned.
 * getaddrinfo() is replaced by one that the tests hold up.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <time.h>

#include "amqp/net/resolver.h"
#include "support/metric_page.h"

#define DEADLINE_MS 10000

/* ---- the replaced getaddrinfo ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held;      /* "slow.test" waits while this is set */
    unsigned calls; /* of names, not of addresses */
    unsigned inside;
} names = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0};

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *restrict host, const char *restrict port,
                const struct addrinfo *restrict hints, struct addrinfo **restrict addresses)
{
    getaddrinfo_fn *real;
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");

    memcpy(&real, &symbol, sizeof real);
    if (hints->ai_flags & AI_NUMERICHOST)
        return real(host, port, hints, addresses);

    pthread_mutex_lock(&names.lock);
    names.calls++;
    names.inside++;
    pthread_cond_broadcast(&names.changed);
    while (names.held && strcmp(host, "slow.test") == 0)
        pthread_cond_wait(&names.changed, &names.lock);
    names.inside--;
    pthread_cond_broadcast(&names.changed);
    pthread_mutex_unlock(&names.lock);
    return strcmp(host, "unknown.test") == 0 ? EAI_NONAME
                                             : real("192.0.2.7", port, hints, addresses);
}

static void hold_names(bool held)
{
    pthread_mutex_lock(&names.lock);
    names.held = held;
    pthread_cond_broadcast(&names.changed);
    pthread_mutex_unlock(&names.lock);
}

/* Wait until @count look-ups are inside of getaddrinfo(). */
static void await_inside(unsigned count)
{
    struct timespec deadline;
    int late = 0;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_MS / 1000;
    pthread_mutex_lock(&names.lock);
    while (names.inside != count && !late)
        late = pthread_cond_timedwait(&names.changed, &names.lock, &deadline);
    pthread_mutex_unlock(&names.lock);
    assert_int_equal(late, 0);
}

static unsigned name_calls(void)
{
    unsigned calls;

    pthread_mutex_lock(&names.lock);
    calls = names.calls;
    pthread_mutex_unlock(&names.lock);
    return calls;
}

/* ---- a loop that runs until a look-up is done ---- */

struct fixture {
    struct loop *loop;
    struct loop_timer deadline;
    unsigned done;
    char address[INET6_ADDRSTRLEN];
    uint16_t port;
    struct warren_error error;
};

static void on_deadline(void *arg)
{
    struct fixture *fixture = arg;

    loop_stop(fixture->loop);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    if (!fixture || loop_new(clock_monotonic(), &fixture->loop) != WARREN_OK)
        return -1;
    *state = fixture;
    return loop_timer_init(&fixture->deadline, fixture->loop, on_deadline, fixture);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    loop_timer_done(&fixture->deadline);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void on_done(void *user, struct addrinfo *addresses, const struct warren_error *error)
{
    struct fixture *fixture = user;

    fixture->done++;
    if (!addresses) {
        fixture->error = *error;
    } else if (addresses->ai_family == AF_INET6) {
        struct sockaddr_in6 address;

        memcpy(&address, addresses->ai_addr, sizeof address);
        inet_ntop(AF_INET6, &address.sin6_addr, fixture->address, sizeof fixture->address);
        fixture->port = ntohs(address.sin6_port);
    } else {
        struct sockaddr_in address;

        memcpy(&address, addresses->ai_addr, sizeof address);
        inet_ntop(AF_INET, &address.sin_addr, fixture->address, sizeof fixture->address);
        fixture->port = ntohs(address.sin_port);
    }
    if (addresses)
        freeaddrinfo(addresses);
    loop_stop(fixture->loop);
}

static void look_up(struct fixture *fixture, const char *host)
{
    struct resolver_lookup *lookup;

    fixture->done = 0;
    assert_int_equal(resolver_lookup(fixture->loop, host, 5672, on_done, fixture, &lookup),
                     WARREN_OK);
    assert_int_equal(fixture->done, 0); /* never before it returned */
    loop_timer_arm_ms(&fixture->deadline, DEADLINE_MS);
    loop_run(fixture->loop);
    assert_int_equal(fixture->done, 1);
}

/* Run what the loop has waiting. */
static void run_briefly(struct fixture *fixture)
{
    loop_timer_arm_ms(&fixture->deadline, 20);
    loop_run(fixture->loop);
}

/* ---- tests ---- */

/* Addresses written as numbers are answered without a thread, but later. */
static void addresses_need_no_thread(void **state)
{
    struct fixture *fixture = *state;
    unsigned calls = name_calls();

    look_up(fixture, "127.0.0.1");
    assert_string_equal(fixture->address, "127.0.0.1");
    assert_int_equal(fixture->port, 5672);
    look_up(fixture, "::1");
    assert_string_equal(fixture->address, "::1");
    assert_int_equal(fixture->port, 5672);
    assert_int_equal(name_calls(), calls);
}

/* A name is looked up on a thread and answered on the loop. */
static void a_name_is_resolved(void **state)
{
    struct fixture *fixture = *state;

    look_up(fixture, "broker.test");
    assert_string_equal(fixture->address, "192.0.2.7");
    assert_int_equal(fixture->port, 5672);
}

/* An unknown name fails with a text that names it. */
static void an_unknown_name_is_named(void **state)
{
    struct fixture *fixture = *state;

    look_up(fixture, "unknown.test");
    assert_int_equal(fixture->error.status, WARREN_EIO);
    assert_non_null(strstr(fixture->error.text, "\"unknown.test\""));
}

/* A look-up that is answered but not told yet can be abandoned. */
static void an_answer_that_waits_is_abandoned(void **state)
{
    struct fixture *fixture = *state;
    struct resolver_lookup *lookup;

    assert_int_equal(resolver_lookup(fixture->loop, "127.0.0.1", 1, on_done, fixture, &lookup),
                     WARREN_OK);
    resolver_abandon(lookup);
    run_briefly(fixture);
    assert_int_equal(fixture->done, 0);
    resolver_abandon(NULL);
}

/* Whether the thread is before, in or behind its post, abandoning is safe and final. */
static void abandoning_races_with_the_answer(void **state)
{
    struct fixture *fixture = *state;

    for (int round = 0; round < 200; round++) {
        struct resolver_lookup *lookup;

        if (resolver_lookup(fixture->loop, "broker.test", 1, on_done, fixture, &lookup) !=
            WARREN_OK)
            continue; /* too many threads have not come to their end yet */
        if (round % 3 == 0)
            await_inside(0);
        resolver_abandon(lookup);
    }
    run_briefly(fixture);
    assert_int_equal(fixture->done, 0);
}

/* Abandoned threads of what was before may still be on their last lines. */
static struct resolver_lookup *begin_in_time(struct fixture *fixture, struct loop *loop,
                                             const char *name)
{
    int64_t until = clock_now_ms(clock_monotonic()) + DEADLINE_MS;
    struct resolver_lookup *lookup;
    enum warren_status status;

    do {
        status = resolver_lookup(loop, name, 1, on_done, fixture, &lookup);
    } while (status == WARREN_EFULL && clock_now_ms(clock_monotonic()) < until);
    assert_int_equal(status, WARREN_OK);
    return lookup;
}

/* The loop may be gone when an abandoned look-up comes back. */
static void an_abandoned_look_up_outlives_the_loop(void **state)
{
    struct fixture *fixture = *state;
    struct resolver_lookup *lookup;
    struct loop *loop;

    assert_int_equal(loop_new(clock_monotonic(), &loop), WARREN_OK);
    await_inside(0);
    hold_names(true);
    lookup = begin_in_time(fixture, loop, "slow.test");
    await_inside(1);
    resolver_abandon(lookup);
    loop_free(loop);
    hold_names(false);
    await_inside(0);
    assert_int_equal(fixture->done, 0);
}

/* With RESOLVER_HANGING_MAX abandoned look-ups hanging, the next name fails; addresses do not,
 * and names are possible again when the look-ups came to an end. */
static void hanging_look_ups_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct resolver_lookup *lookup;
    double refused;

    hold_names(true);
    for (unsigned i = 1; i <= RESOLVER_HANGING_MAX; i++) {
        lookup = begin_in_time(fixture, fixture->loop, "slow.test");
        await_inside(i);
        resolver_abandon(lookup);
    }
    assert_true(metric_on_page("warren_lookups_hanging") == RESOLVER_HANGING_MAX);
    refused = metric_on_page("warren_lookups_refused_total");
    assert_int_equal(resolver_lookup(fixture->loop, "slow.test", 1, on_done, fixture, &lookup),
                     WARREN_EFULL);
    assert_true(metric_on_page("warren_lookups_refused_total") == refused + 1);
    look_up(fixture, "127.0.0.1");

    hold_names(false);
    await_inside(0);
    resolver_abandon(begin_in_time(fixture, fixture->loop, "broker.test"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_need_no_thread),         TEST(a_name_is_resolved),
        TEST(an_unknown_name_is_named),         TEST(an_answer_that_waits_is_abandoned),
        TEST(abandoning_races_with_the_answer), TEST(an_abandoned_look_up_outlives_the_loop),
        TEST(hanging_look_ups_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
