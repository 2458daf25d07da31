/* admission.c - see admission.h. */
#include "consume/runtime/admission.h"

#include <assert.h>
#include <stdlib.h>

enum warren_status admission_init(struct admission *a, const struct chain_member *members,
                                  size_t count, uint32_t reserved_max, uint32_t held_max)
{
    *a = (struct admission){.reserved_max = reserved_max, .ask_ms = INT64_MAX};
    a->gates = admission_gates(members, count, &a->gate_count);
    return a->gates ? delay_init(&a->delay, held_max) : WARREN_ENOMEM;
}

struct chain_member *admission_gates(const struct chain_member *members, size_t count,
                                     size_t *ret_gate_count)
{
    struct chain_member *gates = calloc(count + 1, sizeof *gates);

    *ret_gate_count = 0;
    for (size_t i = 0; gates && i < count; i++)
        if (members[i].middleware->may)
            gates[(*ret_gate_count)++] = members[i];
    return gates;
}

enum warren_status admission_reserve_room(struct admission *a, uint32_t held_max)
{
    return delay_reserve(&a->delay, held_max);
}

struct chain_member *admission_change(struct admission *a, struct chain_member *gates,
                                      size_t gate_count, uint32_t reserved_max)
{
    struct chain_member *before = a->gates;

    a->gates = gates;
    a->gate_count = gate_count;
    a->closed = NULL;
    atomic_store_explicit(&a->reserved_max, reserved_max, memory_order_relaxed);
    if (a->waiting.count > 0)
        admission_ask_now(a);
    return before;
}

void admission_done(struct admission *a)
{
    assert(a->waiting.count == 0);
    free(a->gates);
    a->gates = NULL;
    delay_done(&a->delay);
}

void admission_add(struct admission *a, struct batch *arrived)
{
    if (a->waiting.count == 0)
        admission_ask_now(a);
    batch_splice(&a->waiting, arrived);
}

bool admission_reserve(struct admission *a)
{
    uint32_t reserved = atomic_load_explicit(&a->reserved, memory_order_relaxed);

    do {
        if (reserved >= atomic_load_explicit(&a->reserved_max, memory_order_relaxed)) {
            atomic_fetch_add_explicit(&a->full, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&a->reserved, &reserved, reserved + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void admission_unreserve(struct admission *a, struct attempt *attempt)
{
    if (!attempt->reserved)
        return;
    attempt->reserved = false;
    atomic_fetch_sub_explicit(&a->reserved, 1, memory_order_relaxed);
}

bool admission_hold(struct admission *a, struct attempt *attempt, int64_t now_ms)
{
    if (attempt->retry_at_ms > now_ms + ADMISSION_DELAY_MAX_MS)
        attempt->retry_at_ms = now_ms + ADMISSION_DELAY_MAX_MS;
    return delay_put(&a->delay, attempt);
}

void admission_ask_now(struct admission *a)
{
    a->ask_ms = 0;
}

uint32_t admission_ask(const struct chain_member *members, size_t count, uint32_t want,
                       int64_t now_ms, int64_t *ret_retry_ms, const char **ret_gate)
{
    uint32_t may = want;

    *ret_retry_ms = INT64_MAX;
    *ret_gate = NULL;
    for (size_t i = 0; i < count && may > 0; i++) {
        const struct warren_middleware *gate = members[i].middleware;
        int64_t retry_ms = ADMISSION_ASK_MS;
        uint32_t admitted = gate->may ? gate->may(members[i].state, may, now_ms, &retry_ms) : may;

        if (admitted >= may)
            continue;
        may = admitted;
        *ret_gate = gate->name;
        if (retry_ms < *ret_retry_ms)
            *ret_retry_ms = retry_ms < 1 ? 1 : retry_ms;
    }
    for (size_t i = 0; i < count && may > 0; i++)
        if (members[i].middleware->may && members[i].middleware->took)
            members[i].middleware->took(members[i].state, may, now_ms);
    return may;
}

/* How many of those that wait may go. */
static uint32_t ask(struct admission *a, int64_t now_ms)
{
    int64_t retry_ms;
    uint32_t may =
        admission_ask(a->gates, a->gate_count, a->waiting.count, now_ms, &retry_ms, &a->closed);

    if (retry_ms > ADMISSION_ASK_MAX_MS)
        retry_ms = ADMISSION_ASK_MAX_MS;
    a->ask_ms = may == a->waiting.count ? INT64_MAX : now_ms + retry_ms;
    return may;
}

void admission_due(struct admission *a, int64_t now_ms, struct batch *due)
{
    struct attempt *attempt;

    while ((attempt = delay_pop(&a->delay, now_ms))) {
        admission_unreserve(a, attempt);
        batch_add(due, attempt);
    }
}

void admission_take(struct admission *a, int64_t now_ms, struct batch *go)
{
    struct batch due = {NULL, NULL, 0};

    admission_due(a, now_ms, &due);
    if (due.count > 0)
        admission_add(a, &due);
    if (a->waiting.count == 0 || now_ms < a->ask_ms)
        return;
    for (uint32_t left = ask(a, now_ms); left > 0; left--)
        batch_add(go, batch_pop(&a->waiting));
}

void admission_take_all(struct admission *a, struct batch *batch)
{
    batch_splice(batch, &a->waiting);
    delay_take(&a->delay, INT64_MAX, batch);
    a->ask_ms = INT64_MAX;
}

int64_t admission_next_ms(const struct admission *a)
{
    int64_t due_ms = delay_next_ms(&a->delay);

    return due_ms < a->ask_ms ? due_ms : a->ask_ms;
}
