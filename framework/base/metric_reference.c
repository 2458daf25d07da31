/* metric_reference.c - see metric_reference.h. */
#include "base/metric_reference.h"

#include <stdbool.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/metrics.h"

/* metric_reference.txt: prose; "@ID" on a line where the table stands that begins with this row,
 * "@bounds ID" for the bounds of a histogram. Made a text by CMake. */
extern const char metric_reference_page[];

static const char *const ids[METRICS + 1] = {
#define METRIC(id, type, name, labels, bounds, help) #id,
#include "base/metric_family.def"
#undef METRIC
};

/* Does the line @at name the row @id? */
static bool names(const char *at, const char *id)
{
    size_t len = strlen(id);

    return strncmp(at, id, len) == 0 && at[len] == '\n';
}

/* METRICS: it is none. */
static size_t row_named(const char *at)
{
    size_t index = 0;

    while (index < METRICS && !names(at, ids[index]))
        index++;
    return index;
}

/* A table ends where the next one begins. */
static bool begins_table(const char *id)
{
    for (const char *at = metric_reference_page; (at = strstr(at, "\n@")); at++)
        if (names(at + 2, id))
            return true;
    return false;
}

static void write_labels(FILE *out, const char *labels)
{
    while (*labels) {
        size_t len = strcspn(labels, ",");

        fprintf(out, "`%.*s`%s", (int)len, labels, labels[len] ? ", " : "");
        labels += labels[len] ? len + 1 : len;
    }
}

static void write_table(FILE *out, size_t index)
{
    static const char *const types[] = {
        [WARREN_COUNTER] = "counter", [WARREN_GAUGE] = "gauge", [WARREN_HISTOGRAM] = "histogram"};

    fputs("| name | type | labels | meaning |\n|---|---|---|---|\n", out);
    do {
        struct metric_family_info info;
        const char *labels;

        metric_family_row(index, &info, &labels);
        fprintf(out, "| `%s` | %s | ", info.name, types[info.type]);
        write_labels(out, labels);
        fprintf(out, "%s| %s |\n", *labels ? " " : "", info.help);
    } while (++index < METRICS && !begins_table(ids[index]));
}

static void write_bounds(FILE *out, size_t index)
{
    struct metric_family_info info;
    const char *labels;

    metric_family_row(index, &info, &labels);
    for (size_t i = 0; i < info.bound_count; i++)
        c_fprintf(out, "%s%g", i > 0 ? ", " : "", info.bounds[i]);
    fputs(".\n", out);
}

void metric_write_reference(FILE *out)
{
    static const char bounds[] = "@bounds ";
    const char *line = metric_reference_page;

    while (*line) {
        size_t len = strcspn(line, "\n") + 1;

        if (strncmp(line, bounds, strlen(bounds)) == 0)
            write_bounds(out, row_named(line + strlen(bounds)));
        else if (*line == '@')
            write_table(out, row_named(line + 1));
        else
            fwrite(line, 1, len, out);
        line += len;
    }
}
