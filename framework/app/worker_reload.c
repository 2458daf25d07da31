#include "app/worker_reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/settings.h"
#include "app/worker_store.h"
#include "base/error.h"
#include "base/input_file.h"
#include "base/log_event.h"

#define EVENT_SIZE 128

/* ---- life ---- */

enum warren_status worker_reload_init(struct worker_reload *reload,
                                      const struct warren_worker_options *options,
                                      const struct worker_setup *first)
{
    const struct config *config = first->config;

    *reload = (struct worker_reload){.first = first,
                                     .publisher_rate = config->publisher.rate,
                                     .publisher_burst = config->publisher.burst};
    atomic_store(&reload->in_force, config);
    if (!options->config_file)
        return WARREN_OK;
    reload->file = strdup(options->config_file);
    reload->sets = calloc(options->set_count + 1, sizeof *reload->sets);
    reload->setups = calloc(RELOADS_MAX, sizeof *reload->setups);
    if (!reload->file || !reload->sets || !reload->setups)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < options->set_count; i++) {
        reload->sets[i] = strdup(options->sets[i]);
        if (!reload->sets[i])
            return WARREN_ENOMEM;
        reload->set_count++;
    }
    reload->plugin_count = options->plugin_count;
    return WARREN_OK;
}

void worker_reload_done(struct worker_reload *reload)
{
    for (size_t i = 0; i < reload->setup_count; i++)
        worker_setup_done(&reload->setups[i]);
    for (size_t i = 0; i < reload->set_count; i++)
        free(reload->sets[i]);
    free(reload->setups);
    free(reload->sets);
    free(reload->file);
    *reload = (struct worker_reload){.file = NULL};
}

const struct worker_setup *worker_reload_current(const struct worker_reload *reload)
{
    return reload->setup_count > 0 ? &reload->setups[reload->setup_count - 1] : reload->first;
}

/* ---- reading ---- */

/* As `warren check` does. */
static enum warren_status read_again(struct worker_reload *reload,
                                     const struct setup_running *running, struct worker_setup *now,
                                     struct warren_error *error)
{
    const struct warren_worker_options options = {.config_file = reload->file,
                                                  .sets = (const char *const *)reload->sets,
                                                  .set_count = reload->set_count,
                                                  .plugin_count = reload->plugin_count};
    enum warren_status status;

    *now = (struct worker_setup){0};
    if (input_file_is_once(reload->file))
        return error_set(error, WARREN_ECONFIG, "%s can be read only once", reload->file);
    status = worker_setup_again(now, &options, running, error);
    return status == WARREN_OK ? subscriptions_try(now, error) : status;
}

/* ---- what differs ---- */

/* One reload. */
struct reloading {
    struct worker_reload *reload;
    const struct reload_target *target;
    const struct worker_setup *running;
    struct worker_setup *now;
    struct reload_report *report;
};

/* Compared with the beginning, for they are what they were then. */
static void note_fixed(void *user, const char *name, const char *why)
{
    const struct reloading *r = user;

    if (why)
        reload_report_fixed(r->report, why, "%s", name);
}

/* What takes_rate() sees to. */
static bool is_rate(const char *name)
{
    return strncmp(name, "publisher.rate", 14) == 0 || strncmp(name, "publisher.burst", 15) == 0;
}

static void note_changed(void *user, const char *name, const char *why)
{
    const struct reloading *r = user;

    if (!why && !is_rate(name))
        reload_report_changed(r->report, "%s", name);
}

static const struct plugin *plugin_named(const struct worker_setup *setup, const char *name)
{
    for (size_t i = 0; i < registry_count(setup->registry); i++) {
        const struct plugin *plugin = registry_plugin(setup->registry, i);

        if (strcmp(plugin->name, name) == 0)
            return plugin;
    }
    return NULL;
}

static void note_plugins(const struct reloading *r)
{
    for (size_t i = 0; i < registry_count(r->now->registry); i++) {
        const struct plugin *plugin = registry_plugin(r->now->registry, i);
        const struct plugin *before = plugin_named(r->running, plugin->name);

        if (before && before != plugin)
            reload_report_changed(r->report, "plugin %s: loaded anew, %s > %s", plugin->name,
                                  before->version, plugin->version);
    }
}

static bool declares_otherwise(const struct reloading *r, const struct subscriptions_plan *plan)
{
    const struct config *a = r->running->config;
    const struct config *b = r->now->config;

    for (size_t i = 0; i < plan->change_count; i++)
        if (plan->changes[i].kind == RUNTIME_ADD)
            return true;
    return config_topology_differs(a, b) || a->dead_letter.enabled != b->dead_letter.enabled ||
           strcmp(a->dead_letter.exchange, b->dead_letter.exchange) != 0 ||
           strcmp(a->dead_letter.queue, b->dead_letter.queue) != 0;
}

static bool same_limits(const struct config *a, const struct config *b)
{
    return a->consumer.message_max == b->consumer.message_max &&
           a->consumer.memory_max == b->consumer.memory_max &&
           a->consumer.ack_straggler_age_ms == b->consumer.ack_straggler_age_ms &&
           a->groups.threads == b->groups.threads && !config_semaphores_differ(a, b);
}

/* ---- taking over ---- */

static enum warren_status open_streams(const struct reloading *r,
                                       const struct subscriptions_plan *plan,
                                       struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    for (size_t i = 0; status == WARREN_OK && i < plan->change_count; i++) {
        struct runtime_change *change = &plan->changes[i];

        if (change->kind == RUNTIME_ADD)
            status = worker_streams_add(r->target->streams, r->now->config, plan->places[i],
                                        subscriptions_planned(plan, i), error);
    }
    return status;
}

static enum warren_status change_runtime(const struct reloading *r, struct subscriptions_plan *plan,
                                         struct warren_error *error)
{
    const struct config *config = r->now->config;
    bool declares = declares_otherwise(r, plan);
    struct runtime_changes changes = {
        .items = plan->changes,
        .count = plan->change_count,
        .topology = declares ? &config->topology : NULL,
        .message_max = (size_t)config->consumer.message_max,
        .memory_max = (size_t)config->consumer.memory_max,
        .straggler_age_ms = (uint32_t)config->consumer.ack_straggler_age_ms,
        .group_threads = (uint32_t)config->groups.threads,
        .semaphores = config->semaphores,
        .semaphore_count = config->semaphore_count,
    };

    if (changes.count == 0 && !declares && same_limits(r->running->config, config))
        return WARREN_OK;
    return runtime_change(r->target->runtime, &changes, error);
}

static enum warren_status carry_out(const struct reloading *r, struct subscriptions_plan *plan,
                                    struct warren_error *error)
{
    enum warren_status status = open_streams(r, plan, error);

    if (status == WARREN_OK)
        status = change_runtime(r, plan, error);
    if (status != WARREN_OK) {
        worker_streams_drop(r->target->streams, NULL);
        return status;
    }
    for (size_t i = 0; i < plan->change_count; i++)
        if (plan->changes[i].kind == RUNTIME_ADD)
            worker_streams_run(r->target->streams, plan->changes[i].what,
                               plan->changes[i].subscription);
    return WARREN_OK;
}

/* With the publisher.timeout of the file it can be kept; that in force is another one. */
static void take_rate(const struct reloading *r)
{
    struct worker_reload *reload = r->reload;
    int64_t rate = r->now->config->publisher.rate;
    int64_t burst = r->now->config->publisher.burst;

    if (rate == reload->publisher_rate && burst == reload->publisher_burst)
        return;
    if (warren_publisher_set_rate(r->target->publisher, (double)rate, (uint32_t)burst, NULL) !=
        WARREN_OK) {
        reload_report_fixed(r->report, "the publisher.timeout in force is too short for it",
                            "publisher.rate");
        return;
    }
    reload->publisher_rate = rate;
    reload->publisher_burst = burst;
    reload_report_changed(r->report, "publisher.rate: %d, burst %d", (int)rate, (int)burst);
    log_event(WARREN_LOG_INFO, "publisher has a new rate", LOG_INT("rate", rate),
              LOG_INT("burst", burst));
}

static void take_log(const struct reloading *r)
{
    const struct config *a = r->running->config;
    const struct config *b = r->now->config;
    char wanted[64];

    if (strcmp(a->log.level, b->log.level) == 0 && strcmp(a->log.format, b->log.format) == 0)
        return;
    settings_log(b);
    snprintf(wanted, sizeof wanted, "%s %s", b->log.level, b->log.format);
    log_event(WARREN_LOG_INFO, "log has a new level or format", LOG_TEXT("to", wanted));
}

/* @return WARREN_OK: what can be is in force */
static enum warren_status take_over(const struct reloading *r, struct warren_error *error)
{
    struct subscriptions_plan plan = {.open = NULL};
    enum warren_status status = worker_store_is_open(r->now, r->target->key_writer, error);

    if (status == WARREN_OK)
        status = subscriptions_plan(r->target->open, r->now, r->report, &plan, error);
    if (status == WARREN_OK)
        status = carry_out(r, &plan, error);
    if (status != WARREN_OK) {
        subscriptions_plan_undo(&plan);
        return status;
    }
    take_rate(r);
    if (plan.change_count > 0)
        r->report->result = RELOAD_CHANGED;
    if (r->report->result == RELOAD_UNCHANGED)
        subscriptions_plan_undo(&plan);
    else
        subscriptions_plan_done(&plan);
    return WARREN_OK;
}

/* ---- what is told ---- */

/* SIGHUP comes each night for logrotate; a change that needs a restart is reported once. */
static void report_fixed(struct worker_reload *reload, const char *by,
                         const struct reload_report *report)
{
    struct name_list names = {0};
    char event[EVENT_SIZE];

    for (size_t i = 0; i < report->fixed.kept; i++)
        name_list_add(&names, "%s", report->fixed.items[i].what);
    if (strcmp(reload->reported, names.text) == 0)
        return;
    memcpy(reload->reported, names.text, sizeof reload->reported);
    if (names.count == 0)
        return;
    snprintf(event, sizeof event, "%s: what has changed here needs a restart", by);
    log_event(WARREN_LOG_WARN, event, LOG_TEXT("changed", names.text));
}

static void report_done(const char *by, const struct reload_report *report)
{
    char event[EVENT_SIZE];

    for (size_t i = 0; i < report->changed.kept; i++)
        log_event(WARREN_LOG_INFO, "changed", LOG_TEXT("what", report->changed.items[i].what));
    snprintf(event, sizeof event, "%s: the configuration was read again", by);
    log_event(WARREN_LOG_INFO, event, LOG_INT("changed", report->changed.count),
              LOG_INT("need_restart", report->fixed.count),
              LOG_INT("generation", report->generation));
}

static void refuse(const struct worker_reload *reload, const char *by, bool busy, const char *why,
                   struct reload_report *report)
{
    char event[EVENT_SIZE];

    reload_report_refuse(report, busy, why);
    report->generation = reload->setup_count + 1;
    snprintf(event, sizeof event, "%s: the configuration stays as it was", by);
    log_event(WARREN_LOG_ERROR, event, LOG_TEXT("reason", why));
}

/* It is not the configuration that is wrong. */
static bool is_busy(enum warren_status status)
{
    return status == WARREN_ECLOSED || status == WARREN_ETIMEOUT || status == WARREN_EIO ||
           status == WARREN_ENOMEM;
}

void worker_reload(struct worker_reload *reload, const struct reload_target *target, const char *by,
                   struct reload_report *report)
{
    struct reloading r = {.reload = reload,
                          .target = target,
                          .running = worker_reload_current(reload),
                          .report = report};
    const struct setup_running running = {r.running, ++reload->tries, target->trial};
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status;

    if (!reload->file) {
        reload_report_refuse(report, false, "there is no file that could be read again");
        return;
    }
    if (reload->setup_count == RELOADS_MAX) {
        refuse(reload, by, false, "it has changed 1000 times: restart the worker for more", report);
        return;
    }
    r.now = &reload->setups[reload->setup_count];
    status = read_again(reload, &running, r.now, &error);
    if (status == WARREN_OK) {
        config_changes(reload->first->config, r.now->config, note_fixed, &r);
        config_changes(r.running->config, r.now->config, note_changed, &r);
        note_plugins(&r);
        status = take_over(&r, &error);
    }
    if (status != WARREN_OK) {
        refuse(reload, by, is_busy(status), error.text, report);
        worker_setup_done(r.now);
        return;
    }
    take_log(&r);
    if (report->result == RELOAD_CHANGED) {
        reload->setup_count++;
        atomic_store(&reload->in_force, r.now->config);
    } else {
        worker_setup_done(r.now);
    }
    report->generation = reload->setup_count + 1;
    report_fixed(reload, by, report);
    report_done(by, report);
}
