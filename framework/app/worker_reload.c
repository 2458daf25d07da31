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

static void report_text(enum warren_log_level level, const char *event, const char *key,
                        const char *text)
{
    struct log_line line;

    log_begin(&line, level, event);
    log_text(&line, key, text);
    log_end(&line);
}

/* NULL: the file is wrong, which is reported. */
static struct config *read_again(const struct worker_reload *reload,
                                 const struct worker_setup *setup)
{
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;
    enum warren_status status =
        config_load(reload->file, environ, (const char *const *)reload->sets, reload->set_count,
                    &config, &error);

    if (status == WARREN_OK)
        status = worker_setup_chains(setup->registry, config, &error);
    if (status == WARREN_OK)
        return config;
    report_text(WARREN_LOG_ERROR, "SIGHUP: the configuration stays as it was", "reason",
                error.text);
    config_free(config);
    return NULL;
}

/* Whether @text is another one than in @told; it stands there now. */
static bool is_news(char told[RELOAD_TOLD_SIZE], const char *text)
{
    if (strncmp(told, text, RELOAD_TOLD_SIZE - 1) == 0)
        return false;
    snprintf(told, RELOAD_TOLD_SIZE, "%s", text);
    return *text != '\0';
}

/* SIGHUP comes each night for logrotate; who changed the file is told once. */
static void report_fixed(struct worker_reload *reload, const struct worker_setup *setup,
                         const struct config *now, const struct posts_reloaded *reloaded)
{
    char changes[RELOAD_TOLD_SIZE];

    config_changes(setup->config, now, changes, sizeof changes);
    if (is_news(reload->told, changes))
        report_text(WARREN_LOG_WARN, "SIGHUP: what has changed here needs a restart", "changed",
                    changes);
    if (is_news(reload->told_options, reloaded->names))
        report_text(WARREN_LOG_WARN, "SIGHUP: options that have changed here need a restart",
                    "changed", reloaded->names);
}

static void reload_log(struct worker_reload *reload, const struct config *now)
{
    char wanted[sizeof reload->log];
    struct log_line line;

    snprintf(wanted, sizeof wanted, "%s %s", now->log.level, now->log.format);
    if (strcmp(wanted, reload->log) == 0)
        return;
    memcpy(reload->log, wanted, sizeof wanted);
    settings_log(now);
    log_begin(&line, WARREN_LOG_INFO, "log has a new level or format");
    log_text(&line, "to", wanted);
    log_end(&line);
}

static void reload_rate(struct worker_reload *reload, struct warren_publisher *publisher,
                        const struct config *now)
{
    int64_t rate = now->publisher.rate;
    int64_t burst = now->publisher.burst;
    struct log_line line;

    if (rate == reload->publisher_rate && burst == reload->publisher_burst)
        return;
    if (warren_publisher_set_rate(publisher, (double)rate, (uint32_t)burst) != WARREN_OK) {
        log_error("SIGHUP: publisher.rate %" PRId64 " is less than one message in "
                  "publisher.timeout; it stays as it was",
                  rate);
        return;
    }
    reload->publisher_rate = rate;
    reload->publisher_burst = burst;
    log_begin(&line, WARREN_LOG_INFO, "publisher has a new rate");
    log_int(&line, "rate", rate);
    log_int(&line, "burst", burst);
    log_end(&line);
}

void worker_reload(struct worker_reload *reload, const struct worker_setup *setup,
                   struct posts *posts, struct warren_publisher *publisher)
{
    struct posts_reloaded reloaded;
    struct config *config;

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
    posts_reload(posts, config, &reloaded);
    reload_log(reload, config);
    reload_rate(reload, publisher, config);
    report_fixed(reload, setup, config, &reloaded);
    if (reloaded.changed)
        reload->configs[reload->config_count++] = config;
    else
        config_free(config);
}
