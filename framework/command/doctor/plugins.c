/* plugins.c - do plugins load, and does the file fit them? See judge.h. A plugin is tried in a
 * process of its own first: loading runs its code, which may hang or crash.
 */
#include "plugin/loader.h"

#include <stdio.h>
#include <string.h>

#include "app/worker_subscriptions.h"
#include "command/doctor/doctor.h"
#include "command/doctor/judge.h"

#define PLUGIN_PATIENCE_MS 10000

/* ---- plugins ---- */

/* In a child process. */
static void load(const void *arg, void *out)
{
    struct plugin_facts *facts = out;
    struct warren_error error = {WARREN_OK, ""};
    struct plugin *plugin = NULL;

    facts->status = plugin_load(arg, &plugin, &error);
    snprintf(facts->text, sizeof facts->text, "%s", error.text);
    if (!plugin)
        return;
    snprintf(facts->name, sizeof facts->name, "%s", plugin->name);
    snprintf(facts->version, sizeof facts->version, "%s", plugin->version);
    facts->handlers = plugin->handler_count;
    facts->middlewares = plugin->middleware_count;
}

void judge_plugin(struct findings *findings, const char *where, const struct plugin_facts *facts)
{
    if (facts->end == WITHIN_LATE)
        findings_fail(findings, "plugins",
                      "see what its constructors do, and whether its file can be read",
                      "%s: loading it took longer than %d s", where, PLUGIN_PATIENCE_MS / 1000);
    else if (facts->end == WITHIN_DIED && facts->signal)
        findings_fail(findings, "plugins", "run `warren handlers` on it under gdb",
                      "%s: loading it ended the process by %s", where,
                      sigdescr_np(facts->signal) ? sigdescr_np(facts->signal) : "a signal");
    else if (facts->end == WITHIN_DIED)
        findings_fail(findings, "plugins", "see what its constructors do",
                      "%s: loading it ended the process", where);
    else if (facts->end == WITHIN_NOT_RUN)
        findings_fail(findings, "plugins", "look at ulimit -u and at the memory that is left",
                      "%s: no process could be started to load it", where);
    else if (facts->status != WARREN_OK)
        findings_fail(findings, "plugins",
                      "build it against the headers of this warren, and copy it anew", "%s",
                      facts->text);
    else
        findings_ok(findings, "plugins", "%s: %s%s%s, %zu handler%s, %zu middleware%s", where,
                    facts->name, *facts->version ? " " : "", facts->version, facts->handlers,
                    facts->handlers == 1 ? "" : "s", facts->middlewares,
                    facts->middlewares == 1 ? "" : "s");
}

void check_plugins(struct doctor *doctor)
{
    const struct config *config = doctor->config;

    for (size_t i = 0; i < config->plugins_count; i++) {
        struct plugin_facts facts = {.status = WARREN_OK};
        int signal = 0;
        enum within_end end = within(PLUGIN_PATIENCE_MS, load, config->plugins[i], &facts,
                                     sizeof facts, doctor_waits, doctor, &signal);

        facts.end = end;
        facts.signal = signal;
        judge_plugin(&doctor->findings, config->plugins[i], &facts);
    }
}

/* ---- configuration ---- */

void check_configuration(struct doctor *doctor)
{
    struct warren_error error = {WARREN_OK, ""};

    if (findings_has_trouble(&doctor->findings, "plugins")) {
        findings_fail(&doctor->findings, "configuration", "mend the plugins first",
                      "%s: handlers and their options are unknown without the plugins",
                      doctor->file);
        return;
    }
    if (worker_setup_init(doctor->setup, doctor->worker, &error) == WARREN_OK &&
        subscriptions_try(doctor->setup, &error) == WARREN_OK) {
        if (doctor->uris->count > 0) {
            doctor->setup->config->broker.uri = doctor->uris->items;
            doctor->setup->config->broker.uri_count = doctor->uris->count;
        }
        doctor->config = doctor->setup->config;
        findings_ok(&doctor->findings, "configuration", "%s: %zu subscription%s, %zu plugin%s",
                    doctor->file, doctor->config->subscription_count,
                    doctor->config->subscription_count == 1 ? "" : "s",
                    registry_count(doctor->setup->registry),
                    registry_count(doctor->setup->registry) == 1 ? "" : "s");
        return;
    }
    doctor->misconfigured = true;
    findings_fail(&doctor->findings, "configuration",
                  "mend the file; `warren handlers PLUGIN.so` lists handlers and options", "%s",
                  error.text);
}
