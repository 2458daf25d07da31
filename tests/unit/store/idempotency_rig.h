/* idempotency_rig.h - stores of handled keys on one file, each as a process of its own has one,
 * with clocks that the test drives.
 */
#ifndef IDEMPOTENCY_RIG_H
#define IDEMPOTENCY_RIG_H

#include "store_rig.h"

#include "base/clock.h"
#include "store/idempotency/idempotency.h"
#include "support/fake_clock.h"

#define LEASE_MS     1000
#define RETENTION_MS 10000

static int64_t rig_wall_ms;
static struct clock_fake rig_clock;

/* A process, as far as keys are concerned. */
struct process {
    struct database *database;
    struct idempotency_store *store;
    struct idempotency_rows rows;
};

struct process_options {
    struct database_options database;
    struct idempotency_options keys;
};

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

static inline struct process_options rig_options(const struct rig *rig)
{
    return (struct process_options){
        .database = {.path = rig->path, .synchronous = DATABASE_OFF, .busy_timeout_ms = 1},
        .keys = {.keys_max = 1000, .clock = &rig_clock.clock, .wall_ms = rig_wall},
    };
}

static inline void rig_end(struct process *process)
{
    idempotency_store_close(process->store);
    idempotency_rows_done(&process->rows);
    database_close(process->database);
    free(process);
}

static inline enum warren_status rig_try_open(const struct process_options *options,
                                              struct process **ret_process,
                                              struct warren_error *error)
{
    struct process *process = calloc(1, sizeof *process);
    enum warren_status status = database_open(&options->database, &process->database, error);

    if (status == WARREN_OK)
        status = idempotency_rows_prepare(&process->rows, process->database, error);
    if (status == WARREN_OK)
        status = idempotency_store_open(&options->keys, process->database, &process->store, error);
    if (status != WARREN_OK) {
        rig_end(process);
        return status;
    }
    process->rows.store = process->store;
    *ret_process = process;
    return WARREN_OK;
}

static inline struct process *rig_store_with(struct rig *rig, const struct process_options *options)
{
    struct process *process = NULL;

    if (rig_try_open(options, &process, &rig->error) != WARREN_OK)
        fail_msg("%s", rig->error.text);
    idempotency_retain(process->store, RETENTION_MS);
    return process;
}

static inline struct process *rig_store(struct rig *rig, bool shared)
{
    struct process_options options = rig_options(rig);

    options.keys.shared = shared;
    return rig_store_with(rig, &options);
}

static inline void rig_name(const struct idempotency_store *store, const char *text,
                            struct idempotency_claim *claim)
{
    idempotency_name(store, warren_text("scope"), warren_text(text), &claim->key);
}

/* ---- transactions, as the writer makes them ---- */

static inline enum warren_status rig_begin(struct rig *rig, struct process *process)
{
    enum warren_status status = database_in_place(process->database, &rig->error);

    if (status == WARREN_OK)
        status = database_begin(process->database, &rig->error);
    if (status != WARREN_OK)
        return status;
    status = idempotency_begin(&process->rows, &rig->error);
    if (status != WARREN_OK)
        database_rollback(process->database);
    return status;
}

static inline enum warren_status rig_commit(struct rig *rig, struct process *process,
                                            enum warren_status status)
{
    if (status == WARREN_OK)
        return database_commit(process->database, &rig->error);
    database_rollback(process->database);
    return status;
}

/* In memory first, on disk where that does not tell. */
static inline enum warren_status rig_claim(struct rig *rig, struct process *process,
                                           const char *key, struct idempotency_claim *claim)
{
    enum warren_status status = WARREN_OK;

    *claim = (struct idempotency_claim){.lease_ms = LEASE_MS, .retention_ms = RETENTION_MS};
    rig_name(process->store, key, claim);
    if (idempotency_try_claim(process->store, claim))
        return WARREN_OK;
    if (!idempotency_is_shared(process->store))
        return idempotency_claim(&process->rows, claim, &rig->error);
    status = rig_begin(rig, process);
    if (status != WARREN_OK)
        return status;
    status = idempotency_claim(&process->rows, claim, &rig->error);
    status = rig_commit(rig, process, status);
    if (status != WARREN_OK)
        idempotency_unclaim(process->store, claim);
    return status;
}

static inline enum claim_state rig_state(struct rig *rig, struct process *process, const char *key)
{
    struct idempotency_claim claim;

    if (rig_claim(rig, process, key, &claim) != WARREN_OK)
        fail_msg("%s", rig->error.text);
    free(claim.result);
    return claim.state;
}

static inline enum warren_status rig_complete(struct rig *rig, struct process *process,
                                              const char *key, uint8_t outcome, const char *result,
                                              bool *ret_overtaken)
{
    struct idempotency_claim claim = {.outcome = outcome};
    enum warren_status status;
    char text[64];
    int64_t gone;
    int64_t row;

    if (result) {
        snprintf(text, sizeof text, "%s", result);
        claim.result = text;
        claim.result_len = strlen(text);
    }
    rig_name(process->store, key, &claim);
    status = rig_begin(rig, process);
    if (status != WARREN_OK)
        return status;
    status = idempotency_add(&process->rows, &claim, false, &row, &rig->error);
    if (status == WARREN_OK)
        status = idempotency_purge(&process->rows, 2, &gone, &rig->error);
    status = rig_commit(rig, process, status);
    if (status == WARREN_OK)
        idempotency_added(process->store, &claim, row);
    if (ret_overtaken)
        *ret_overtaken = claim.overtaken;
    return status;
}

static inline enum warren_status rig_release(struct rig *rig, struct process *process,
                                             const char *key)
{
    struct idempotency_claim claim = {.outcome = 0};
    enum warren_status status;

    rig_name(process->store, key, &claim);
    if (idempotency_try_release(process->store, &claim))
        return WARREN_OK;
    status = rig_begin(rig, process);
    if (status != WARREN_OK)
        return status;
    status = idempotency_release(&process->rows, &claim, &rig->error);
    status = rig_commit(rig, process, status);
    if (status == WARREN_OK)
        idempotency_added(process->store, &claim, 0);
    return status;
}

static inline enum warren_status rig_renew(struct rig *rig, struct process *process)
{
    enum warren_status status;

    if (!idempotency_is_shared(process->store) || !idempotency_has_claims(process->store))
        return WARREN_OK;
    status = rig_begin(rig, process);
    if (status != WARREN_OK)
        return status;
    status = idempotency_renew(&process->rows, &rig->error);
    return rig_commit(rig, process, status);
}

#define RIG_PURGE_ROWS 256

static inline enum warren_status rig_purge(struct rig *rig, struct process *process, bool *ret_more)
{
    enum warren_status status = rig_begin(rig, process);
    int64_t gone = 0;

    *ret_more = false;
    if (status != WARREN_OK)
        return status;
    status = idempotency_purge(&process->rows, RIG_PURGE_ROWS, &gone, &rig->error);
    status = rig_commit(rig, process, status);
    *ret_more = status == WARREN_OK && gone >= RIG_PURGE_ROWS / 2;
    return status;
}

#endif
