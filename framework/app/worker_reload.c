#include "app/worker_reload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/settings.h"
#include "base/log.h"

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
    reload->configs = calloc(RELOADS_MAX, sizeof *reload->configs);
    if (!reload->file || !reload->sets || !reload->configs)
        return WARREN_ENOMEM;
    for (size_t i = 0; i < options->set_count; i++) {
        reload->sets[i] = strdup(options->sets[i]);
        if (!reload->sets[i])
            return WARREN_ENOMEM;
        reload->set_count++;
    }
    return WARREN_OK;
}

void worker_reload_done(struct worker_reload *reload)
{
    for (size_t i = 0; i < reload->config_count; i++)
        config_free(reload->configs[i]);
    for (size_t i = 0; i < reload->set_count; i++)
        free(reload->sets[i]);
    free(reload->configs);
    free(reload->sets);
    free(reload->file);
    *reload = (struct worker_reload){0};
}

/* NULL: the file is wrong, which is reported. */
static struct config *read_again(const struct worker_reload *reload,
                                 const struct worker_setup *setup)
{
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;
    struct log_line line;
    enum warren_status status =
        config_load(reload->file, environ, (const char *const *)reload->sets, reload->set_count,
                    &config, &error);

    if (status == WARREN_OK)
        status = worker_setup_chains(setup->registry, config, &error);
    if (status == WARREN_OK)
        status = posts_check(setup, config, &error);
    if (status == WARREN_OK)
        status = settings_check_rate(config, &error);
    if (status == WARREN_OK)
        return config;
    log_begin(&line, WARREN_LOG_ERROR, "SIGHUP: the configuration stays as it was");
    log_text(&line, "reason", error.text);
    log_end(&line);
    config_free(config);
    return NULL;
}

/* SIGHUP comes each night for logrotate; who changed the file is told once. */
static void report_fixed(struct worker_reload *reload, const struct name_list *fixed)
{
    struct log_line line;

    if (strcmp(reload->told, fixed->text) == 0)
        return;
    memcpy(reload->told, fixed->text, sizeof reload->told);
    if (fixed->count == 0)
        return;
    log_begin(&line, WARREN_LOG_WARN, "SIGHUP: what has changed here needs a restart");
    log_text(&line, "changed", fixed->text);
    log_end(&line);
}

/* @return how much has changed */
static size_t reload_log(struct worker_reload *reload, const struct config *now)
{
    char wanted[sizeof reload->log];
    struct log_line line;

    snprintf(wanted, sizeof wanted, "%s %s", now->log.level, now->log.format);
    if (strcmp(wanted, reload->log) == 0)
        return 0;
    memcpy(reload->log, wanted, sizeof wanted);
    settings_log(now);
    log_begin(&line, WARREN_LOG_INFO, "log has a new level or format");
    log_text(&line, "to", wanted);
    log_end(&line);
    return 1;
}

static size_t reload_rate(struct worker_reload *reload, struct warren_publisher *publisher,
                          const struct config *now, struct name_list *fixed)
{
    int64_t rate = now->publisher.rate;
    int64_t burst = now->publisher.burst;
    struct log_line line;

    if (rate == reload->publisher_rate && burst == reload->publisher_burst)
        return 0;
    /* With the publisher.timeout of the file it can be kept; that in force is another one. */
    if (warren_publisher_set_rate(publisher, (double)rate, (uint32_t)burst) != WARREN_OK) {
        name_list_add(fixed, "publisher.rate");
        return 0;
    }
    reload->publisher_rate = rate;
    reload->publisher_burst = burst;
    log_begin(&line, WARREN_LOG_INFO, "publisher has a new rate");
    log_int(&line, "rate", rate);
    log_int(&line, "burst", burst);
    log_end(&line);
    return 1;
}

void worker_reload(struct worker_reload *reload, const struct worker_setup *setup,
                   struct posts *posts, struct warren_publisher *publisher)
{
    struct name_list fixed = {0};
    struct config *config;
    struct log_line line;
    size_t links;
    size_t others;

    if (!reload->file)
        return;
    if (reload->config_count == RELOADS_MAX) {
        log_error("SIGHUP: the configuration has changed %d times: restart the worker for more",
                  RELOADS_MAX);
        return;
    }
    config = read_again(reload, setup);
    if (!config)
        return;
    config_changes(setup->config, config, &fixed);
    links = posts_reload(posts, config, &fixed);
    others = reload_log(reload, config);
    others += reload_rate(reload, publisher, config, &fixed);
    report_fixed(reload, &fixed);
    log_begin(&line, WARREN_LOG_INFO, "SIGHUP: the configuration was read again");
    log_int(&line, "changed", (int64_t)(links + others));
    log_int(&line, "need_restart", (int64_t)fixed.count);
    log_end(&line);
    if (links > 0)
        reload->configs[reload->config_count++] = config;
    else
        config_free(config);
}
