/* scrape.c - see scrape.h. */
#include "command/watch/scrape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/error.h"

static char *skip_blanks(char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

/* "VALUE", up to its closing quote; unescaped in its place. @return behind it; NULL: it is none */
static char *read_quoted(char *at, const char **ret_value)
{
    char *to;

    if (*at++ != '"')
        return NULL;
    *ret_value = to = at;
    while (*at && *at != '"') {
        if (*at == '\\' && at[1]) {
            at++;
            *to++ = *at == 'n' ? '\n' : *at;
            at++;
        } else {
            *to++ = *at++;
        }
    }
    if (*at != '"')
        return NULL;
    *to = '\0';
    return at + 1;
}

/* Behind {. @return behind }; NULL: they are none */
static char *read_labels(char *at, struct scrape_sample *sample)
{
    at = skip_blanks(at);
    while (*at != '}') {
        struct scrape_label *label = &sample->labels[sample->label_count];
        size_t len = strcspn(at, "= \t,}\"");

        if (len == 0 || at[len] != '=' || sample->label_count == SCRAPE_LABELS)
            return NULL;
        label->name = at;
        at[len] = '\0';
        at = read_quoted(at + len + 1, &label->value);
        if (!at)
            return NULL;
        sample->label_count++;
        at = skip_blanks(at);
        if (*at == ',')
            at = skip_blanks(at + 1);
        else if (*at != '}')
            return NULL;
    }
    return at + 1;
}

static bool read_value(char *at, double *ret_value)
{
    char *end;

    at = skip_blanks(at);
    if (strncmp(at, "+Inf", 4) == 0) {
        *ret_value = INFINITY;
        return true;
    }
    *ret_value = c_strtod(at, &end);
    return end > at && (*end == '\0' || *end == ' ' || *end == '\t');
}

static bool read_sample(char *line, struct scrape_sample *sample)
{
    size_t len = strcspn(line, "{ \t");
    char *rest = line + len;
    char stop = *rest;

    sample->name = line;
    sample->label_count = 0;
    if (len == 0 || stop == '\0')
        return false;
    *rest++ = '\0';
    if (stop != '{' && *skip_blanks(rest) == '{') {
        rest = skip_blanks(rest) + 1;
        stop = '{';
    }
    if (stop == '{')
        rest = read_labels(rest, sample);
    return rest && read_value(rest, &sample->value);
}

enum warren_status scrape_read(char *text, scrape_fn *take, void *user, struct warren_error *error)
{
    struct scrape_sample sample;
    size_t number = 0;
    size_t samples = 0;

    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        number++;
        line = skip_blanks(line);
        if (*line == '\0' || *line == '#')
            continue;
        if (!read_sample(line, &sample))
            return error_set(error, WARREN_EINVAL, "line %zu is no sample of a metric", number);
        if (++samples > SCRAPE_SAMPLES)
            return error_set(error, WARREN_EFULL, "there are more than %d samples", SCRAPE_SAMPLES);
        if (!take(user, &sample))
            break;
    }
    return WARREN_OK;
}

const char *scrape_label(const struct scrape_sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->label_count; i++)
        if (strcmp(sample->labels[i].name, name) == 0)
            return sample->labels[i].value;
    return NULL;
}
