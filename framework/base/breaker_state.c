/* breaker_state.c - see breaker_state.h. */
#include "base/breaker_state.h"

#include <stdbool.h>
#include <string.h>

/* ---- the window ---- */

static int64_t step_ms(const struct breaker_state *state)
{
    return state->plan.window_ms / BREAKER_STEPS;
}

static struct breaker_step *newest(struct breaker_state *state)
{
    return &state->steps[state->step % BREAKER_STEPS];
}

static void forget_window(struct breaker_state *state)
{
    memset(state->steps, 0, sizeof state->steps);
    state->in_a_row = 0;
}

static void slide(struct breaker_state *state, int64_t now_ms)
{
    int64_t step = now_ms / step_ms(state);

    /* A thread may bring a reading that is a little older than the last one: no step back. */
    if (step - state->step >= BREAKER_STEPS) {
        memset(state->steps, 0, sizeof state->steps);
        state->step = step;
    }
    while (state->step < step) {
        state->step++;
        *newest(state) = (struct breaker_step){0, 0};
    }
}

int64_t breaker_state_step_end_ms(const struct breaker_state *state)
{
    return (state->step + 1) * step_ms(state);
}

struct breaker_step breaker_state_sum(const struct breaker_state *state)
{
    struct breaker_step sum = {0, 0};

    for (int i = 0; i < BREAKER_STEPS; i++) {
        sum.calls += state->steps[i].calls;
        sum.failures += state->steps[i].failures;
    }
    return sum;
}

/* ---- phases ---- */

static void want_probes(struct breaker_state *state, int64_t now_ms)
{
    state->to_admit = state->plan.probes;
    state->to_start = state->plan.probes;
    /* Probes may be lost, with the connection for one: after this time others are let through. */
    state->until_ms = now_ms + state->open_ms;
}

static void enter(struct breaker_state *state, enum breaker_phase phase, int64_t now_ms)
{
    state->phase = phase;
    state->epoch++;
    switch (phase) {
    case BREAKER_CLOSED:
        forget_window(state);
        slide(state, now_ms);
        break;
    case BREAKER_OPEN:
        state->until_ms = now_ms + state->open_ms;
        break;
    case BREAKER_HALF_OPEN:
        state->succeeded = state->failed = 0;
        want_probes(state, now_ms);
        break;
    }
}

static void pass_time(struct breaker_state *state, int64_t now_ms)
{
    if (state->phase == BREAKER_CLOSED || now_ms < state->until_ms)
        return;
    if (state->phase == BREAKER_OPEN)
        enter(state, BREAKER_HALF_OPEN, now_ms);
    else
        want_probes(state, now_ms);
}

void breaker_state_init(struct breaker_state *state, const struct breaker_plan *plan,
                        int64_t now_ms)
{
    *state = (struct breaker_state){.plan = *plan};
    enter(state, BREAKER_CLOSED, now_ms);
}

void breaker_state_change(struct breaker_state *state, const struct breaker_plan *plan,
                          int64_t now_ms)
{
    int64_t old_step_ms = step_ms(state);

    state->plan = *plan;
    if (step_ms(state) == old_step_ms)
        return;
    memset(state->steps, 0, sizeof state->steps);
    state->step = now_ms / step_ms(state); /* counted anew: also back */
}

/* ---- closed ---- */

static bool trips(const struct breaker_state *state)
{
    const struct breaker_plan *plan = &state->plan;
    struct breaker_step sum;

    if (plan->consecutive > 0 && state->in_a_row >= plan->consecutive)
        return true;
    if (plan->failure_percent == 0)
        return false;
    sum = breaker_state_sum(state);
    return sum.calls >= plan->min_calls &&
           (uint64_t)sum.failures * 100 >= (uint64_t)sum.calls * plan->failure_percent;
}

void breaker_state_add(struct breaker_state *state, uint32_t count)
{
    if (state->phase != BREAKER_CLOSED || count == 0)
        return;
    newest(state)->calls += count;
    state->in_a_row = 0;
}

static void end_closed(struct breaker_state *state, enum breaker_result result, int64_t now_ms)
{
    slide(state, now_ms);
    if (result == BREAKER_SUCCESS) {
        breaker_state_add(state, 1);
        return;
    }
    newest(state)->calls++;
    newest(state)->failures++;
    state->in_a_row++;
    if (!trips(state))
        return;
    state->open_ms = state->plan.open_ms;
    enter(state, BREAKER_OPEN, now_ms);
}

/* ---- half-open ---- */

static int64_t longer(const struct breaker_state *state)
{
    if (state->open_ms > state->plan.open_max_ms / state->plan.open_factor)
        return state->plan.open_max_ms;
    return state->open_ms * state->plan.open_factor;
}

static void end_half_open(struct breaker_state *state, enum breaker_result result, int64_t now_ms)
{
    uint32_t probes = state->plan.probes;
    uint32_t needed = (probes * state->plan.close_percent + 99) / 100;

    if (result == BREAKER_SUCCESS)
        state->succeeded++;
    else
        state->failed++;
    if (state->succeeded >= needed) {
        enter(state, BREAKER_CLOSED, now_ms);
    } else if (state->failed > probes - needed) {
        state->open_ms = longer(state);
        enter(state, BREAKER_OPEN, now_ms);
    }
}

/* The probe had no result: another one instead. */
static void give_probe_back(struct breaker_state *state)
{
    if (state->to_admit < state->plan.probes)
        state->to_admit++;
    if (state->to_start < state->plan.probes)
        state->to_start++;
}

/* ---- calls ---- */

uint32_t breaker_state_may(struct breaker_state *state, uint32_t want, int64_t now_ms,
                           int64_t *ret_retry_ms)
{
    uint32_t may = want;

    pass_time(state, now_ms);
    if (state->phase == BREAKER_CLOSED) {
        slide(state, now_ms);
        return want;
    }
    if (state->phase == BREAKER_OPEN)
        may = 0;
    else if (may > state->to_admit)
        may = state->to_admit;
    if (may < want)
        *ret_retry_ms = state->until_ms > now_ms ? state->until_ms - now_ms : 1;
    return may;
}

void breaker_state_took(struct breaker_state *state, uint32_t count)
{
    if (state->phase == BREAKER_HALF_OPEN)
        state->to_admit -= count < state->to_admit ? count : state->to_admit;
}

uint64_t breaker_state_begin(struct breaker_state *state, int64_t now_ms)
{
    pass_time(state, now_ms);
    if (state->phase == BREAKER_CLOSED)
        return state->epoch;
    if (state->phase == BREAKER_OPEN || state->to_start == 0)
        return 0;
    state->to_start--;
    return state->epoch;
}

void breaker_state_end(struct breaker_state *state, uint64_t ticket, enum breaker_result result,
                       int64_t now_ms)
{
    if (ticket != state->epoch)
        return;
    if (state->phase == BREAKER_HALF_OPEN && result == BREAKER_NEUTRAL)
        give_probe_back(state);
    else if (state->phase == BREAKER_HALF_OPEN)
        end_half_open(state, result, now_ms);
    else if (result != BREAKER_NEUTRAL)
        end_closed(state, result, now_ms);
}
