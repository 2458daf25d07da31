/* owed.c - see owed.h. */
#include "consume/relay/owed.h"

#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* @return the copy of @text at *@at, which moves behind it */
static const char *put(char **at, const char *text)
{
    size_t size = size_of(text);
    char *copy = *at;

    if (!text)
        return NULL;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

void owed_keep(struct attempt *attempt, const struct relay_facts *facts, int64_t due_ms)
{
    size_t size = size_of(facts->reason) + size_of(facts->error) + size_of(facts->signal) +
                  size_of(facts->backtrace) + size_of(facts->trace);
    struct owed *owed = malloc(sizeof *owed + size);
    char *at;

    if (owed) {
        at = owed->texts;
        owed->due_ms = due_ms;
        owed->since_ms = -1;
        owed->failed = attempt->owed ? attempt->owed->failed : 0;
        owed->facts = *facts;
        owed->facts.reason = put(&at, facts->reason);
        owed->facts.error = put(&at, facts->error);
        owed->facts.signal = put(&at, facts->signal);
        owed->facts.backtrace = put(&at, facts->backtrace);
        owed->facts.trace = put(&at, facts->trace);
    }
    free(attempt->owed);
    attempt->owed = owed;
}

int64_t owed_again_ms(struct owed *owed, struct random *random)
{
    struct backoff backoff;

    backoff_init(&backoff, OWED_AGAIN_MIN_MS, OWED_AGAIN_MAX_MS - OWED_AGAIN_MIN_MS, random);
    backoff.attempt = owed->failed;
    if (owed->failed < UINT32_MAX)
        owed->failed++;
    return OWED_AGAIN_MIN_MS + backoff_next_ms(&backoff);
}
