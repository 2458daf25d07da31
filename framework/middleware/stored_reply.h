/* stored_reply.h - a reply as bytes that are kept, and back: properties as on the wire, and body.
 * Thread: any.
 */
#ifndef WARREN_MIDDLEWARE_STORED_REPLY_H
#define WARREN_MIDDLEWARE_STORED_REPLY_H

#include <warren/middleware.h>

/**
 * @job      that sends @reply, and may pass on what it was given
 * @max      bytes; of a longer one nothing is written
 * @ret_data malloc'ed; the caller frees it
 * @return   WARREN_OK; WARREN_ETOOBIG, WARREN_EINVAL (a property that AMQP cannot have),
 *           WARREN_ENOMEM
 */
enum warren_status stored_reply_write(struct warren_job *job, const struct warren_message *reply,
                                      size_t max, void **ret_data, size_t *ret_len);

/**
 * Send it again: warren_job_reply() with what was written.
 *
 * @return as that; WARREN_EPROTOCOL if these are not the bytes of one
 */
enum warren_status stored_reply_send(struct warren_bytes data, struct warren_job *job);

#endif
