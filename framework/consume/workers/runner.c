/* runner.c - the way back from a runner's workers to the loop: see runner.h.
 *
 * Sequentially consistent, because whether the loop must be woken is decided by "push, then look
 * at its flag" here against "clear the flag, then take" there.
 */
#include "consume/workers/runner.h"

void runner_init(struct runner *runner, const struct runner_ops *ops,
                 const struct runner_calls *calls, void *user, struct loop_outlook *outlook)
{
    runner->ops = ops;
    runner->calls = *calls;
    runner->user = user;
    runner->outlook = outlook;
}

void runner_roomy(struct runner *runner, bool roomy)
{
    if (atomic_load_explicit(&runner->roomy, memory_order_relaxed) != roomy)
        atomic_store_explicit(&runner->roomy, roomy, memory_order_relaxed);
}

bool runner_put_settled(struct runner *runner, struct attempt *attempt)
{
    struct attempt *top = atomic_load_explicit(&runner->settled, memory_order_relaxed);

    do
        attempt->next = top;
    while (!atomic_compare_exchange_weak(&runner->settled, &top, attempt));
    return top == NULL;
}

bool runner_all_taken(const struct runner *runner)
{
    return atomic_load(&runner->settled) == NULL;
}

void runner_settled(struct runner *runner, struct attempt *attempt)
{
    if (runner_put_settled(runner, attempt) && !atomic_load(&runner->outlook->looking))
        runner->calls.wake_loop(runner->user);
}

void runner_take_settled(struct runner *runner, struct batch *batch)
{
    struct attempt *top;
    struct attempt *reversed = NULL;

    if (runner_all_taken(runner))
        return;
    top = atomic_exchange(&runner->settled, NULL);
    while (top) {
        struct attempt *below = top->next;

        top->next = reversed;
        reversed = top;
        top = below;
    }
    while (reversed) {
        struct attempt *next = reversed->next;

        batch_add(batch, reversed);
        reversed = next;
    }
}
