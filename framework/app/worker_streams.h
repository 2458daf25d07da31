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
    size_t room;
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

/**
 * The subscription @index of @config, which a reload adds. Nothing is done with one that is on no
 * stream.
 *
 * @what    its `begin` is written
 * @return  as worker_streams_open(); worker_streams_drop() if it is not added after all
 */
enum warren_status worker_streams_add(struct worker_streams *streams, const struct config *config,
                                      size_t index, struct runtime_subscription *what,
                                      struct warren_error *error);
/** What that one, or those of worker_streams_open() in their order, are for the runtime. */
void worker_streams_run(struct worker_streams *streams, const struct runtime_subscription *what,
                        const struct subscription *running);
/** Save a last time, and give the file up; that of @running, or, NULL, those that do not run. */
void worker_streams_drop(struct worker_streams *streams, const struct subscription *running);

/** How long the main thread may sleep, which otherwise would for @ms (-1: for ever). */
int worker_streams_sleep_ms(const struct worker_streams *streams, int64_t ms);

/** Save what has changed, if it is time; INT64_MAX as @now_ms: it is the end. */
void worker_streams_save(struct worker_streams *streams, int64_t now_ms);

void worker_streams_close(struct worker_streams *streams);

#endif
