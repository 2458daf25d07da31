/* claim_set.c - see claim_set.h. Linear probing, without gaps, as in key_index.c. */
#include "store/idempotency/claim_set.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 256

struct claim_slot {
    struct idempotency_key key;
    bool used;
};

static size_t home_of(const struct claim_set *set, const struct idempotency_key *key)
{
    return idempotency_key_hash(key) & set->mask;
}

/* Where @key is, or the free slot where it would be. The set is not empty. */
static size_t place_of(const struct claim_set *set, const struct idempotency_key *key)
{
    size_t place = home_of(set, key);

    while (set->slots[place].used && memcmp(&set->slots[place].key, key, sizeof *key) != 0)
        place = (place + 1) & set->mask;
    return place;
}

static bool grow(struct claim_set *set)
{
    size_t slots = set->slots ? 2 * (set->mask + 1) : SLOTS_MIN;
    struct claim_set larger = {
        .slots = calloc(slots, sizeof *larger.slots), .mask = slots - 1, .count = set->count};

    if (!larger.slots)
        return false;
    for (size_t i = 0; set->slots && i <= set->mask; i++) {
        if (set->slots[i].used)
            larger.slots[place_of(&larger, &set->slots[i].key)] = set->slots[i];
    }
    free(set->slots);
    *set = larger;
    return true;
}

void claim_set_done(struct claim_set *set)
{
    free(set->slots);
    *set = (struct claim_set){NULL, 0, 0};
}

bool claim_set_has(const struct claim_set *set, const struct idempotency_key *key)
{
    return set->slots && set->slots[place_of(set, key)].used;
}

bool claim_set_add(struct claim_set *set, const struct idempotency_key *key)
{
    if ((!set->slots || set->count + set->count / 2 >= set->mask) && !grow(set))
        return false;
    set->slots[place_of(set, key)] = (struct claim_slot){.key = *key, .used = true};
    set->count++;
    return true;
}

void claim_set_remove(struct claim_set *set, const struct idempotency_key *key)
{
    size_t gap;

    if (!claim_set_has(set, key))
        return;
    gap = place_of(set, key);
    for (size_t i = (gap + 1) & set->mask; set->slots[i].used; i = (i + 1) & set->mask) {
        size_t distance = (i - home_of(set, &set->slots[i].key)) & set->mask;

        if (distance >= ((i - gap) & set->mask)) {
            set->slots[gap] = set->slots[i];
            gap = i;
        }
    }
    set->slots[gap].used = false;
    set->count--;
}
