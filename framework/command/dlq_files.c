#include "command/dlq_files.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ID_MAX 100

struct dump_message dlq_dump_of(const struct dlq_letter *letter, const char *dlq)
{
    int64_t attempts = letter->attempts;

    return (struct dump_message){
        .queue = *letter->queue ? letter->queue : dlq,
        .handler = *letter->handler ? letter->handler : NULL,
        .exchange = letter->exchange,
        .routing_key = letter->routing_key,
        .redelivered = false,
        .attempts = attempts < 0 || attempts > UINT32_MAX ? 0 : (uint32_t)attempts,
        .message = letter->message,
    };
}

void dlq_file_name(const struct dlq_letter *letter, uint64_t number, char name[DLQ_FILE_NAME_SIZE])
{
    const char *id = *letter->id ? letter->id : "message";
    int len = snprintf(name, DLQ_FILE_NAME_SIZE, "%05" PRIu64 "-", number);

    for (size_t i = 0; id[i] && i < ID_MAX; i++)
        name[len++] = isalnum((unsigned char)id[i]) || strchr(".-_", id[i]) ? id[i] : '_';
    snprintf(name + len, DLQ_FILE_NAME_SIZE - (size_t)len, ".json");
}
