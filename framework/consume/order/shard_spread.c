/* shard_spread.c - see shard_spread.h. */
#include "consume/order/shard_spread.h"

/* The finalizer of splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t draw(uint32_t shard, uint32_t seat)
{
    uint64_t x = ((uint64_t)shard << 32 | seat) + 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct room {
    uint32_t has[SHARD_SPREAD_MAX];
    uint32_t least; /* that each has in the end, */
    uint32_t extra; /* and how many may have one more */
};

static bool has_room(const struct room *room, uint32_t seat)
{
    return room->has[seat] < room->least || (room->has[seat] == room->least && room->extra > 0);
}

/* There is one, for the rooms of all are as many as the shards. */
static uint32_t choose(const struct room *room, const bool *taken, uint32_t count, uint32_t shard)
{
    uint64_t highest = 0;
    uint32_t best = 0;
    bool found = false;

    for (uint32_t seat = 0; seat < count; seat++) {
        uint64_t drawn = draw(shard, seat);

        if (!taken[seat] || !has_room(room, seat) || (found && drawn <= highest))
            continue;
        found = true;
        highest = drawn;
        best = seat;
    }
    return best;
}

uint32_t shard_spread(const bool *taken, uint32_t count, uint8_t *ret_owner)
{
    struct room room = {.least = 0};
    uint32_t workers = 0;

    for (uint32_t seat = 0; seat < count; seat++)
        workers += taken[seat];
    if (workers == 0)
        return 0;
    room.least = count / workers;
    room.extra = count % workers;
    for (uint32_t shard = 0; shard < count; shard++) {
        uint32_t seat = choose(&room, taken, count, shard);

        room.extra -= room.has[seat] == room.least;
        room.has[seat]++;
        ret_owner[shard] = (uint8_t)seat;
    }
    return workers;
}
