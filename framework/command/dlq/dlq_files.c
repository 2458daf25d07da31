#include "command/dlq/dlq_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

#define ID_MAX 100

/* What we give queues and handlers; a NUL is in none of them. */
static bool is_name(const struct dlq_letter *letter, const char *text)
{
    return *text && strlen(text) == arena_bytes(letter->texts, text).len;
}

struct dump_message dlq_dump_of(const struct dlq_letter *letter, const char *dlq)
{
    int64_t attempts = letter->attempts;

    return (struct dump_message){
        .texts = letter->texts,
        .queue = is_name(letter, letter->queue) ? letter->queue : dlq,
        .handler = is_name(letter, letter->handler) ? letter->handler : NULL,
        .exchange = letter->exchange,
        .routing_key = letter->routing_key,
        .redelivered = false,
        .attempts = attempts < 0 || attempts > UINT32_MAX ? 0 : (uint32_t)attempts,
        .message = letter->message,
    };
}

void dlq_file_name(const struct dlq_letter *letter, uint64_t number, char name[DLQ_FILE_NAME_SIZE])
{
    struct warren_bytes bytes = arena_bytes(letter->texts, letter->id);
    const char *id = bytes.len > 0 ? bytes.data : "message";
    size_t id_len = bytes.len > 0 ? bytes.len : strlen(id);
    int len = snprintf(name, DLQ_FILE_NAME_SIZE, "%05" PRIu64 "-", number);

    for (size_t i = 0; i < id_len && i < ID_MAX; i++)
        name[len++] = ascii_is_alnum(id[i]) || memchr(".-_", id[i], 3) ? id[i] : '_';
    snprintf(name + len, DLQ_FILE_NAME_SIZE - (size_t)len, ".json");
}
