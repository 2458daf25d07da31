/* rate_limit.c - see rate_limit.h. */
#include "middleware/rate_limit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/token_bucket.h"
#include "middleware/shared.h"

/* Whoever had to wait and does not come by so long after its time wants nothing any more. */
#define TURN_LATE_MS 100

/* What subscriptions have in common. */
struct limit {
    struct shared shared;
    pthread_mutex_t mutex; /* guards all below, and the turns of its users */
    struct token_plan plan;
    struct token_plan wanted; /* after a reload; takes effect with the next question */
    bool changed;
    bool begun;
    struct token_bucket bucket;
    struct list waiting; /* struct turn: users that were refused, the first of them first */
};

/* A user of a limit. */
struct turn {
    struct limit *limit;
    struct list link; /* in limit->waiting, or alone */
    int64_t until_ms; /* its place is kept until then */
};

static struct shared_registry registry = SHARED_REGISTRY(registry);

static const struct warren_option options[] = {
    {"rate", WARREN_OPTION_INT, NULL, 1, TOKEN_RATE_MAX, NULL, "So many messages in each `per`."},
    {"per", WARREN_OPTION_DURATION, "1s", 1, TOKEN_PER_MAX_MS, NULL,
     "The time that `rate` is meant for."},
    {"burst", WARREN_OPTION_INT, "0", 0, TOKEN_RATE_MAX, NULL,
     "So many may go at once after a rest (kind token); 0 means as many as `rate`."},
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

/* Whether @limit, which others may be using, keeps @plan. */
static bool keeps(struct limit *limit, const struct token_plan *plan)
{
    bool answer;

    pthread_mutex_lock(&limit->mutex);
    answer = same(&limit->plan, plan);
    pthread_mutex_unlock(&limit->mutex);
    return answer;
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

static void limit_free(struct limit *limit)
{
    if (!limit)
        return;
    shared_done(&limit->shared);
    pthread_mutex_destroy(&limit->mutex);
    free(limit);
}

static struct limit *limit_new(const struct warren_subscription_info *info)
{
    struct limit *limit = calloc(1, sizeof *limit);

    if (!limit)
        return NULL;
    pthread_mutex_init(&limit->mutex, NULL);
    list_init(&limit->waiting);
    limit->plan = read_plan(info->options);
    if (shared_init(&limit->shared, warren_options_text(info->options, "name"), info->queue) ==
        WARREN_OK)
        return limit;
    limit_free(limit);
    return NULL;
}

static void limit_leave(struct limit *limit)
{
    if (shared_leave(&registry, &limit->shared))
        limit_free(limit);
}

/* The limit of this name, or a new one. */
static enum warren_status limit_join(const struct warren_subscription_info *info,
                                     struct limit **ret_limit, struct warren_error *error)
{
    struct limit *fresh = limit_new(info);
    enum warren_status status = WARREN_OK;
    struct limit *limit;

    if (!fresh)
        return error_set(error, WARREN_ENOMEM, "no memory");
    limit = list_entry(shared_join(&registry, &fresh->shared), struct limit, shared);
    if (limit != fresh && !keeps(limit, &fresh->plan)) {
        status = error_set(error, WARREN_ECONFIG,
                           "name '%s': queue %s gives it other options than queue %s",
                           fresh->shared.name, info->queue, limit->shared.queue);
        limit_leave(limit);
    }
    if (limit != fresh)
        limit_free(fresh);
    *ret_limit = limit;
    return status;
}

static enum warren_status rate_limit_open(const struct warren_subscription_info *info, void **state,
                                          struct warren_error *error)
{
    struct turn *turn = calloc(1, sizeof *turn);
    enum warren_status status;

    if (!turn)
        return error_set(error, WARREN_ENOMEM, "no memory");
    status = limit_join(info, &turn->limit, error);
    if (status != WARREN_OK) {
        free(turn);
        return status;
    }
    list_init(&turn->link);
    *state = turn;
    return WARREN_OK;
}

static void rate_limit_close(void *state)
{
    struct turn *turn = state;

    if (!turn)
        return;
    pthread_mutex_lock(&turn->limit->mutex);
    list_remove(&turn->link);
    pthread_mutex_unlock(&turn->limit->mutex);
    limit_leave(turn->limit);
    free(turn);
}

static void rate_limit_reload(void *state, const struct warren_options *given)
{
    struct limit *limit = ((struct turn *)state)->limit;

    pthread_mutex_lock(&limit->mutex);
    limit->wanted = read_plan(given);
    limit->changed = true;
    pthread_mutex_unlock(&limit->mutex);
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
static int64_t ahead_of(const struct turn *turn, int64_t now_ms)
{
    struct list *waiting = &turn->limit->waiting;
    int64_t count = 0;

    for (struct list *link = waiting->next; link != waiting && link != &turn->link;) {
        struct turn *other = list_entry(link, struct turn, link);

        link = link->next;
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

static uint32_t rate_limit_may(void *state, uint32_t want, int64_t now_ms, int64_t *ret_retry_ms)
{
    struct turn *turn = state;
    struct limit *limit = turn->limit;
    int64_t in_bucket;
    int64_t ahead;
    uint32_t may = want;

    pthread_mutex_lock(&limit->mutex);
    in_bucket = ready(limit, now_ms);
    ahead = ahead_of(turn, now_ms);
    if (in_bucket - ahead < want) {
        may = in_bucket > ahead ? (uint32_t)(in_bucket - ahead) : 0;
        *ret_retry_ms = retry_ms(limit, in_bucket, ahead);
        turn->until_ms = now_ms + *ret_retry_ms + TURN_LATE_MS;
        if (list_empty(&turn->link))
            list_push(&limit->waiting, &turn->link);
    }
    pthread_mutex_unlock(&limit->mutex);
    return may;
}

static void rate_limit_took(void *state, uint32_t count, int64_t now_ms)
{
    struct turn *turn = state;

    (void)now_ms;
    pthread_mutex_lock(&turn->limit->mutex);
    token_bucket_take(&turn->limit->bucket, count);
    list_remove(&turn->link);
    pthread_mutex_unlock(&turn->limit->mutex);
}

const struct warren_middleware middleware_rate_limit = {
    .name = "rate_limit",
    .help = "Lets only so many messages a second go to the handler.",
    .options = options,
    .open = rate_limit_open,
    .may = rate_limit_may,
    .took = rate_limit_took,
    .reload = rate_limit_reload,
    .check = rate_limit_check,
    .fixed = "name",
    .close = rate_limit_close,
};
