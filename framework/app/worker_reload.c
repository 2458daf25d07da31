#include "app/worker_reload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/settings.h"
#include "base/error.h"
#include "base/input_file.h"
#include "base/log_event.h"

enum warren_status worker_reload_init(struct worker_reload *reload,
                                      const struct warren_worker_options *options,
                                      const struct config *config)
{
    *reload = (struct worker_reload){.publisher_rate = config->publisher.rate,
                                     .publisher_burst = config->publisher.burst};
    snprintf(reload->log, sizeof reload->log, "%s %s", config->log.level, config->log.format);
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
    *reload = (struct worker_reload){0};
}

/* As `warren check` does. @return false: the file is wrong, which is reported */
static bool read_again(const struct worker_reload *reload, const struct worker_setup *running,
                       struct worker_setup *now)
{
    const struct warren_worker_options options = {.config_file = reload->file,
                                                  .sets = (const char *const *)reload->sets,
                                                  .set_count = reload->set_count,
                                                  .plugin_count = reload->plugin_count};
    struct warren_error error = {WARREN_OK, ""};

    *now = (struct worker_setup){0};
    if (input_file_is_once(reload->file))
        error_set(&error, WARREN_ECONFIG, "%s can be read only once", reload->file);
    else if (worker_setup_again(now, &options, running, &error) == WARREN_OK &&
             subscriptions_try(now, &error) == WARREN_OK)
        return true;
    log_event(WARREN_LOG_ERROR, "SIGHUP: the configuration stays as it was",
              LOG_TEXT("reason", error.text));
    worker_setup_done(now);
    return false;
}

/* SIGHUP comes each night for logrotate; a change that needs a restart is reported once. */
static void report_fixed(struct worker_reload *reload, const struct name_list *fixed)
{
    if (strcmp(reload->reported, fixed->text) == 0)
        return;
    memcpy(reload->reported, fixed->text, sizeof reload->reported);
    if (fixed->count == 0)
        return;
    log_event(WARREN_LOG_WARN, "SIGHUP: what has changed here needs a restart",
              LOG_TEXT("changed", fixed->text));
}

/* @return how much has changed */
static size_t reload_log(struct worker_reload *reload, const struct config *now)
{
    char wanted[sizeof reload->log];

    snprintf(wanted, sizeof wanted, "%s %s", now->log.level, now->log.format);
    if (strcmp(wanted, reload->log) == 0)
        return 0;
    memcpy(reload->log, wanted, sizeof wanted);
    settings_log(now);
    log_event(WARREN_LOG_INFO, "log has a new level or format", LOG_TEXT("to", wanted));
    return 1;
}

static size_t reload_rate(struct worker_reload *reload, struct warren_publisher *publisher,
                          const struct config *now, struct name_list *fixed)
{
    int64_t rate = now->publisher.rate;
    int64_t burst = now->publisher.burst;

    if (rate == reload->publisher_rate && burst == reload->publisher_burst)
        return 0;
    /* With the publisher.timeout of the file it can be kept; that in force is another one. */
    if (warren_publisher_set_rate(publisher, (double)rate, (uint32_t)burst, NULL) != WARREN_OK) {
        name_list_add(fixed, "publisher.rate");
        return 0;
    }
    reload->publisher_rate = rate;
    reload->publisher_burst = burst;
    log_event(WARREN_LOG_INFO, "publisher has a new rate", LOG_INT("rate", rate),
              LOG_INT("burst", burst));
    return 1;
}

void worker_reload(struct worker_reload *reload, const struct worker_setup *setup,
                   struct open_subscriptions *open, struct warren_publisher *publisher)
{
    struct name_list fixed = {0};
    struct worker_setup now;
    size_t links;
    size_t others;

    if (!reload->file)
        return;
    if (reload->setup_count == RELOADS_MAX) {
        log_error("SIGHUP: the configuration has changed %d times: restart the worker for more",
                  RELOADS_MAX);
        return;
    }
    if (!read_again(reload, setup, &now))
        return;
    config_changes(setup->config, now.config, &fixed);
    links = subscriptions_reload(open, now.config, &fixed);
    others = reload_log(reload, now.config);
    others += reload_rate(reload, publisher, now.config, &fixed);
    report_fixed(reload, &fixed);
    log_event(WARREN_LOG_INFO, "SIGHUP: the configuration was read again",
              LOG_INT("changed", links + others), LOG_INT("need_restart", fixed.count));
    if (links > 0)
        reload->setups[reload->setup_count++] = now;
    else
        worker_setup_done(&now);
}
