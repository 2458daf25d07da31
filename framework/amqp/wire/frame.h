/* frame.h - AMQP frames from and to bytes. Sans-IO: no socket, no state.
 * Source: AMQP 0-9-1, section 4.2.
 * Thread: any.
 */
#ifndef WARREN_AMQP_FRAME_H
#define WARREN_AMQP_FRAME_H

#include <warren/message.h>

#include "base/buffer.h"

enum frame_type { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_HEARTBEAT = 8 };

#define FRAME_HEADER_SIZE 7 /* type, channel, payload size */
#define FRAME_OVERHEAD    8 /* with the end byte */

/* Of a content header, in front of the properties: class, weight, body size. */
#define HEADER_FIXED 12

/**
 * A message takes notes on its way (x-death, x-delivery-count), and RabbitMQ sends its content
 * header all the same, as one frame that may be larger than frame_max. Such a one is taken up to so
 * many bytes above frame_max. Beyond that its property list is skipped as it comes, so that it
 * costs no memory; beyond FRAME_SKIPPED_MAX it is no header of a broker's, but the end of the
 * connection.
 */
#define FRAME_GROWTH_MAX  (128u * 1024)
#define FRAME_SKIPPED_MAX (128u * 1024 * 1024)

struct frame {
    enum frame_type type;
    uint16_t channel;
    struct warren_bytes payload; /* borrowed from the input */
    uint32_t skipped;            /* bytes of the payload that are not in it, see above */
};

enum frame_found { FRAME_COMPLETE, FRAME_PARTIAL, FRAME_BROKEN };

/**
 * Read the frame at the start of @len bytes at @data.
 *
 * Checks, before the whole frame has come: type, size at most @frame_max - 8 (of a content header:
 * see FRAME_GROWTH_MAX) and at least the type's minimum, heartbeat on channel 0 and empty, headers
 * and bodies not on channel 0; then the end byte.
 * @frame     a content header that is too large to be taken is COMPLETE as soon as its fixed part
 *            (HEADER_FIXED) has come, which is then its payload; what is `skipped`, and the end
 *            byte, are the caller's to pass over
 * @ret_size  bytes the frame takes, if COMPLETE; bytes that must be there first, if PARTIAL
 * @ret_why   what is wrong, static storage, if BROKEN
 */
enum frame_found frame_read(const uint8_t *data, size_t len, uint32_t frame_max,
                            struct frame *frame, size_t *ret_size, const char **ret_why);

/** Class and method of a METHOD frame, as rabbitmq-c numbers them (class << 16 | method). */
uint32_t frame_method(const struct frame *frame);
/** What stands behind these in it: the arguments, as on the wire. */
struct warren_bytes frame_arguments(const struct frame *frame);

/**
 * Append a method frame. @decoded is rabbitmq-c's struct of method @id.
 *
 * @return WARREN_OK, WARREN_ETOOBIG (over @frame_max), WARREN_ENOMEM, WARREN_EFULL
 */
enum warren_status frame_put_method(struct buffer *out, uint16_t channel, uint32_t id,
                                    void *decoded, uint32_t frame_max);
/** Append a frame whose payload is there already. */
enum warren_status frame_put(struct buffer *out, enum frame_type type, uint16_t channel,
                             const void *payload, size_t len);
enum warren_status frame_put_heartbeat(struct buffer *out);

/** Is @byte what a frame ends with? */
bool frame_end(uint8_t byte);
/** What is wrong if not. */
#define FRAME_NO_END "a frame does not end with 0xCE"

/** A content header: what precedes a body. */
struct content_header {
    uint16_t class_id;
    uint64_t body_size;
    struct warren_bytes properties; /* flags and list, as on the wire; borrowed */
    const char *unfit; /* why it may not be decoded (nested too deeply, too large); NULL: fit */
};

/**
 * Take a header frame's payload apart and prove that the property list is well-formed: every
 * length inside the payload, no unknown field type, tables nested at most WARREN_NESTING_MAX deep.
 * After that properties_decode() is safe.
 *
 * Too deep a nesting is the message's fault, for any publisher can do it, and not the broker's:
 * the header is filled in, with `unfit` set. So it is where the list was skipped (@skipped), which
 * is then given as one without properties.
 *
 * @return  WARREN_OK, also if unfit; WARREN_EPROTOCOL: malformed
 */
enum warren_status content_header_read(struct warren_bytes payload, bool skipped,
                                       struct content_header *header, const char **ret_why);

/**
 * The same proof of a property list (flags and list) that comes from somewhere else, such as a
 * file.
 *
 * @return WARREN_OK: properties_decode() is safe; WARREN_EPROTOCOL; WARREN_ETOOBIG: nested too
 *         deeply; with @ret_why, static storage
 */
enum warren_status properties_check(struct warren_bytes encoded, const char **ret_why);

/**
 * Prove the table at the start of @encoded (its 4-byte length first), such as server-properties.
 * What follows the table is not looked at. Returns as content_header_read().
 */
enum warren_status table_check(struct warren_bytes encoded, const char **ret_why);

/* ---- method name ----
 *
 * AMQP's methods as people write them. Thread: any.
 */

/** Room for any name. */
struct method_name {
    char text[40];
};

/** "basic.consume-ok"; "method 60.99" for one that rabbitmq-c does not know. */
struct method_name method_name(uint32_t id);

#endif
