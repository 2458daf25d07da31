/* edition.h - what attempts of a subscription are run through, as one configuration has it: the
 * chain, its judges, the handler, and where dead letters go. A reload makes a new edition; an
 * attempt ends in the one that it began in.
 * Thread: any at once; an edition does not change after edition_init().
 */
#ifndef WARREN_CONSUME_EDITION_H
#define WARREN_CONSUME_EDITION_H

#include "base/weights.h"
#include "consume/attempt/gather.h"
#include "consume/job/chain.h"
#include "consume/relay/relay.h"

struct edition {
    struct chain chain;            /* with the handler, and its state */
    struct chain returned_publish; /* its judges: see chain.h */
    struct relay relay;
    bool has_relay;             /* else nothing can be published in a delivery's place */
    struct weights_want *wants; /* of semaphores, while a message is handled; owned, may be NULL */
    size_t want_count;
    struct gather_plan batch;
};

/**
 * @edition  zeroed but for its relay and batch; must stay where it is
 * @members  all middlewares, outermost first
 * @return   WARREN_OK; as chain_init(): edition_done() in any case
 */
enum warren_status edition_init(struct edition *edition, const struct chain_member *members,
                                size_t count, const struct warren_handler *handler, void *state);
/** A zeroed one is fine. */
void edition_done(struct edition *edition);

#endif
