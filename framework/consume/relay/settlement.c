/* settlement.c - see settlement.h. */
#include "consume/relay/settlement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How soon a message comes again whose job's messages were not confirmed. */
#define AGAIN_MIN_MS    1000
#define AGAIN_DOUBLINGS 5
#define AGAIN_MAX_MS    30000

/* A name of AMQP as it is shown, and a NUL behind it. */
#define NAME_SIZE (2 * 255 + 1)
/* Two of these, and some words. */
#define WHERE_SIZE (2 * NAME_SIZE + 64)

struct settlement {
    struct attempt *attempt;
    settlement_done_fn *done;
    void *user;
    bool confirmed;  /* something was */
    char *not_taken; /* why the handler gave up, or NULL */
};

enum verdict settlement_verdict(enum warren_outcome outcome)
{
    switch (outcome) {
    case WARREN_ACK:
    case WARREN_DISCARD:
        return VERDICT_ACK;
    case WARREN_REJECT:
        return VERDICT_REJECT;
    case WARREN_REQUEUE:
        return VERDICT_HANDBACK;
    case WARREN_RETRY:
        break;
    }
    return VERDICT_RETRY;
}

struct settlement *settlement_new(struct attempt *attempt, settlement_done_fn *done, void *user)
{
    struct settlement *settlement = malloc(sizeof *settlement);

    if (!settlement)
        return NULL;
    settlement->attempt = attempt;
    settlement->done = done;
    settlement->user = user;
    settlement->confirmed = false;
    settlement->not_taken = NULL;
    atomic_store(&attempt->holds, 1);
    attempt->publish_end = PUBLISH_FINE;
    return settlement;
}

void settlement_hold(struct settlement *settlement)
{
    atomic_fetch_add(&settlement->attempt->holds, 1);
}

void settlement_unhold(struct settlement *settlement)
{
    atomic_fetch_sub(&settlement->attempt->holds, 1);
}

/* Without a bound, what was confirmed would be published again and again. */
static bool is_too_much(struct attempt *attempt, bool confirmed)
{
    if (confirmed && attempt->in_part < UINT8_MAX)
        attempt->in_part++;
    return confirmed && attempt->in_part > SETTLEMENT_IN_PART;
}

/* An attempt that said something else has failed all the same. */
static void fail(struct attempt *attempt, bool confirmed)
{
    if (attempt->outcome == WARREN_RETRY && !attempt->forgiven)
        return;
    attempt->outcome = WARREN_RETRY;
    attempt->forgiven =
        true; /* unless what was published is returned: those who then decide may say otherwise */
    attempt->publish_returned =
        attempt->publish_end == PUBLISH_REFUSED || is_too_much(attempt, confirmed);
}

/* The first one is reported, and the first one that is refused in its place. @what: taken over */
static void note(struct attempt *attempt, enum publish_end end, char *what)
{
    if (attempt->publish_end >= end) {
        free(what);
        return;
    }
    attempt->publish_end = (uint8_t)end;
    free(attempt->unpublished);
    attempt->unpublished = what;
}

/* Drop one hold; with the last one the outcome is final and the settlement gone. */
static bool release(struct settlement *settlement)
{
    struct attempt *attempt = settlement->attempt;

    if (atomic_fetch_sub(&attempt->holds, 1) != 1)
        return false;
    if (settlement->not_taken)
        note(attempt, PUBLISH_UNCONFIRMED, settlement->not_taken);
    if (attempt->publish_end != PUBLISH_FINE && attempt->relay == RELAY_NONE)
        fail(attempt, settlement->confirmed);
    free(settlement);
    return true;
}

/* As above, on a publisher's thread. */
static void release_later(struct settlement *settlement)
{
    struct attempt *attempt = settlement->attempt;
    settlement_done_fn *done = settlement->done;
    void *user = settlement->user;

    if (release(settlement))
        done(user, attempt);
}

/* A NUL in it is shown as \0. @text: where the length is not known */
static void show_name(struct warren_bytes name, const char *text, char shown[NAME_SIZE])
{
    const char *bytes = name.data ? name.data : text;
    size_t len = 0;

    if (!name.data)
        name.len = text ? strlen(text) : 0;
    for (size_t i = 0; i < name.len && len + 2 < NAME_SIZE; i++) {
        if (!bytes[i])
            shown[len++] = '\\';
        shown[len++] = bytes[i] ? bytes[i] : '0';
    }
    shown[len] = '\0';
}

static char *describe(const struct warren_receipt *receipt)
{
    char exchange[NAME_SIZE];
    char key[NAME_SIZE];
    char where[WHERE_SIZE];
    char *text;
    int len;

    show_name(receipt->exchange_bytes, receipt->exchange, exchange);
    show_name(receipt->routing_key_bytes, receipt->routing_key, key);
    if (exchange[0])
        snprintf(where, sizeof where, "exchange '%s' with routing key '%s'", exchange, key);
    else
        snprintf(where, sizeof where, "queue '%s'", key);
    if (receipt->result == WARREN_RETURNED)
        len = asprintf(&text, "what it published to %s was returned: %u %s", where,
                       receipt->reply_code, receipt->reply_text ? receipt->reply_text : "");
    else
        len = asprintf(&text, "what it published to %s was not confirmed: %s", where,
                       warren_result_name(receipt->result));
    return len < 0 ? NULL : text;
}

void settlement_receipt(const struct warren_receipt *receipt, void *user)
{
    struct settlement *settlement = user;

    switch (receipt->result) {
    case WARREN_CONFIRMED:
    case WARREN_SPOOLED:
        settlement->confirmed = true;
        break;
    case WARREN_RETURNED:
        note(settlement->attempt, PUBLISH_REFUSED, describe(receipt));
        break;
    case WARREN_NACKED:
    case WARREN_TIMEOUT:
    case WARREN_EXPIRED:
        note(settlement->attempt, PUBLISH_UNCONFIRMED, describe(receipt));
        break;
    }
    release_later(settlement);
}

void settlement_not_taken(struct settlement *settlement, const char *why)
{
    free(settlement->not_taken);
    settlement->not_taken = strdup(why);
}

int64_t settlement_again_ms(struct attempt *attempt)
{
    int64_t delay_ms = attempt->unconfirmed < AGAIN_DOUBLINGS
                           ? (int64_t)AGAIN_MIN_MS << attempt->unconfirmed
                           : AGAIN_MAX_MS;

    if (attempt->unconfirmed < UINT8_MAX)
        attempt->unconfirmed++;
    return delay_ms;
}

void settlement_relayed(const struct warren_receipt *receipt, void *user)
{
    struct settlement *settlement = user;
    struct attempt *attempt = settlement->attempt;

    attempt->relay = receipt->result == WARREN_CONFIRMED ? RELAY_CONFIRMED : RELAY_FAILED;
    attempt->relay_status = WARREN_OK;
    attempt->relay_result = (uint8_t)receipt->result;
    attempt->relay_code = receipt->reply_code;
    release_later(settlement);
}

bool settlement_handled(struct settlement *settlement)
{
    return release(settlement);
}
