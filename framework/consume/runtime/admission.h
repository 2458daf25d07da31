/* admission.h - what keeps deliveries from the workers: gates, and the delay before a retry.
 *
 *   arrived > [waiting] > gates > workers
 *   failed  > [delay]   > waiting
 *
 * Bound: all of it stands in the prefetch window, unsettled.
 * Thread: the loop's. Owner: struct subscription embeds one; the deliveries in it are its own.
 * Elsewhere: what a gate is (warren/middleware.h), when it is asked (subscription.c).
 */
#ifndef WARREN_CONSUME_ADMISSION_H
#define WARREN_CONSUME_ADMISSION_H

#include <stdatomic.h>

#include "consume/attempt/delay.h"
#include "consume/job/chain.h"

/** The longest that a message is held for a retry: half of RabbitMQ's default ack time-out. */
#define ADMISSION_DELAY_MAX_MS (15 * 60 * 1000)
/** How soon a gate that closes and does not say when is asked again; and how late at most, for it
 * may get other options meanwhile (SIGHUP). */
#define ADMISSION_ASK_MS     100
#define ADMISSION_ASK_MAX_MS 1000

/**
 * How many of @want deliveries may go: each of @members that is a gate is asked about what the ones
 * before it let through, and learns how many went.
 *
 * @ret_retry_ms  if fewer may go: when a gate wants to be asked again, at least 1
 * @ret_gate      and the name of the last one that said so; else NULL
 */
uint32_t admission_ask(const struct chain_member *members, size_t count, uint32_t want,
                       int64_t now_ms, int64_t *ret_retry_ms, const char **ret_gate);

struct admission {
    atomic_uint reserved; /* places for deliveries whose attempt failed, taken ahead */
    atomic_uint reserved_max;
    _Atomic uint64_t full;      /* times that there was no place */
    struct chain_member *gates; /* those with `may` */
    size_t gate_count;
    struct delay delay;
    struct batch waiting; /* first come, first served */
    const char *closed;   /* the gate that they wait for; meaningful while some do */
    int64_t ask_ms;       /* when the gates are to be asked for those; INT64_MAX: none wait */
};

/**
 * @members       all middlewares of the subscription, in the order in which they are asked
 * @reserved_max  places that admission_reserve() gives
 * @held_max      deliveries that can be held in all, at least reserved_max
 * @return        WARREN_OK or WARREN_ENOMEM
 */
enum warren_status admission_init(struct admission *admission, const struct chain_member *members,
                                  size_t count, uint32_t reserved_max, uint32_t held_max);
/** Room for that many. WARREN_OK or WARREN_ENOMEM. */
enum warren_status admission_reserve_room(struct admission *admission, uint32_t held_max);
/** Those of @members that are gates, in memory of malloc(3). NULL: no memory. */
struct chain_member *admission_gates(const struct chain_member *members, size_t count,
                                     size_t *ret_gate_count);
/**
 * From now on it has these @gates, which it owns, and so many places. @return the gates of before,
 * to be freed
 */
struct chain_member *admission_change(struct admission *admission, struct chain_member *gates,
                                      size_t gate_count, uint32_t reserved_max);
/** Empty, or zeroed. */
void admission_done(struct admission *admission);

/** Queue all of @arrived for the gates. */
void admission_add(struct admission *admission, struct batch *arrived);
/** Take a place for a delivery, which is then marked `reserved`. Thread: any. */
bool admission_reserve(struct admission *admission);
/** @attempt gives its place back if it has one. */
void admission_unreserve(struct admission *admission, struct attempt *attempt);
/** Keep @attempt, whose attempt failed, until its retry_at_ms. @return false: held_max are. */
bool admission_hold(struct admission *admission, struct attempt *attempt, int64_t now_ms);
/** The gates may have changed: admission_take() shall ask them, whatever they said last. */
void admission_ask_now(struct admission *admission);
/** Append to @due those whose retry_at_ms has come. */
void admission_due(struct admission *admission, int64_t now_ms, struct batch *due);
/** Append to @go what may go to the workers at @now_ms, those that are due included. */
void admission_take(struct admission *admission, int64_t now_ms, struct batch *go);
/** Append everything to @batch. */
void admission_take_all(struct admission *admission, struct batch *batch);

/** When admission_take() may have something; INT64_MAX: not before one of the above is called. */
int64_t admission_next_ms(const struct admission *admission);
/** How many deliveries are in it. */
static inline uint32_t admission_count(const struct admission *admission)
{
    return admission->waiting.count + admission->delay.count;
}

#endif
