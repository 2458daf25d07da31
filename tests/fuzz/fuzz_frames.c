/* fuzz_frames.c - what a broker sends: frames, content headers, property lists. What was decoded is
 * encoded and decoded again, and is the same then. */
#include <string.h>

#include "amqp/wire/frame.h"
#include "amqp/wire/properties.h"
#include "fuzz/fuzz.h"

#define FRAME_MAX 4096

static struct warren_bytes encoded(const struct warren_properties *properties, struct arena *arena,
                                   struct buffer *out)
{
    struct warren_error error;

    buffer_init(out, 4 * (FRAME_MAX + FRAME_GROWTH_MAX));
    if (properties_encode(properties, arena, FRAME_MAX + FRAME_GROWTH_MAX, arena, out, &error) !=
        WARREN_OK)
        return (struct warren_bytes){NULL, 0};
    return (struct warren_bytes){buffer_front(out), buffer_len(out)};
}

static void look_at_properties(struct warren_bytes wire)
{
    struct warren_properties first;
    struct warren_properties second;
    struct warren_bytes once;
    struct warren_bytes twice;
    struct buffer out[2];
    struct arena arena;

    arena_init(&arena);
    if (properties_decode(wire, &arena, &first) == WARREN_OK) {
        once = encoded(&first, &arena, &out[0]);
        if (once.len > 0) {
            fuzz_expect(properties_decode(once, &arena, &second) == WARREN_OK,
                        "what was encoded to be decoded");
            twice = encoded(&second, &arena, &out[1]);
            fuzz_expect(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0,
                        "the same bytes again");
            buffer_done(&out[1]);
        }
        buffer_done(&out[0]);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct content_header header;
    struct frame frame;
    const char *why = NULL;
    size_t taken;

    while (frame_read(data, size, FRAME_MAX, &frame, &taken, &why) == FRAME_COMPLETE) {
        if (frame.type == FRAME_METHOD)
            frame_method(&frame);
        if (frame.type == FRAME_HEADER &&
            content_header_read(frame.payload, frame.skipped > 0, &header, &why) == WARREN_OK &&
            !header.unfit)
            look_at_properties(header.properties);
        if (frame.skipped > 0)
            break;
        data += taken;
        size -= taken;
    }
    return 0;
}
