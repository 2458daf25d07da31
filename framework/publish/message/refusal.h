/* refusal.h - which rule of publishing a message breaks, in words. Publishing itself says only that
 * one is broken. Thread: any.
 */
#ifndef WARREN_PUBLISH_REFUSAL_H
#define WARREN_PUBLISH_REFUSAL_H

#include <warren/publisher.h>

#include "base/arena.h"

/**
 * In @error what is wrong with @publish, @delay_ms from now (0: at once): in itself, or as
 * properties_encode() says of properties and headers. The longest delay is the publisher's.
 *
 * @texts   knows the lengths of texts that hold a NUL; may be NULL
 * @return  whether anything was found
 */
bool publish_explain(const struct warren_publish *publish, const struct arena *texts,
                     int64_t delay_ms, struct warren_error *error);

#endif
