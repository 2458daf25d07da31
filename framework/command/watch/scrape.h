/* scrape.h - reads what /metrics says.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4); of it
 * what base/exposition.c writes, and comments and time stamps of others.
 * Thread: any. Elsewhere: how it is fetched (http/client.h).
 */
#ifndef WARREN_COMMAND_SCRAPE_H
#define WARREN_COMMAND_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>

#include <warren/status.h>

/** Labels of a sample, and samples of a page; one with more is refused. */
#define SCRAPE_LABELS  16
#define SCRAPE_SAMPLES 1000000

struct scrape_label {
    const char *name;
    const char *value; /* unescaped */
};

/** Lives as long as the text that was read. */
struct scrape_sample {
    const char *name;
    struct scrape_label labels[SCRAPE_LABELS];
    size_t label_count;
    double value;
};

/** @return false: it has seen enough */
typedef bool scrape_fn(void *user, const struct scrape_sample *sample);

/**
 * Call @take for each sample of @text, a string that is changed on the way.
 *
 * @return WARREN_OK; WARREN_EINVAL: line N is no sample; WARREN_EFULL: a bound; with @error
 */
enum warren_status scrape_read(char *text, scrape_fn *take, void *user, struct warren_error *error);

/** The value of the label @name, or NULL. */
const char *scrape_label(const struct scrape_sample *sample, const char *name);

#endif
