/* group_call.c - one function of a group, from the thread that runs it. */
#include <stdio.h>
#include <string.h>

#include "consume/crash/flight_recorder.h"
#include "consume/job/job_group.h"

/* The thread's own: the innermost one that it is in. */
static __thread struct warren_group_call *current;

/* ---- running ---- */

/* Nothing of this frame changes between setjmp() and the jump back (C11, 7.13.2.1). */
static void call(struct warren_group_call *c)
{
    if (setjmp(c->at) == 0)
        c->status = c->entry.run(c, c->entry.user);
}

/* It has returned, and something of its groups is left. */
static void judge(struct warren_group_call *c, enum groups_end end, const char *text)
{
    if (end == GROUPS_DONE)
        return;
    c->panicked = end == GROUPS_PANICKED;
    if (c->status != WARREN_OK && !c->panicked)
        return;
    c->status = WARREN_ECLOSED;
    memcpy(c->error, text, strlen(text) + 1);
}

void group_call_run(struct warren_group_call *c)
{
    struct warren_group_call *outer = current;
    char text[JOB_ERROR_SIZE];

    c->error[0] = '\0';
    current = c;
    call(c);
    if (c->groups.first)
        judge(c, groups_end(&c->groups, NULL, text), text);
    current = outer;
}

struct warren_group_call *group_call_current(const struct warren_job *job)
{
    return current && current->group->job == job ? current : NULL;
}

/* What the function has made may use what is on its stack, which is about to go. */
void group_call_panic(struct warren_group_call *c)
{
    char text[JOB_ERROR_SIZE];

    groups_end(&c->groups, NULL, text);
    c->panicked = true;
    c->status = WARREN_ECLOSED;
    longjmp(c->at, 1);
}

/* ---- what a function may ask and say ---- */

bool group_is_cancelled(const struct warren_group *group)
{
    const struct warren_job *job = group->job;

    for (const struct warren_group *g = group; g; g = g->parent ? g->parent->group : NULL)
        if (atomic_load_explicit(&g->cancelled, memory_order_acquire))
            return true;
    return warren_job_cancelled(job) || (job->worker && flight_is_lost(job->worker));
}

bool warren_group_cancelled(const struct warren_group_call *c)
{
    return group_is_cancelled(c->group);
}

int64_t warren_group_time_left_ms(const struct warren_group_call *c)
{
    int64_t left_ms = warren_job_time_left_ms(c->group->job);

    return left_ms > 0 && group_is_cancelled(c->group) ? 0 : left_ms;
}

void warren_group_fail(struct warren_group_call *c, const char *format, ...)
{
    char text[JOB_ERROR_SIZE]; /* the arguments may hold the one of before */
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(c->error, text, strlen(text) + 1);
}
