/* idempotency_rig.h - stores of handled keys on one file, with clocks that the test drives. */
#ifndef IDEMPOTENCY_RIG_H
#define IDEMPOTENCY_RIG_H

#include "store_rig.h"

#include "base/clock.h"
#include "store/idempotency/idempotency_sqlite.h"

#define LEASE_MS     1000
#define RETENTION_MS 10000

static int64_t rig_wall_ms;
static struct clock_fake rig_clock;

static inline int64_t rig_wall(void)
{
    return rig_wall_ms;
}

static inline int idempotency_setup(void **state)
{
    rig_wall_ms = INT64_C(1700000000000);
    clock_fake_init(&rig_clock, 5000);
    return rig_setup(state);
}

static inline struct idempotency_sqlite_options rig_options(const struct rig *rig)
{
    return (struct idempotency_sqlite_options){
        .database = {.path = rig->path, .synchronous = DATABASE_OFF, .busy_timeout_ms = 1},
        .keys_max = 1000,
        .clock = &rig_clock.clock,
        .wall_ms = rig_wall,
    };
}

static inline struct idempotency_store *
rig_store_with(struct rig *rig, const struct idempotency_sqlite_options *options)
{
    struct idempotency_store *store = NULL;

    if (idempotency_sqlite_open(options, &store, &rig->error) != WARREN_OK)
        fail_msg("%s", rig->error.text);
    store->ops->retain(store, RETENTION_MS);
    return store;
}

static inline struct idempotency_store *rig_store(struct rig *rig, bool shared)
{
    struct idempotency_sqlite_options options = rig_options(rig);

    options.shared = shared;
    return rig_store_with(rig, &options);
}

static inline void rig_name(struct idempotency_store *store, const char *text,
                            struct idempotency_claim *claim)
{
    struct warren_bytes scope = {"scope", 5};
    struct warren_bytes key = {text, strlen(text)};

    store->ops->name(store, scope, key, &claim->key);
}

/* As the keeper does it: in memory first, on disk where that does not tell. */
static inline enum warren_status rig_claim(struct rig *rig, struct idempotency_store *store,
                                           const char *key, struct idempotency_claim *claim)
{
    *claim = (struct idempotency_claim){.lease_ms = LEASE_MS, .retention_ms = RETENTION_MS};
    rig_name(store, key, claim);
    if (store->ops->try_claim(store, claim))
        return WARREN_OK;
    return store->ops->claim(store, &claim, 1, &rig->error);
}

static inline enum claim_state rig_state(struct rig *rig, struct idempotency_store *store,
                                         const char *key)
{
    struct idempotency_claim claim;

    if (rig_claim(rig, store, key, &claim) != WARREN_OK)
        fail_msg("%s", rig->error.text);
    free(claim.result);
    return claim.state;
}

static inline enum warren_status rig_complete(struct rig *rig, struct idempotency_store *store,
                                              const char *key, uint8_t outcome, const char *result,
                                              bool *ret_overtaken)
{
    struct idempotency_claim claim = {.outcome = outcome};
    struct idempotency_claim *claims = &claim;
    enum warren_status status;
    char text[64];

    if (result) {
        snprintf(text, sizeof text, "%s", result);
        claim.result = text;
        claim.result_len = strlen(text);
    }
    rig_name(store, key, &claim);
    status = store->ops->complete(store, &claims, 1, &rig->error);
    if (ret_overtaken)
        *ret_overtaken = claim.overtaken;
    return status;
}

static inline enum warren_status rig_release(struct rig *rig, struct idempotency_store *store,
                                             const char *key)
{
    struct idempotency_claim claim = {.outcome = 0};
    struct idempotency_claim *claims = &claim;

    rig_name(store, key, &claim);
    return store->ops->release(store, &claims, 1, &rig->error);
}

#endif
