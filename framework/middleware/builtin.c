/* builtin.c - see builtin.h. */
#include "middleware/builtin.h"

#include <stdio.h>
#include <string.h>

const struct warren_middleware *const builtin_middlewares[BUILTIN_COUNT + 1] = {
    &middleware_log,      &middleware_trace,      &middleware_retry,
    &middleware_breaker,  &middleware_rate_limit, &middleware_idempotency,
    &middleware_deadline, &middleware_recover,    NULL,
};

/* Where both stand in a chain, @outer must be the outer one. */
static const struct {
    const char *outer;
    const char *inner;
    const char *reason;
} rules[] = {
    {"retry", "recover", "recover turns a panic into a failed attempt, which retry must see"},
    {"retry", "breaker", "breaker counts attempts, and retry decides what follows a failed one"},
    {"retry", "deadline", "the time limit is one attempt's, and retry must see that it passed"},
    {"retry", "idempotency", "a duplicate of a running message waits, which is no failed attempt"},
    {"idempotency", "recover", "a panic would unwind past idempotency, which keeps the message"},
    {"breaker", "recover", "recover turns a panic into a failed attempt, which breaker must count"},
    {"deadline", "recover", "a panic would unwind past deadline, which could not tell a late one"},
};

static size_t find(const char *const *names, size_t count, const char *name)
{
    size_t i = 0;

    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

bool builtin_is_standard(const char *name)
{
    return strcmp(name, "breaker") != 0 && strcmp(name, "rate_limit") != 0 &&
           strcmp(name, "idempotency") != 0 && strcmp(name, "deadline") != 0;
}

bool builtin_in_order(const char *const *names, size_t count, size_t *ret_culprit, char *why,
                      size_t size)
{
    size_t log = find(names, count, "log");

    if (log > 0 && log < count) {
        *ret_culprit = log;
        snprintf(why, size,
                 "log tells the outcome that all others agreed on: put log first, before %s",
                 names[0]);
        return false;
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        size_t outer = find(names, count, rules[i].outer);
        size_t inner = find(names, count, rules[i].inner);

        if (outer == count || inner == count || outer < inner)
            continue;
        *ret_culprit = inner;
        snprintf(why, size, "%s: put %s after %s", rules[i].reason, rules[i].inner, rules[i].outer);
        return false;
    }
    return true;
}
