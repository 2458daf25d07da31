/* testing.c - <warren/testing.h>: a worker of one subscription, without threads and broker.
 * Messages and their attempts: testing_run.c. */
#include <warren/sqlite.h>
#include <warren/testing.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/testing_delivery.h"
#include "app/testing_private.h"
#include "base/error.h"
#include "base/forked.h"

/* When the clock begins: not at 0, which stands for "never" in places. */
#define BEGIN_MS 1000000
/* When it stands still: in 146 years, so that nobody who adds to it has an overflow. */
#define END_NS (INT64_MAX / 2)

/* ---- time ---- */

static int64_t now_ns(struct clock *clock)
{
    const struct testing_clock *testing = (const struct testing_clock *)(void *)clock;
    int64_t ran_ns = testing->runs ? clock_now_ns(clock_monotonic()) - testing->started_ns : 0;

    return testing->ahead_ns + ran_ns;
}

static void init_clock(struct testing_clock *clock, bool runs)
{
    *clock = (struct testing_clock){.clock = {.now_ns = now_ns},
                                    .runs = runs,
                                    .started_ns = clock_now_ns(clock_monotonic()),
                                    .ahead_ns = INT64_C(1000000) * BEGIN_MS};
}

int64_t warren_test_now_ms(const struct warren_test *test)
{
    return clock_now_ms((struct clock *)(uintptr_t)&test->clock.clock); /* only read */
}

void testing_misused(const char *function, const char *words)
{
    fprintf(stderr, "warren: %s(): %s\n", function, words);
    abort();
}

bool testing_put_forward(struct warren_test *test, int64_t ms)
{
    struct testing_clock *clock = &test->clock;
    int64_t ahead_ns = clock->ahead_ns;
    bool fits = ms <= (END_NS - ahead_ns) / 1000000;

    clock->ahead_ns = fits ? ahead_ns + ms * 1000000 : END_NS;
    job_deadline_moved(test->job);
    testing_batch_deadline_moved(test);
    return fits;
}

void warren_test_advance(struct warren_test *test, int64_t ms)
{
    if (ms < 0)
        testing_misused("warren_test_advance", "the clock does not go back");
    if (!testing_put_forward(test, ms))
        testing_misused("warren_test_advance", "the clock ends after 146 years");
}

void warren_test_drain(struct warren_test *test, int64_t left_ms)
{
    int64_t until_ms;

    if (left_ms < 0 || __builtin_add_overflow(warren_test_now_ms(test), left_ms, &until_ms))
        until_ms = INT64_MAX;
    atomic_store(&test->deadline_ms, until_ms);
    job_deadline_moved(test->job);
    testing_batch_deadline_moved(test);
}

/* ---- life ---- */

static void not_late(void *user, struct attempt *current)
{
    (void)user;
    (void)current;
    assert(false && "every receipt comes while the handler runs");
}

/* A caller of an older version has a shorter struct; what it does not know is zero. */
static enum warren_status read_options(const struct warren_test_options *given,
                                       struct warren_test_options *options,
                                       struct warren_error *error)
{
    if (!given)
        return error_set(error, WARREN_EINVAL, "options and ret_test must not be NULL");
    if (given->size == 0 || given->size > 4096)
        return error_set(error, WARREN_EINVAL,
                         "size is %zu: set it to sizeof(struct warren_test_options)", given->size);
    memset(options, 0, sizeof *options);
    memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
    if (options->group_threads > POOL_THREADS_MAX)
        return error_set(error, WARREN_EINVAL, "group_threads is %zu, and may be %d at most",
                         options->group_threads, POOL_THREADS_MAX);
    return WARREN_OK;
}

static void make_relay(struct warren_test *test)
{
    const struct runtime_subscription *runs = test->setup.subscription;

    test->relay = (struct relay){.outlet = testing_outlet(&test->published),
                                 .queue = runs->queue,
                                 .handler = runs->handler_name,
                                 .dead_exchange = runs->dead_exchange,
                                 .into_queue = true};
    if (gethostname(test->relay.host, sizeof test->relay.host - 1) != 0)
        test->relay.host[0] = '\0';
}

/* Those of the file. */
static enum warren_status make_semaphores(struct warren_test *test)
{
    const struct config *config = test->setup.worker.config;
    const struct runtime_subscription *runs = test->setup.subscription;
    enum warren_status status;

    semaphores_init(&test->semaphores);
    status = semaphores_reserve(&test->semaphores, config->semaphores, config->semaphore_count);
    if (status != WARREN_OK)
        return status;
    semaphores_set(&test->semaphores, config->semaphores, config->semaphore_count);
    return runs->use_count == 0
               ? WARREN_OK
               : semaphores_wants(&test->semaphores, runs->uses, runs->use_count, &test->wants);
}

static enum warren_status init(struct warren_test *test, const struct warren_test_options *options,
                               bool by_hand, struct warren_error *error)
{
    enum warren_status status = testing_setup_init(&test->setup, options, by_hand, error);
    const struct runtime_subscription *runs;

    if (status != WARREN_OK)
        return status;
    runs = test->setup.subscription;
    test->forks = forked_begin();
    init_clock(&test->clock, options->clock_runs);
    atomic_store(&test->deadline_ms, INT64_MAX);
    test->source = (struct job_source){.queue = runs->queue,
                                       .handler = runs->handler_name,
                                       .publish = testing_publish,
                                       .append = testing_append,
                                       .publisher = (void *)&test->published,
                                       .definition = runs->handler,
                                       .state = runs->state,
                                       .clock = &test->clock.clock,
                                       .seed = options->seed,
                                       .deadline_ms = &test->deadline_ms,
                                       .settled = not_late,
                                       .pool = &test->pool,
                                       .semaphores = &test->semaphores};
    pool_init(&test->pool, (uint32_t)options->group_threads, false);
    make_relay(test);
    test->job = job_new(&test->source);
    if (!test->job || make_semaphores(test) != WARREN_OK ||
        testing_published_init(&test->published) != WARREN_OK ||
        testing_stages_init(&test->stages, runs, &test->source) != WARREN_OK ||
        admission_init(&test->admission, runs->middlewares, runs->middleware_count, 0,
                       WARREN_TEST_MESSAGES_MAX) != WARREN_OK)
        return error_set(error, WARREN_ENOMEM, "no memory");
    return WARREN_OK;
}

static enum warren_status make(const struct warren_test_options *options, bool by_hand,
                               struct warren_test **ret_test, struct warren_error *error)
{
    struct warren_test_options known;
    enum warren_status status = read_options(ret_test ? options : NULL, &known, error);
    struct warren_test *test;

    if (status != WARREN_OK)
        return status;
    test = calloc(1, sizeof *test);
    if (!test)
        return error_set(error, WARREN_ENOMEM, "no memory");
    status = init(test, &known, by_hand, error);
    if (status != WARREN_OK) {
        warren_test_free(test);
        return status;
    }
    *ret_test = test;
    return WARREN_OK;
}

enum warren_status warren_test_new(const struct warren_test_options *options,
                                   struct warren_test **ret_test, struct warren_error *error)
{
    return make(options, false, ret_test, error);
}

enum warren_status testing_new(const struct warren_test_options *options,
                               struct warren_test **ret_test, struct warren_error *error)
{
    return make(options, true, ret_test, error);
}

void warren_test_free(struct warren_test *test)
{
    if (!test || forked_since(test->forks)) /* the thread of its store is not in a child */
        return;
    if (test->message_count > 0)
        testing_forget_messages(test);
    testing_batch_done(test);
    job_free(test->job);
    pool_stop(&test->pool);
    pool_done(&test->pool);
    semaphores_done(&test->semaphores);
    free(test->wants);
    testing_published_done(&test->published);
    arena_done(&test->noted);
    testing_setup_done(&test->setup);
    /* Not before middlewares are closed: a thread of theirs may still be in warren_passage_go(). */
    testing_stages_done(&test->stages);
    admission_done(&test->admission);
    free(test);
}

enum warren_status warren_test_reload(struct warren_test *test, const char *chain,
                                      struct warren_error *error)
{
    return testing_setup_reload(&test->setup, chain, error);
}

const char *warren_test_handler(const struct warren_test *test)
{
    return test->source.handler;
}

/* ---- publishing ---- */

void warren_test_publishing(struct warren_test *test, enum warren_status status,
                            enum warren_result result)
{
    test->published.status = status;
    test->published.result = result;
}

const struct warren_test_published *warren_test_all_published(const struct warren_test *test,
                                                              size_t *ret_count)
{
    *ret_count = test->published.count;
    return test->published.count > 0 ? test->published.items : NULL;
}

const struct arena *testing_texts(const struct warren_test *test)
{
    return &test->published.arena;
}

struct warren_bytes warren_test_text(const struct warren_test *test, const char *text)
{
    return arena_bytes(testing_texts(test), text);
}
