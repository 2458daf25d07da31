/* exposition.c - see exposition.h. */
#include "base/exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/metrics.h"

struct page {
    struct buffer *buffer;
    enum warren_status status;
};

static void add(struct page *page, const char *text)
{
    if (page->status == WARREN_OK)
        page->status = buffer_append(page->buffer, text, strlen(text));
}

/* Whole numbers as such, the others with as many digits as they need. */
static void add_number(struct page *page, double value)
{
    char text[40];

    if (isnan(value))
        snprintf(text, sizeof text, "NaN");
    else if (isinf(value))
        snprintf(text, sizeof text, value > 0 ? "+Inf" : "-Inf");
    else if (value == floor(value) && fabs(value) < 1e15)
        snprintf(text, sizeof text, "%.0f", value);
    else if (snprintf(text, sizeof text, "%.15g", value) > 0 && strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    add(page, text);
}

static void add_help(struct page *page, const char *help)
{
    for (const char *c = help; *c; c++) {
        char plain[2] = {*c, '\0'};

        add(page, *c == '\\' ? "\\\\" : *c == '\n' ? "\\n" : plain);
    }
}

static void family(void *user, const struct metric_family_info *info)
{
    static const char *const types[] = {
        [WARREN_COUNTER] = "counter", [WARREN_GAUGE] = "gauge", [WARREN_HISTOGRAM] = "histogram"};
    struct page *page = user;

    add(page, "# HELP ");
    add(page, info->name);
    add(page, " ");
    add_help(page, info->help);
    add(page, "\n# TYPE ");
    add(page, info->name);
    add(page, " ");
    add(page, types[info->type]);
    add(page, "\n");
}

/* NAME SUFFIX {LABELS, le="BOUND"} VALUE; @bound NULL: without it */
static void add_sample(struct page *page, const char *name, const char *suffix, const char *labels,
                       const double *bound, double value)
{
    add(page, name);
    add(page, suffix);
    if (*labels || bound) {
        add(page, "{");
        add(page, labels);
        if (bound) {
            add(page, *labels ? ",le=\"" : "le=\"");
            add_number(page, *bound);
            add(page, "\"");
        }
        add(page, "}");
    }
    add(page, " ");
    add_number(page, value);
    add(page, "\n");
}

static void add_histogram(struct page *page, const struct metric_family_info *info,
                          const struct metric_reading *reading)
{
    static const double infinite = INFINITY;
    uint64_t below = 0;

    for (size_t i = 0; i <= info->bound_count; i++) {
        below += reading->counts[i];
        add_sample(page, info->name, "_bucket", reading->label_text,
                   i < info->bound_count ? &info->bounds[i] : &infinite, (double)below);
    }
    add_sample(page, info->name, "_sum", reading->label_text, NULL, reading->value);
    add_sample(page, info->name, "_count", reading->label_text, NULL, (double)below);
}

static void series(void *user, const struct metric_family_info *info,
                   const struct metric_reading *reading)
{
    struct page *page = user;

    if (info->type == WARREN_HISTOGRAM)
        add_histogram(page, info, reading);
    else
        add_sample(page, info->name, "", reading->label_text, NULL, reading->value);
}

enum warren_status exposition_write(struct buffer *buffer)
{
    struct page page = {buffer, WARREN_OK};
    const struct metrics_visitor visitor = {family, series, &page};
    locale_t before = c_locale_begin();

    metrics_read(&visitor);
    c_locale_end(before);
    return page.status;
}
