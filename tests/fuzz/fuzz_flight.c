/* fuzz_flight.c - a flight recorder that an earlier process left, damaged: the input is a list of
 * patches (4 bytes offset, 1 byte length, the bytes) to a sound one, whose checksums are made good
 * where the first byte is even. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "amqp/wire/wire.h"
#include "base/log.h"
#include "consume/crash/flight_file.h"
#include "consume/crash/flight_recorder.h"
#include "fuzz/fuzz.h"

#define SLOTS 2
#define NOTES 4

static const char key[] = "fuzz";

static void fill(struct flight_file *file)
{
    const struct flight_shape shape = {.slots = SLOTS, .notes = NOTES};
    struct warren_error error;

    fuzz_expect(flight_file_memory(&shape, identity_hash(key, strlen(key), 0), file, &error) ==
                    WARREN_OK,
                "a recorder in memory");
    file->head->pid = 4711;
    for (uint32_t i = 0; i < SLOTS; i++) {
        file->slots[i].state = FLIGHT_STATE_STEP | FLIGHT_RUNNING;
        file->slots[i].message.low = i + 1;
        memcpy(file->slots[i].message_id, "an id", 6);
        file->slots[i].id_len = 5;
        memcpy(file->slots[i].queue, "q", 2);
        memcpy(file->slots[i].handler, "h", 2);
    }
    for (uint32_t i = 0; i < NOTES; i++) {
        file->notes[i].message.low = i + 2;
        file->notes[i].crashes = 1;
        file->notes[i].report = i + 1;
        file->reports[i].reason = FLIGHT_SIGNAL;
        file->reports[i].signal = 11;
        memcpy(file->reports[i].backtrace, "f() at f.c\n", 12);
        file->reports[i].done = 1;
    }
}

static void patch(struct flight_file *file, const uint8_t *data, size_t size)
{
    uint8_t *bytes = (uint8_t *)file->head;

    while (size >= 5) {
        size_t at = wire_get_u32(data) % file->size;
        size_t len = data[4];

        data += 5;
        size -= 5;
        if (len > size)
            len = size;
        if (len > file->size - at)
            len = file->size - at;
        memcpy(bytes + at, data, len);
        data += len;
        size -= len;
    }
}

/* As flight_notes.c has it. */
static void make_good(struct flight_file *file)
{
    for (uint32_t i = 0; i < NOTES; i++) {
        uint64_t hash = identity_hash(&file->notes[i], offsetof(struct flight_note, check), 0);

        file->notes[i].check = hash ? hash : 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flight_options options = {
        .key = key, .slots = SLOTS, .notes = NOTES, .crashes_max = 1, .inherited = -1};
    struct flight_file file;
    struct flight *flight;
    struct warren_error error;

    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    fill(&file);
    make_good(&file);
    if (size > 0)
        patch(&file, data + 1, size - 1);
    if (size > 0 && data[0] % 2 == 0)
        make_good(&file);
    options.inherited = dup(fuzz_file((const uint8_t *)file.head, file.size));
    if (flight_open(&options, &flight, &error) == WARREN_OK)
        flight_close(flight, true);
    flight_file_close(&file, false);
    return 0;
}
