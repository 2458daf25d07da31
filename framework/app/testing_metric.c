/* testing_metric.c - what a test may read of the metrics: a line of what /metrics would show. */
#include <warren/testing.h>

#include <math.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/exposition.h"

#define PAGE_MAX ((size_t)64 << 20)

/* @page ends with a NUL. */
static double find(const char *page, const char *series)
{
    size_t len = strlen(series);

    while (page) {
        if (strncmp(page, series, len) == 0 && page[len] == ' ')
            return c_strtod(page + len + 1, NULL);
        page = strchr(page, '\n');
        page = page ? page + 1 : NULL;
    }
    return NAN;
}

double warren_test_metric(const char *series)
{
    struct buffer page;
    double value = NAN;

    if (!series || !*series || *series == '#')
        return NAN;
    buffer_init(&page, PAGE_MAX);
    if (exposition_write(&page) == WARREN_OK && buffer_append(&page, "", 1) == WARREN_OK)
        value = find((const char *)buffer_front(&page), series);
    buffer_done(&page);
    return value;
}
