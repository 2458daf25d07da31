/* tracing_settings.h - where spans go: the section `tracing`, and below it the variables that
 * OpenTelemetry has for every program.
 * Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter
 * Configuration".
 * Thread: main. Elsewhere: sending (observe/otlp.h).
 */
#ifndef WARREN_APP_TRACING_SETTINGS_H
#define WARREN_APP_TRACING_SETTINGS_H

#include <stdbool.h>

#include "base/arena.h"
#include "config/config.h"
#include "observe/otlp.h"

struct tracing_settings {
    bool enabled; /* there is somewhere to send to */
    bool is_grpc; /* there is not, for the environment names a collector that speaks gRPC alone */
    struct otlp_options options;
    struct arena arena; /* of what they refer to */
};

/**
 * @env  "NAME=value", NULL-terminated, such as environ; may be NULL
 * @return WARREN_OK; WARREN_ECONFIG with @error, which names the place; WARREN_ENOMEM
 */
enum warren_status tracing_settings_init(const struct config *config, char *const *env,
                                         struct tracing_settings *settings,
                                         struct warren_error *error);
/** A zeroed one is fine. */
void tracing_settings_done(struct tracing_settings *settings);

#endif
