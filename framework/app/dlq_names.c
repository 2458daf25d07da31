#include "app/dlq_names.h"

#include <stdio.h>
#include <string.h>

/* The two ends of a pattern; false if it has no placeholder. */
static bool split(const char *pattern, size_t *ret_head, const char **ret_tail)
{
    const char *at = strstr(pattern, DLQ_PLACEHOLDER);

    if (!at)
        return false;
    *ret_head = (size_t)(at - pattern);
    *ret_tail = at + strlen(DLQ_PLACEHOLDER);
    return true;
}

static bool copy(char to[DLQ_NAME_SIZE], const char *from)
{
    return (size_t)snprintf(to, DLQ_NAME_SIZE, "%s", from) < DLQ_NAME_SIZE;
}

bool dlq_name(const char *pattern, const char *queue, char name[DLQ_NAME_SIZE])
{
    const char *tail;
    size_t head;

    if (!split(pattern, &head, &tail))
        return copy(name, pattern);
    return (size_t)snprintf(name, DLQ_NAME_SIZE, "%.*s%s%s", (int)head, pattern, queue, tail) <
           DLQ_NAME_SIZE;
}

bool dlq_source(const char *pattern, const char *name, char source[DLQ_NAME_SIZE])
{
    size_t len = strlen(name);
    const char *tail;
    size_t head;

    if (!split(pattern, &head, &tail) || len <= head + strlen(tail) || len >= DLQ_NAME_SIZE ||
        strncmp(name, pattern, head) != 0 || strcmp(name + len - strlen(tail), tail) != 0)
        return false;
    len -= head + strlen(tail);
    memcpy(source, name + head, len);
    source[len] = '\0';
    return true;
}

static bool is_source(const char *const *sources, size_t count, const char *word)
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
    if (!shared && dlq_source(pattern, word, queue->source)) {
        queue->source_is_certain = is_source(sources, source_count, queue->source);
        if (queue->source_is_certain || !is_source(sources, source_count, word))
            return copy(queue->name, word);
    }
    queue->only_source = shared;
    queue->source_is_certain = true;
    return copy(queue->source, word) && dlq_name(pattern, word, queue->name);
}
