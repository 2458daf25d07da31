/* settled.c - see settled.h.
 *
 * Sequentially consistent, because whether the loop must be woken is decided by "push, then look
 * at its flag" here against "clear the flag, then take" there.
 */
#include "consume/workers/settled.h"

bool settled_push(struct settled *settled, struct delivery *delivery)
{
    struct delivery *top = atomic_load_explicit(&settled->top, memory_order_relaxed);

    do
        delivery->next = top;
    while (!atomic_compare_exchange_weak(&settled->top, &top, delivery));
    return top == NULL;
}

bool settled_empty(const struct settled *settled)
{
    return atomic_load(&settled->top) == NULL;
}

void settled_take(struct settled *settled, struct batch *batch)
{
    struct delivery *top = atomic_exchange(&settled->top, NULL);
    struct delivery *reversed = NULL;

    while (top) {
        struct delivery *below = top->next;

        top->next = reversed;
        reversed = top;
        top = below;
    }
    while (reversed) {
        struct delivery *next = reversed->next;

        batch_add(batch, reversed);
        reversed = next;
    }
}
