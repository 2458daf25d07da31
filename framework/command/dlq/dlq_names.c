#include "command/dlq/dlq_names.h"

#include <stdio.h>
#include <string.h>

static bool copy(char to[DLQ_NAME_SIZE], const char *from)
{
    return (size_t)snprintf(to, DLQ_NAME_SIZE, "%s", from) < DLQ_NAME_SIZE;
}

/* The dead-letter queue of @queue; false: its name would exceed 255 bytes. */
static bool name_of(const char *pattern, const char *queue, char name[DLQ_NAME_SIZE])
{
    size_t word = strlen(DLQ_PLACEHOLDER);
    size_t len = 0;

    while (*pattern) {
        bool here = strncmp(pattern, DLQ_PLACEHOLDER, word) == 0;
        size_t more = here ? strlen(queue) : 1;

        if (len + more >= DLQ_NAME_SIZE)
            return false;
        memcpy(name + len, here ? queue : pattern, more);
        len += more;
        pattern += here ? word : 1;
    }
    name[len] = '\0';
    return len > 0;
}

static size_t placeholders(const char *pattern)
{
    size_t count = 0;

    while ((pattern = strstr(pattern, DLQ_PLACEHOLDER))) {
        pattern += strlen(DLQ_PLACEHOLDER);
        count++;
    }
    return count;
}

/* The queue's name is as long as what the fixed part of the pattern leaves. */
static bool source_of(const char *pattern, const char *name, char source[DLQ_NAME_SIZE])
{
    size_t count = placeholders(pattern);
    size_t fixed = strlen(pattern) - count * strlen(DLQ_PLACEHOLDER);
    size_t len = strlen(name);
    char again[DLQ_NAME_SIZE];

    if (count == 0 || len <= fixed || len >= DLQ_NAME_SIZE || (len - fixed) % count != 0)
        return false;
    len = (len - fixed) / count;
    memcpy(source, name + (strstr(pattern, DLQ_PLACEHOLDER) - pattern), len);
    source[len] = '\0';
    return name_of(pattern, source, again) && strcmp(again, name) == 0;
}

bool dlq_is_source(const char *const *sources, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(sources[i], word) == 0)
            return true;
    return false;
}

bool dlq_resolve(const char *pattern, const char *const *sources, size_t source_count,
                 const char *word, struct dlq_queue *queue)
{
    bool shared = !strstr(pattern, DLQ_PLACEHOLDER);

    memset(queue, 0, sizeof *queue);
    if (!*word)
        return false;
    if (shared && strcmp(word, pattern) == 0)
        return copy(queue->name, word);
    if (source_of(pattern, word, queue->source)) {
        queue->source_is_certain = dlq_is_source(sources, source_count, queue->source);
        if (queue->source_is_certain || !dlq_is_source(sources, source_count, word))
            return copy(queue->name, word);
    }
    queue->only_source = shared;
    queue->source_is_certain = true;
    return copy(queue->source, word) && name_of(pattern, word, queue->name);
}
