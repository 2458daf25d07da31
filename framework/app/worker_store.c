/* worker_store.c - see worker_store.h. */
#include "app/worker_store.h"

#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/log_event.h"
#include "middleware/builtin.h"
#include "store/writer/transactor.h"

/* A third of the shortest lease would do; this is below a third of the default one. */
#define RENEW_MS 300

static bool needs_store(const struct config_subscription *subscription)
{
    return config_find_link(subscription, middleware_idempotency.name);
}

static bool is_needed(const struct config *config, const struct config_subscription **ret_by)
{
    for (size_t i = 0; i < config->subscription_count; i++) {
        *ret_by = &config->subscriptions[i];
        if (needs_store(*ret_by))
            return true;
    }
    return false;
}

static const struct config_subscription *transactional(const struct worker_setup *setup,
                                                       size_t index)
{
    const struct setup_subscription *subscription = &setup->subscriptions[index];

    return subscription->handler->transactional ? subscription->config : NULL;
}

static bool has_transactional(const struct worker_setup *setup)
{
    for (size_t i = 0; i < setup->config->subscription_count; i++)
        if (transactional(setup, i))
            return true;
    return false;
}

enum warren_status worker_store_check_chains(const struct worker_setup *setup,
                                             struct warren_error *error)
{
    const struct config_subscription *by;

    for (size_t i = 0; i < setup->config->subscription_count; i++) {
        by = transactional(setup, i);
        if (by && !needs_store(by))
            return error_set(error, WARREN_ECONFIG,
                             "%s: the handler %s is transactional: it needs the middleware "
                             "idempotency in its chain",
                             by->where, by->handler);
    }
    return WARREN_OK;
}

enum warren_status worker_store_check(const struct worker_setup *setup, struct warren_error *error)
{
    enum warren_status status = worker_store_check_chains(setup, error);
    const struct config_subscription *by;

    if (status != WARREN_OK || !is_needed(setup->config, &by) || setup->config->store.path)
        return status;
    return error_set(error, WARREN_ECONFIG,
                     "%s: the middleware idempotency needs a file to remember in: set store.path",
                     by->where);
}

enum warren_status worker_store_is_open(const struct worker_setup *setup,
                                        struct key_writer *key_writer, struct warren_error *error)
{
    const struct config_subscription *by;

    if (!is_needed(setup->config, &by))
        return WARREN_OK;
    if (!key_writer)
        return error_set(error, WARREN_ECONFIG,
                         "%s: the middleware idempotency needs the store, which is opened at the "
                         "start: restart the worker",
                         by->where);
    if (has_transactional(setup) && !key_writer_transactor(key_writer))
        return error_set(error, WARREN_ECONFIG,
                         "%s: a transactional handler needs transactions of the store, which are "
                         "made at the start: restart the worker",
                         by->where);
    return WARREN_OK;
}

/* ---- what is said of it ---- */

static void on_failed(void *user, const char *error, size_t waiting)
{
    (void)user;
    log_event(WARREN_LOG_ERROR,
              "store failed: what is handled waits, unacknowledged, until it can be remembered",
              LOG_TEXT("error", error), LOG_INT("waiting", waiting));
}

static void on_recovered(void *user)
{
    (void)user;
    log_info("store works again");
}

static void on_size(void *user, bool trouble, const char *text)
{
    (void)user;
    log_event(trouble ? WARREN_LOG_WARN : WARREN_LOG_INFO, "store", LOG_TEXT("reason", text));
}

static void on_forgot(void *user, int64_t age_ms)
{
    (void)user;
    log_event(WARREN_LOG_WARN,
              "store.keys_max is reached: messages are forgotten before idempotency.retention is "
              "over",
              LOG_INT("remembered_s", age_ms / 1000));
}

/* The spool's file may not be there yet. */
static bool is_same_file(const char *one, const char *other)
{
    struct stat of_one;
    struct stat of_other;

    if (!one || !other)
        return false;
    if (strcmp(one, other) == 0)
        return true;
    return stat(one, &of_one) == 0 && stat(other, &of_other) == 0 &&
           of_one.st_dev == of_other.st_dev && of_one.st_ino == of_other.st_ino;
}

enum warren_status worker_store_open(const struct worker_setup *setup, struct key_writer **ret_keys,
                                     struct warren_error *error)
{
    const struct config *config = setup->config;
    struct key_writer_options options = {
        .database = {.path = config->store.path,
                     .busy_timeout_ms = (uint32_t)config->store.busy_timeout_ms},
        .keys = {.shared = config->store.shared,
                 .keys_max = (size_t)config->store.keys_max,
                 .clock = clock_monotonic(),
                 .wall_ms = clock_wall_ms},
        .group_delay_us = (uint32_t)config->store.group_delay_us,
        .renew_ms = RENEW_MS,
        .events = {.failed = on_failed, .recovered = on_recovered, .size = on_size},
        .forgot = on_forgot,
        .transactional = has_transactional(setup),
    };
    const struct config_subscription *by;
    enum warren_status status;

    *ret_keys = NULL;
    if (!is_needed(config, &by))
        return WARREN_OK;
    database_synchronous_parse(config->store.synchronous, &options.database.synchronous);
    status = key_writer_new(&options, ret_keys, error);
    if (status == WARREN_OK && options.transactional &&
        is_same_file(config->store.path, config->spool.path))
        transactor_use_outbox(key_writer_transactor(*ret_keys));
    return status;
}

void worker_store_lost(struct key_writer *key_writer, const struct flight *flight)
{
    struct transactor *transactor = key_writer ? key_writer_transactor(key_writer) : NULL;
    pid_t thread = transactor ? transactor_occupant(transactor) : 0;

    if (thread == 0 || !flight_has_lost(flight, thread) || transactor_is_abandoned(transactor))
        return;
    log_warn("the handler keeps the transaction: what is not committed is handled again");
    transactor_abandon(transactor);
}

bool worker_store_may_close(struct key_writer *key_writer, const struct setup_subscription *of)
{
    return !key_writer || !of->handler->transactional ||
           !transactor_is_abandoned(key_writer_transactor(key_writer));
}
