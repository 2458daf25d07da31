/* metric_page.h - what /metrics would say of one series of this process.
 * Thread: any.
 */
#ifndef TESTS_SUPPORT_METRIC_PAGE_H
#define TESTS_SUPPORT_METRIC_PAGE_H

#include <math.h>

#include "base/exposition.h"
#include "support/test.h"

/** The whole page. The caller frees. */
static inline char *metric_page(void)
{
    struct buffer buffer;
    char *text;

    buffer_init(&buffer, 1 << 24);
    assert_int_equal(exposition_write(&buffer), WARREN_OK);
    text = strndup((const char *)buffer_front(&buffer), buffer_len(&buffer));
    buffer_done(&buffer);
    return text;
}

/**
 * The value of @series, which is written as on the page: name and labels.
 *
 * @return NAN: it is not there
 */
static inline double metric_on_page(const char *series)
{
    char *page = metric_page();
    size_t len = strlen(series);
    double value = NAN;

    for (const char *at = page; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, series, len) == 0 && at[len] == ' ')
            value = strtod(at + len, NULL);
    free(page);
    return value;
}

#endif
