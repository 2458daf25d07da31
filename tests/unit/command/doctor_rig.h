/* doctor_rig.h - facts go in, findings come out. */
#ifndef DOCTOR_RIG_H
#define DOCTOR_RIG_H

#include "../config/config_helper.h"

#include "app/worker_setup.h"
#include "command/doctor/judge.h"
#include "middleware/builtin.h"

static struct findings found;

static inline int rig_setup(void **state)
{
    findings_init(&found);
    return helper_setup(state);
}

static inline int rig_teardown(void **state)
{
    findings_done(&found);
    return helper_teardown(state);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

/* All that was found is one finding of that level and check, whose text or advice has @part; begin
 * anew. */
static inline void expect(enum finding_level level, const char *check, const char *part)
{
    if (found.count != 1 || found.items[0].level != level ||
        strcmp(found.items[0].check, check) != 0 ||
        (!strstr(found.items[0].text, part) &&
         !(found.items[0].advice && strstr(found.items[0].advice, part)))) {
        for (size_t i = 0; i < found.count; i++)
            print_error("%s %s: %s > %s\n", finding_level_name(found.items[i].level),
                        found.items[i].check, found.items[i].text,
                        found.items[i].advice ? found.items[i].advice : "-");
        fail_msg("expected %s %s: %s", finding_level_name(level), check, part);
    }
    if (level != FINDING_OK)
        assert_non_null(found.items[0].advice);
    findings_done(&found);
    findings_init(&found);
}

/* A configuration with its chains complete. */
static inline struct config *rig_config(const char *yaml)
{
    struct registry *registry = registry_new(builtin_middlewares);
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = helper_config(yaml, NULL, NULL);

    assert_non_null(registry);
    if (worker_setup_chains(registry, config, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    registry_free(registry);
    return config;
}

#endif
