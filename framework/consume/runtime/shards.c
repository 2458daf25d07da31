/* shards.c - see shards.h. */
#include "consume/runtime/shards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consume/order/shard_spread.h"
#include "consume/runtime/runtime_private.h"

_Static_assert(CONFIG_SHARDS_MAX <= SEATS_MAX, "each shard has a seat");
_Static_assert(CONFIG_SHARDS_MAX <= SHARD_SPREAD_MAX, "all of them can be shared out");

/* Between two looks. */
#define LOOK_MS 1000
/* Without one: as good as alone. */
#define BLIND_MS 15000

static uint32_t count_of(const struct shards *shards)
{
    return (uint32_t)shards->config->count;
}

/* ---- sharing out ---- */

static void report(struct shards *shards, uint32_t mine, uint32_t workers)
{
    struct runtime *r = shards->runtime;
    const struct runtime_spread spread = {.exchange = shards->config->exchange,
                                          .shards = count_of(shards),
                                          .mine = mine,
                                          .workers = workers};
    bool same = shards->shared_out && mine == atomic_load(&shards->mine) &&
                workers == atomic_load(&shards->workers);

    atomic_store(&shards->mine, mine);
    atomic_store(&shards->workers, workers);
    if (!same && r->events.spread)
        r->events.spread(r->user, &spread);
}

static void want_all(struct shards *shards, const bool *wanted)
{
    for (uint32_t i = 0; i < count_of(shards); i++)
        if (shards->of[i])
            subscription_want(shards->of[i], wanted[i]);
}

/* What is seen is in force. */
static void share_out(struct shards *shards, int own, const bool *taken)
{
    uint8_t owner[SEATS_MAX];
    bool wanted[SEATS_MAX] = {false};
    uint32_t workers = shard_spread(taken, count_of(shards), owner);
    uint32_t mine = 0;

    for (uint32_t i = 0; own != SEAT_NONE && i < count_of(shards); i++) {
        wanted[i] = owner[i] == own;
        mine += wanted[i];
    }
    want_all(shards, wanted);
    report(shards, mine, workers);
    shards->shared_out = true;
}

/* The same again is carried out again: who was ending then may begin now. */
static void seen(void *user, int own, const bool *taken)
{
    struct shards *shards = user;
    size_t size = count_of(shards) * sizeof *taken;
    bool again =
        shards->seen_any && own == shards->seen_own && memcmp(taken, shards->seen_taken, size) == 0;

    loop_timer_arm_ms(&shards->blind, BLIND_MS);
    shards->seen_any = true;
    shards->seen_own = own;
    memcpy(shards->seen_taken, taken, size);
    if (again || !shards->shared_out)
        share_out(shards, own, taken);
}

static void missing(void *user)
{
    struct shards *shards = user;

    runtime_redeclare_soon(shards->runtime);
}

/* Who has which shard is not known: all of them wait for each, and one is the active one. */
static void blind(void *arg)
{
    struct shards *shards = arg;
    bool all[SEATS_MAX];

    loop_timer_arm_ms(&shards->blind, BLIND_MS);
    if (shards->runtime->memory_full) /* nothing is read */
        return;
    memset(all, true, sizeof all);
    want_all(shards, all);
    report(shards, count_of(shards), 0);
    shards->seen_any = false;
    shards->shared_out = true;
}

/* ---- life ---- */

static struct shards *find(struct runtime *r, const struct config_shards *config)
{
    LIST_EACH(link, &r->shards) {
        struct shards *shards = list_entry(link, struct shards, link);

        if (shards->config == config)
            return shards;
    }
    return NULL;
}

static void shards_free(struct shards *shards)
{
    seats_done(&shards->seats);
    loop_timer_done(&shards->blind);
    list_remove(&shards->link);
    free(shards->of);
    free(shards);
}

static enum warren_status init(struct shards *shards)
{
    static const struct seats_events events = {.seen = seen, .missing = missing};
    const struct seats_options options = {.prefix = shards->prefix,
                                          .count = count_of(shards),
                                          .period_ms = LOOK_MS,
                                          .seed = random_seed()};
    enum warren_status status;

    snprintf(shards->prefix, sizeof shards->prefix, "%s." CONFIG_SEAT, shards->config->exchange);
    shards->of = calloc(count_of(shards), sizeof(struct subscription *));
    if (!shards->of)
        return WARREN_ENOMEM;
    status = seats_init(&shards->seats, shards->runtime->connection, &options, &events, shards);
    if (status == WARREN_OK)
        status = loop_timer_init(&shards->blind, shards->runtime->loop, blind, shards);
    return status;
}

static struct shards *make(struct runtime *r, const struct config_shards *config)
{
    struct shards *shards = calloc(1, sizeof *shards);

    if (!shards)
        return NULL;
    shards->runtime = r;
    shards->config = config;
    shards->seen_own = SEAT_NONE;
    list_push(&r->shards, &shards->link);
    if (init(shards) == WARREN_OK)
        return shards;
    shards_free(shards);
    return NULL;
}

enum warren_status shards_join(struct subscription *s, const struct runtime_subscription *what)
{
    struct shards *shards = find(s->runtime, what->shards);

    if (!shards)
        shards = make(s->runtime, what->shards);
    if (!shards)
        return WARREN_ENOMEM;
    s->shards = shards;
    s->shard = what->shard;
    shards->of[s->shard] = s;
    shards->members++;
    subscription_stand_aside_first(s);
    if (s->shard > 0)
        return WARREN_OK;
    shards->metrics.shards =
        metric_series(METRIC_SHARDS, shards->config->exchange, what->handler_name);
    shards->metrics.workers =
        metric_series(METRIC_SHARD_WORKERS, shards->config->exchange, what->handler_name);
    return WARREN_OK;
}

void shards_leave(struct subscription *s)
{
    struct shards *shards = s->shards;

    if (!shards)
        return;
    if (s->shard == 0)
        metric_release_all(&shards->metrics, sizeof shards->metrics);
    s->shards = NULL;
    shards->of[s->shard] = NULL;
    if (--shards->members == 0)
        shards_free(shards);
}

/* Where there is no memory for a channel, all of them are wanted before long. */
void shards_start(struct runtime *r)
{
    if (r->drain.phase != DRAIN_NOT)
        return;
    LIST_EACH(link, &r->shards) {
        struct shards *shards = list_entry(link, struct shards, link);

        if (!loop_timer_armed(&shards->blind))
            loop_timer_arm_ms(&shards->blind, BLIND_MS);
        seats_start(&shards->seats);
    }
}

void shards_lost(struct runtime *r)
{
    LIST_EACH(link, &r->shards)
        loop_timer_disarm(&list_entry(link, struct shards, link)->blind);
}

void shards_give_up(struct runtime *r)
{
    LIST_EACH(link, &r->shards) {
        struct shards *shards = list_entry(link, struct shards, link);

        loop_timer_disarm(&shards->blind);
        seats_done(&shards->seats);
    }
}

void shards_put(struct subscription *s)
{
    struct shards *shards = s->shards;

    if (!shards || s->shard > 0)
        return;
    metric_put(shards->metrics.shards, atomic_load(&shards->mine));
    metric_put(shards->metrics.workers, atomic_load(&shards->workers));
}
