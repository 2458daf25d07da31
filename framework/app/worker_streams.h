/* worker_streams.h - where subscriptions on streams begin after a restart: a small file of
 * state_dir for each, written once a second. It may be behind what is settled, never ahead of it.
 * Thread: main. Elsewhere: what is settled (amqp/consumer/stream_offsets.h).
 */
#ifndef WARREN_APP_WORKER_STREAMS_H
#define WARREN_APP_WORKER_STREAMS_H

#include "consume/runtime/runtime.h"

struct worker_stream;

/** All zero: none. */
struct worker_streams {
    struct worker_stream *items;
    size_t count;
    int64_t due_ms; /* when they are saved next */
};

/**
 * Lock and read the files of those of @subscriptions that are on streams, and write where they
 * begin. Without a state_dir a warning is logged for each. Every one that is here lives as long as
 * the lock on its file.
 *
 * @subscriptions  as many as the configuration has, in its order
 * @return         WARREN_OK; WARREN_EIO (also: damaged, or another process has it), WARREN_ECONFIG
 *                 or WARREN_ENOMEM with @error; worker_streams_close() in any case
 */
enum warren_status worker_streams_open(struct worker_streams *streams, const struct config *config,
                                       struct runtime_subscription *subscriptions,
                                       struct warren_error *error);

/** How long the main thread may sleep, which otherwise would for @ms (-1: for ever). */
int worker_streams_sleep_ms(const struct worker_streams *streams, int64_t ms);

/** Save what has changed, if it is time; INT64_MAX as @now_ms: it is the end. */
void worker_streams_save(struct worker_streams *streams, const struct runtime *runtime,
                         int64_t now_ms);

void worker_streams_close(struct worker_streams *streams);

#endif
