/* rate_limit.c - the rate limit middleware: at most `rate` messages a second.
 * It only governs admission: no worker thread waits, and no attempt costs anything. A retried
 * message counts again.
 * Subscriptions with the same `name` share one limit, and take turns when it is short.
 * Thread: any; one mutex a limit, taken once for each batch that is admitted.
 * Elsewhere: the arithmetic (base/token_bucket.h).
 */
#include "middleware/builtin.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/token_bucket.h"
#include "middleware/shared.h"

/* A subscription that had to wait and does not ask again within this time of its turn has no more
 * messages. */
#define TURN_LATE_MS 100

/* What subscriptions have in common. */
struct limit {
    struct shared shared;
    struct token_plan plan;   /* under the mutex, as is all below, and the turns of its users */
    struct token_plan wanted; /* after a reload; takes effect with the next question */
    bool changed;
    bool begun;
    struct token_bucket bucket;
    struct list waiting; /* struct limit_user: users that were refused, the first of them first */
};

/* A subscription that uses a limit. */
struct limit_user {
    struct shared_user user;
    struct list link; /* in its limit's list, or alone */
    int64_t until_ms; /* its place is kept until then */

    /* For its series, under the mutex, too. */
    uint32_t held;   /* messages that were refused when it asked last, */
    bool waits;      /* if there are any: */
    int64_t from_ms; /* since then */
    uint64_t held_count;
    int64_t waited_ms;
};

enum { SERIES_MESSAGES, SERIES_SECONDS };

static const struct warren_option options[] = {
    {"rate", WARREN_OPTION_INT, NULL, 1, TOKEN_RATE_MAX, NULL, "Messages in each `per`."},
    {"per", WARREN_OPTION_DURATION, "1s", 1, TOKEN_PER_MAX_MS, NULL,
     "The time that `rate` is meant for."},
    {"burst", WARREN_OPTION_INT, "0", 0, TOKEN_RATE_MAX, NULL,
     "Messages that may go at once after a rest (kind token); 0 means as many as `rate`."},
    {"kind", WARREN_OPTION_ENUM, "token", 0, 0, "token|leaky",
     "Token lets saved-up messages go at once; leaky spaces them evenly."},
    {"name", WARREN_OPTION_STRING, "", 0, 0, NULL,
     "Subscriptions of this process with the same name share one limit."},
    {0}};

/* ---- life ---- */

static struct token_plan read_plan(const struct warren_options *given)
{
    struct token_plan plan = {
        .rate = warren_options_int(given, "rate"),
        .per_ms = warren_options_int(given, "per"),
        .burst = warren_options_int(given, "burst"),
        .even = strcmp(warren_options_text(given, "kind"), "leaky") == 0,
    };

    if (plan.burst == 0)
        plan.burst = plan.even ? 1 : plan.rate;
    return plan;
}

static bool same(const struct token_plan *a, const struct token_plan *b)
{
    return a->rate == b->rate && a->per_ms == b->per_ms && a->burst == b->burst &&
           a->even == b->even;
}

static enum warren_status rate_limit_check(const struct warren_options *given,
                                           struct warren_error *error)
{
    struct token_plan plan = read_plan(given);

    if (plan.even && plan.burst != 1)
        return error_set(error, WARREN_ECONFIG,
                         "kind leaky lets messages go one by one and has no burst");
    return WARREN_OK;
}

static void limit_init(struct shared *fresh, const struct warren_options *given)
{
    struct limit *limit = (struct limit *)fresh;

    list_init(&limit->waiting);
    limit->plan = read_plan(given);
}

/* Of the running one, what the last reload wanted. */
static bool same_plans(const struct shared *running, const struct shared *fresh)
{
    const struct limit *limit = (const struct limit *)running;

    return same(limit->changed ? &limit->wanted : &limit->plan,
                &((const struct limit *)fresh)->plan);
}

static struct limit *limit_of(const struct limit_user *user)
{
    return (struct limit *)user->user.shared;
}

/* Who does not ask any more has nothing that waits. */
static int64_t waiting_ms(const struct limit_user *user, int64_t now_ms)
{
    int64_t end_ms = now_ms < user->until_ms ? now_ms : user->until_ms;

    return user->waits && end_ms > user->from_ms ? end_ms - user->from_ms : 0;
}

static void put(void *arg)
{
    struct limit_user *user = arg;
    uint64_t count;
    int64_t ms;

    pthread_mutex_lock(&user->user.shared->mutex);
    count = user->held_count;
    ms = user->waited_ms + waiting_ms(user, clock_now_ms(clock_monotonic()));
    pthread_mutex_unlock(&user->user.shared->mutex);
    metric_put(user->user.series[SERIES_MESSAGES], (double)count);
    metric_put(user->user.series[SERIES_SECONDS], (double)ms * 1e-3);
}

static void meter(struct shared_user *user, const struct warren_subscription_info *info)
{
    user->series[SERIES_MESSAGES] = metric_series(METRIC_RATE_LIMITED, info->queue, info->handler);
    user->series[SERIES_SECONDS] =
        metric_series(METRIC_RATE_LIMITED_TIME, info->queue, info->handler);
}

static const struct shared_kind limits = {
    sizeof(struct limit), sizeof(struct limit_user), limit_init, same_plans, meter, put};

static enum warren_status rate_limit_open(const struct warren_subscription_info *info, void **state,
                                          struct warren_error *error)
{
    enum warren_status status = shared_open(&limits, info, state, error);

    if (status == WARREN_OK)
        list_init(&((struct limit_user *)*state)->link);
    return status;
}

static void rate_limit_close(void *state)
{
    struct limit_user *user = state;

    if (!user)
        return;
    pthread_mutex_lock(&user->user.shared->mutex);
    list_remove(&user->link);
    pthread_mutex_unlock(&user->user.shared->mutex);
    shared_close(user);
}

static void rate_limit_reload(void *state, const struct warren_options *given)
{
    struct limit *limit = limit_of(state);

    pthread_mutex_lock(&limit->shared.mutex);
    limit->wanted = read_plan(given);
    limit->changed = true;
    pthread_mutex_unlock(&limit->shared.mutex);
}

/* ---- admission ---- */

/* Bring the bucket up to date; with the mutex. */
static int64_t ready(struct limit *limit, int64_t now_ms)
{
    if (!limit->begun)
        token_bucket_init(&limit->bucket, &limit->plan, now_ms);
    limit->begun = true;
    if (limit->changed && !same(&limit->plan, &limit->wanted)) {
        limit->plan = limit->wanted;
        token_bucket_change(&limit->bucket, &limit->plan, now_ms);
        log_info("rate limit of queue %s is now %" PRId64 " messages in %" PRId64 " ms",
                 limit->shared.queue, limit->plan.rate, limit->plan.per_ms);
    }
    limit->changed = false;
    return token_bucket_ready(&limit->bucket, now_ms);
}

/* How many users were refused before this one and may still want their message. Without this the
 * one whose timer fires first would get everything, each time. */
static int64_t ahead_of(const struct limit_user *user, int64_t now_ms)
{
    struct list *waiting = &limit_of(user)->waiting;
    int64_t count = 0;

    LIST_EACH(link, waiting) {
        struct limit_user *other = list_entry(link, struct limit_user, link);

        if (other == user)
            break;
        if (other->until_ms >= now_ms)
            count++;
        else
            list_remove(&other->link);
    }
    return count;
}

/* When to ask again, with @ready messages in the bucket and @ahead users before this one. */
static int64_t retry_ms(const struct limit *limit, int64_t ready, int64_t ahead)
{
    int64_t wait_ms;

    if (ready == 0)
        return token_bucket_wait_ms(&limit->bucket, 1);
    wait_ms = token_bucket_wait_ms(&limit->bucket, (ready > ahead ? ready : ahead) + 1);
    /* What is kept for others is free again soon if they do not come for it. */
    return ahead >= ready && wait_ms > TURN_LATE_MS ? TURN_LATE_MS : wait_ms;
}

/* Of @want messages, those that had to wait before first, @may go: what is refused for the first
 * time counts. With the mutex, before the next time to ask is known. */
static void note(struct limit_user *user, uint32_t want, uint32_t may, int64_t now_ms)
{
    uint32_t refused = want - may;
    uint32_t again = user->held > may ? user->held - may : 0;

    user->held_count += refused > again ? refused - again : 0;
    user->held = refused;
    user->waited_ms += waiting_ms(user, now_ms);
    user->waits = refused > 0;
    user->from_ms = now_ms;
}

static uint32_t rate_limit_may(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms)
{
    struct limit_user *user = state;
    struct limit *limit = limit_of(user);
    int64_t in_bucket;
    int64_t ahead;
    uint32_t may = want;

    pthread_mutex_lock(&limit->shared.mutex);
    in_bucket = ready(limit, now_ms);
    ahead = ahead_of(user, now_ms);
    if (in_bucket - ahead < want)
        may = in_bucket > ahead ? (uint32_t)(in_bucket - ahead) : 0;
    note(user, want, may, now_ms);
    if (may < want) {
        *ret_retry_ms = retry_ms(limit, in_bucket, ahead);
        user->until_ms = now_ms + *ret_retry_ms + TURN_LATE_MS;
        if (list_empty(&user->link))
            list_push(&limit->waiting, &user->link);
    }
    pthread_mutex_unlock(&limit->shared.mutex);
    return may;
}

static void rate_limit_took(void *state, uint32_t count, int64_t now_ms)
{
    struct limit_user *user = state;

    (void)now_ms;
    pthread_mutex_lock(&user->user.shared->mutex);
    token_bucket_take(&limit_of(user)->bucket, count);
    list_remove(&user->link);
    pthread_mutex_unlock(&user->user.shared->mutex);
}

const struct warren_middleware middleware_rate_limit = {
    .name = "rate_limit",
    .help = "Limits how many messages a second go to the handler.",
    .options = options,
    .open = rate_limit_open,
    .may = rate_limit_may,
    .took = rate_limit_took,
    .reload = rate_limit_reload,
    .check = rate_limit_check,
    .fixed = "name",
    .close = rate_limit_close,
};
