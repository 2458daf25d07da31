/* dlq_show.h - one dead letter, with envelope and body, for people and as JSON.
 * Thread: main.
 */
#ifndef WARREN_COMMAND_DLQ_SHOW_H
#define WARREN_COMMAND_DLQ_SHOW_H

#include "command/dlq/dlq_letter.h"

/** Several lines on stdout. @number: of those shown, from 1; @body_max: bytes of the body */
void dlq_show_text(const struct dlq_letter *letter, uint64_t number, size_t body_max);

/**
 * Properties, headers of its own, and at most @body_max bytes of the body.
 *
 * @texts  knows the lengths of texts in @message that hold a NUL
 */
void dlq_show_message(const struct warren_message *message, const struct arena *texts,
                      size_t body_max);

/**
 * One line on stdout: an object with the envelope, and under "message" properties, headers
 * and body as a dump file has them (dump.h).
 *
 * @return false: there was no memory, or a header that JSON cannot hold
 */
bool dlq_show_json(const struct dlq_letter *letter);

#endif
