/* ack_batcher.c - the ring of tags, and which of them leave in which frame. */
#include "amqp/consumer/ack_batcher.h"

#include <assert.h>
#include <stdlib.h>

#define CAPACITY_MIN 64

/* What acked_ms holds when it is no time. */
enum { PENDING = -1, TOLD = -2, HANDED_BACK = -3 };

struct ack_entry {
    uint64_t tag;
    int64_t acked_ms; /* PENDING: being handled; TOLD: settled, and the broker knows; HANDED_BACK:
                         the broker knows, but it is not settled; else an unsent ack */
};

static struct ack_entry *entry_at(const struct ack_batcher *batcher, uint32_t index)
{
    return &batcher->ring[(batcher->head + index) & (batcher->capacity - 1)];
}

static void pop(struct ack_batcher *batcher, uint32_t count)
{
    batcher->head = (batcher->head + count) & (batcher->capacity - 1);
    batcher->count -= count;
}

/*
 * Without gaps the place of a tag follows from its distance to the next one. Entries that were
 * squeezed out move the tags below them up, so a tag older than the last squeeze is searched for.
 */
static struct ack_entry *find(const struct ack_batcher *batcher, uint64_t tag)
{
    uint64_t back = batcher->next - tag;
    uint32_t low;
    uint32_t high = batcher->count;

    if (batcher->count == 0 || tag >= batcher->next || tag < entry_at(batcher, 0)->tag)
        return NULL;
    low = back <= batcher->count ? batcher->count - (uint32_t)back : 0;
    if (entry_at(batcher, low)->tag == tag)
        return entry_at(batcher, low);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (entry_at(batcher, middle)->tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == batcher->count || entry_at(batcher, low)->tag != tag)
        return NULL;
    return entry_at(batcher, low);
}

/* Drop the entries that the broker knows: a stuck message must not make the ring grow for ever. */
static void squeeze(struct ack_batcher *batcher)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < batcher->count; i++) {
        const struct ack_entry *entry = entry_at(batcher, i);

        if (entry->acked_ms != TOLD)
            *entry_at(batcher, kept++) = *entry;
    }
    batcher->count = kept;
    batcher->told = 0;
}

static enum warren_status grow(struct ack_batcher *batcher)
{
    struct ack_entry *ring;

    if (batcher->capacity == ACK_BATCHER_MAX)
        return WARREN_EPROTOCOL;
    ring = malloc(2 * (size_t)batcher->capacity * sizeof *ring);
    if (!ring)
        return WARREN_ENOMEM;
    for (uint32_t i = 0; i < batcher->count; i++)
        ring[i] = *entry_at(batcher, i);
    free(batcher->ring);
    batcher->ring = ring;
    batcher->capacity *= 2;
    batcher->head = 0;
    return WARREN_OK;
}

static enum warren_status make_room(struct ack_batcher *batcher)
{
    /* Half of the ring or nothing: so the cost for each delivery stays constant. */
    if (batcher->told >= batcher->capacity / 2) {
        squeeze(batcher);
        return WARREN_OK;
    }
    return grow(batcher);
}

/* Tell the broker about everything below the first tag that is still being handled. */
static uint32_t send_prefix(struct ack_batcher *batcher)
{
    uint64_t last = 0;
    uint32_t acks = 0;
    uint32_t length;

    for (length = 0; length < batcher->count; length++) {
        const struct ack_entry *entry = entry_at(batcher, length);

        if (entry->acked_ms == TOLD)
            continue;
        if (entry->acked_ms < 0)
            break;
        last = entry->tag;
        acks++;
    }
    pop(batcher, length);
    batcher->told -= length - acks;
    if (acks == 0)
        return 0;
    batcher->unsent -= acks;
    counter_add(&batcher->acks_sent, 1);
    /* The last ack of the prefix: what stands behind it was rejected, and must not be named. */
    batcher->sink.ack(batcher->sink.user, last, acks > 1);
    return 1;
}

static uint32_t send_stragglers(struct ack_batcher *batcher, int64_t now_ms, int64_t age_ms)
{
    uint32_t generation = batcher->generation;
    uint32_t left = batcher->unsent;
    uint32_t frames = 0;
    int64_t oldest_ms = now_ms;

    for (uint32_t i = 0; left > 0; i++) {
        struct ack_entry *entry = entry_at(batcher, i);

        assert(i < batcher->count);
        if (entry->acked_ms < 0)
            continue;
        left--;
        if (now_ms - entry->acked_ms < age_ms) {
            if (entry->acked_ms < oldest_ms)
                oldest_ms = entry->acked_ms;
            continue;
        }
        entry->acked_ms = TOLD;
        batcher->told++;
        batcher->unsent--;
        counter_add(&batcher->acks_sent, 1);
        frames++;
        /* A failed send may have ended the generation already, and with it the ring's content. */
        if (batcher->sink.ack(batcher->sink.user, entry->tag, false) != WARREN_OK ||
            batcher->generation != generation)
            return frames;
    }
    batcher->oldest_ms = oldest_ms;
    return frames;
}

enum warren_status ack_batcher_init(struct ack_batcher *batcher, const struct ack_sink *sink)
{
    *batcher = (struct ack_batcher){.sink = *sink, .capacity = CAPACITY_MIN, .next = 1};
    batcher->ring = malloc(CAPACITY_MIN * sizeof *batcher->ring);
    return batcher->ring ? WARREN_OK : WARREN_ENOMEM;
}

void ack_batcher_done(struct ack_batcher *batcher)
{
    free(batcher->ring);
    batcher->ring = NULL;
    batcher->capacity = batcher->count = 0;
}

void ack_batcher_restart(struct ack_batcher *batcher, uint32_t generation)
{
    batcher->generation = generation;
    batcher->head = batcher->count = batcher->told = batcher->unsent = 0;
    batcher->next = 1;
}

enum warren_status ack_batcher_delivered(struct ack_batcher *batcher, uint64_t tag)
{
    if (tag != batcher->next)
        return WARREN_EPROTOCOL;
    if (batcher->count == batcher->capacity) {
        enum warren_status status = make_room(batcher);

        if (status != WARREN_OK)
            return status;
    }
    *entry_at(batcher, batcher->count++) = (struct ack_entry){.tag = tag, .acked_ms = PENDING};
    batcher->next++;
    return WARREN_OK;
}

static void tell(struct ack_batcher *batcher, struct ack_entry *entry)
{
    entry->acked_ms = TOLD;
    batcher->told++;
    while (batcher->count > 0 && entry_at(batcher, 0)->acked_ms == TOLD) {
        pop(batcher, 1);
        batcher->told--;
    }
}

void ack_batcher_abandon(struct ack_batcher *batcher, uint64_t tag)
{
    struct ack_entry *entry = find(batcher, tag);

    if (entry && entry->acked_ms == PENDING)
        tell(batcher, entry);
}

enum warren_status ack_batcher_settle(struct ack_batcher *batcher, uint32_t generation,
                                      uint64_t tag, enum verdict verdict, int64_t now_ms)
{
    struct ack_entry *entry;
    bool told;

    assert(now_ms >= 0);
    if (generation != batcher->generation) {
        counter_add(&batcher->stale, 1);
        return WARREN_OK;
    }
    entry = find(batcher, tag);
    told = entry && entry->acked_ms == HANDED_BACK;
    if (!told && (!entry || entry->acked_ms != PENDING))
        return WARREN_EINVAL;
    assert(!told || verdict == VERDICT_HANDBACK);

    counter_add(&batcher->settled, 1);
    if (verdict == VERDICT_ACK) {
        entry->acked_ms = now_ms;
        if (batcher->unsent++ == 0)
            batcher->oldest_ms = now_ms;
        return WARREN_OK;
    }
    tell(batcher, entry);
    return told ? WARREN_OK : batcher->sink.negative(batcher->sink.user, tag, verdict);
}

uint32_t ack_batcher_flush(struct ack_batcher *batcher, int64_t now_ms, int64_t straggler_age_ms)
{
    uint32_t frames;

    if (batcher->unsent == 0)
        return 0;
    frames = send_prefix(batcher);
    if (batcher->unsent > 0 && now_ms - batcher->oldest_ms >= straggler_age_ms)
        frames += send_stragglers(batcher, now_ms, straggler_age_ms);
    return frames;
}

enum warren_status ack_batcher_hand_back(struct ack_batcher *batcher)
{
    uint64_t last = 0;

    if (batcher->unsent > 0)
        return WARREN_ECLOSED;
    for (uint32_t i = 0; i < batcher->count; i++) {
        struct ack_entry *entry = entry_at(batcher, i);

        if (entry->acked_ms != PENDING)
            continue;
        entry->acked_ms = HANDED_BACK;
        last = entry->tag;
    }
    return last > 0 ? batcher->sink.hand_back(batcher->sink.user, last) : WARREN_OK;
}
