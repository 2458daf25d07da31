/* chain.h - the links around a handler, in one array, the handler last.
 * Thread: any at once; a chain does not change after chain_init().
 */
#ifndef WARREN_CONSUME_CHAIN_H
#define WARREN_CONSUME_CHAIN_H

#include <stddef.h>

#include <warren/middleware.h>

struct chain {
    struct warren_link *links; /* the handler's own link is the last one */
    const struct warren_handler *handler;
    void *state; /* of the handler */
};

/**
 * @links    the middlewares, outermost first; copied
 * @handler  borrowed, with what its `open` gave as @state
 * @return   WARREN_OK or WARREN_ENOMEM. @chain must stay where it is.
 */
enum warren_status chain_init(struct chain *chain, const struct warren_link *links, size_t count,
                              const struct warren_handler *handler, void *state);
/** A zeroed chain is fine. */
void chain_done(struct chain *chain);

/** Run all of it for @job. An answer that is no outcome counts as WARREN_RETRY. */
enum warren_outcome chain_run(const struct chain *chain, struct warren_job *job);

#endif
