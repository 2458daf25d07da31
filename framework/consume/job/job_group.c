/* job_group.c - see <warren/group.h> and job_group.h: groups, and which of their functions run.
 * What one of these does: group_call.c.
 */
#include "consume/job/job_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/forked.h"
#include "consume/crash/fault.h"
#include "consume/crash/flight_recorder.h"

static bool is_inherited(const struct warren_group *g)
{
    return forked_since(g->job->forks);
}

/* ---- failures: under the lock ---- */

static char *copy(const char *text)
{
    return *text ? strdup(text) : NULL;
}

static void keep_failure(struct warren_group *g, const struct warren_group_call *call)
{
    size_t max = g->errors == WARREN_GROUP_ALL ? WARREN_GROUP_FAILURES_MAX : 1;
    struct warren_group_failure *failures;

    if (g->failure_count == max)
        return;
    failures = realloc(g->failures, (g->failure_count + 1) * sizeof *failures);
    if (!failures)
        return;
    g->failures = failures;
    failures[g->failure_count++] = (struct warren_group_failure){
        .index = call->entry.index, .status = call->status, .error = copy(call->error)};
}

static void note_failure(struct warren_group *g, const struct warren_group_call *call)
{
    if (g->status == WARREN_OK)
        g->status = call->status;
    keep_failure(g, call);
    if (call->panicked && !g->panicked) {
        g->panicked = true;
        g->panic = copy(call->error);
    }
}

/* ---- which of them run: under the lock ---- */

static bool may_begin(const struct warren_group *g)
{
    return g->waiting_count > 0 && (g->limit == 0 || g->running_count < g->limit);
}

static struct group_entry *take_waiting(struct warren_group *g)
{
    struct group_entry *entry = g->first;

    g->first = entry->next;
    g->waiting_count--;
    g->pool->waiting--;
    return entry;
}

static void drop_waiting(struct warren_group *g)
{
    while (g->waiting_count > 0) {
        free(take_waiting(g));
        g->dropped++;
    }
    pool_withdraw(&g->work);
    condition_broadcast(&g->changed);
}

static void cancel(struct warren_group *g)
{
    atomic_store_explicit(&g->cancelled, true, memory_order_release);
    drop_waiting(g);
    if (g->job->source->semaphores) /* in whose line a function may wait */
        semaphores_look(g->job->source->semaphores);
}

/* @return false: none may begin */
static bool take(struct warren_group *g, struct warren_group_call *call)
{
    struct group_entry *entry;

    if (may_begin(g) && group_is_cancelled(g))
        drop_waiting(g);
    if (!may_begin(g))
        return false;
    entry = take_waiting(g);
    call->group = g;
    call->entry = *entry;
    free(entry);
    call->groups = (struct group_owner){NULL, 0};
    call->panicked = false;
    if (g->job->worker)
        call->thread = (pid_t)syscall(SYS_gettid);
    list_push(&g->running, &call->link);
    g->running_count++;
    g->pool->functions++;
    return true;
}

/* @beside: on a thread of the pool, which looks for more by itself. */
static void finish(struct warren_group_call *call, bool beside)
{
    struct warren_group *g = call->group;

    list_remove(&call->link);
    g->running_count--;
    if (call->panicked || call->status != WARREN_OK) {
        note_failure(g, call);
        if (call->panicked || g->errors == WARREN_GROUP_FIRST)
            cancel(g);
    }
    if (may_begin(g) && beside)
        pool_keep(g->pool, &g->work);
    else if (may_begin(g))
        pool_offer(g->pool, &g->work);
    condition_broadcast(&g->changed);
}

/* The lock is given up while it runs. */
static void run_next(struct warren_group *g, bool beside)
{
    struct flight_worker *worker = beside ? g->job->worker : NULL;
    struct pool *pool = g->pool;
    struct warren_group_call call;

    if (!take(g, &call))
        return;
    if (may_begin(g))
        pool_keep(pool, &g->work);
    else
        pool_withdraw(&g->work);
    pool_unlock(pool);
    if (worker)
        fault_beside(worker);
    group_call_run(&call);
    if (worker)
        fault_beside(NULL);
    pool_lock(pool);
    finish(&call, beside);
}

static void run_beside(struct pool_work *work)
{
    run_next((struct warren_group *)(void *)work, true);
}

/* ---- waiting: under the lock, which is given up meanwhile ---- */

/* If the hard limit passes, it is that function which tells where it is. */
static void sleep_until_changed(struct warren_group *g)
{
    struct flight_worker *worker = g->job->worker;

    if (worker && !list_empty(&g->running))
        atomic_store(&worker->waits_for,
                     list_entry(g->running.next, struct warren_group_call, link)->thread);
    condition_wait(&g->changed, &g->pool->lock);
    if (worker)
        atomic_store(&worker->waits_for, 0);
}

/* With what can be done at once. */
static void go_on(struct warren_group *g)
{
    if (may_begin(g))
        run_next(g, false);
    else
        sleep_until_changed(g);
}

static void await_all(struct warren_group *g)
{
    while (g->running_count > 0 || g->waiting_count > 0)
        go_on(g);
    g->unseen = false;
}

/* ---- life ---- */

static enum warren_status make(struct warren_job *job, struct warren_group_call *parent,
                               uint32_t limit, enum warren_group_errors errors,
                               struct warren_group **ret_group)
{
    struct group_owner *owner = parent ? &parent->groups : &job->groups;
    struct pool *pool = job->source->pool;
    struct warren_group *g;

    if (!ret_group || (errors != WARREN_GROUP_FIRST && errors != WARREN_GROUP_ALL))
        return WARREN_EINVAL;
    if (!pool || !job->runs || forked_since(job->forks))
        return WARREN_ECLOSED;
    if (owner->count == WARREN_GROUPS_MAX)
        return WARREN_EFULL;
    g = calloc(1, sizeof *g);
    if (!g)
        return WARREN_ENOMEM;
    list_init(&g->work.link);
    g->work.run = run_beside;
    g->pool = pool;
    g->job = job;
    g->parent = parent;
    g->limit = limit;
    g->errors = errors;
    condition_init(&g->changed);
    list_init(&g->running);
    g->next = owner->first;
    owner->first = g;
    owner->count++;
    *ret_group = g;
    return WARREN_OK;
}

enum warren_status warren_group_new(struct warren_job *job, uint32_t limit,
                                    enum warren_group_errors errors,
                                    struct warren_group **ret_group)
{
    return job ? make(job, NULL, limit, errors, ret_group) : WARREN_EINVAL;
}

enum warren_status warren_group_within(struct warren_group_call *call, uint32_t limit,
                                       enum warren_group_errors errors,
                                       struct warren_group **ret_group)
{
    return call ? make(call->group->job, call, limit, errors, ret_group) : WARREN_EINVAL;
}

static void group_free(struct warren_group *g)
{
    for (size_t i = 0; i < g->failure_count; i++)
        free((char *)(uintptr_t)g->failures[i].error);
    free(g->failures);
    free(g->panic);
    condition_done(&g->changed);
    free(g);
}

/* ---- at work ---- */

static void add(struct warren_group *g, struct group_entry *entry)
{
    entry->index = g->added++;
    if (g->waiting_count > 0)
        g->last->next = entry;
    else
        g->first = entry;
    g->last = entry;
    g->waiting_count++;
    g->pool->waiting++;
    g->unseen = true;
    if (g->limit == 0 || g->running_count + g->waiting_count <= g->limit)
        pool_offer(g->pool, &g->work);
}

enum warren_status warren_group_run(struct warren_group *g, warren_group_fn *run, void *user)
{
    struct group_entry *entry;
    bool closed;

    if (!g || !run)
        return WARREN_EINVAL;
    if (is_inherited(g))
        return WARREN_ECLOSED;
    entry = malloc(sizeof *entry);
    if (!entry)
        return WARREN_ENOMEM;
    *entry = (struct group_entry){.run = run, .user = user};
    pool_lock(g->pool);
    while (g->waiting_count == WARREN_GROUP_WAITING_MAX && !group_is_cancelled(g))
        go_on(g);
    closed = group_is_cancelled(g);
    if (!closed)
        add(g, entry);
    pool_unlock(g->pool);
    if (closed)
        free(entry);
    return closed ? WARREN_ECLOSED : WARREN_OK;
}

void warren_group_cancel(struct warren_group *g)
{
    if (!g || is_inherited(g))
        return;
    pool_lock(g->pool);
    cancel(g);
    pool_unlock(g->pool);
}

/* ---- how it ended ---- */

/* All of it has. */
static enum warren_status status_of(const struct warren_group *g)
{
    if (g->status != WARREN_OK || g->dropped == 0)
        return g->status;
    return warren_job_cancelled(g->job) ? WARREN_ETIMEOUT : WARREN_ECLOSED;
}

static void write_reason(const struct warren_group *g, enum warren_status status,
                         char text[JOB_ERROR_SIZE])
{
    const struct warren_group_failure *first = g->failure_count > 0 ? g->failures : NULL;

    if (g->status == WARREN_OK)
        snprintf(text, JOB_ERROR_SIZE, "%zu of %zu functions of a group were not begun: %s",
                 g->dropped, g->added,
                 status == WARREN_ETIMEOUT ? "the job was cancelled" : "it was cancelled");
    else if (first && first->error)
        snprintf(text, JOB_ERROR_SIZE, "%s", first->error);
    else
        snprintf(text, JOB_ERROR_SIZE, "a function of a group failed: %s",
                 warren_status_name(status));
}

/* To whoever waited. */
static void say(struct warren_group *g, const char *text)
{
    if (g->parent)
        warren_group_fail(g->parent, "%s", text);
    else
        warren_job_fail(g->job, "%s", text);
}

static void panic(struct warren_group *g) __attribute__((noreturn));
static void panic(struct warren_group *g)
{
    const char *text = g->panic ? g->panic : "a function of a group panicked";

    if (!g->parent)
        warren_panic(g->job, "%s", text);
    say(g, text);
    group_call_panic(g->parent);
}

enum warren_status warren_group_wait(struct warren_group *g)
{
    char text[JOB_ERROR_SIZE];
    enum warren_status status;

    if (!g)
        return WARREN_EINVAL;
    if (is_inherited(g))
        return WARREN_ECLOSED;
    pool_lock(g->pool);
    await_all(g);
    pool_unlock(g->pool);
    if (g->panicked)
        panic(g);
    status = status_of(g);
    if (status != WARREN_OK) {
        write_reason(g, status, text);
        say(g, text);
    }
    return status;
}

const struct warren_group_failure *warren_group_failures(const struct warren_group *g,
                                                         size_t *ret_count)
{
    bool none = !g || g->unseen;

    *ret_count = none ? 0 : g->failure_count;
    return none ? NULL : g->failures;
}

/* ---- those that nobody has waited for ---- */

static enum groups_end end_group(struct warren_group *g, char text[JOB_ERROR_SIZE])
{
    char reason[JOB_ERROR_SIZE];
    bool unfinished;

    pool_lock(g->pool);
    unfinished = g->running_count > 0 || g->waiting_count > 0;
    if (unfinished)
        cancel(g);
    await_all(g);
    pool_unlock(g->pool);
    if (g->panicked) {
        snprintf(text, JOB_ERROR_SIZE, "%s", g->panic ? g->panic : "a function panicked");
        return GROUPS_PANICKED;
    }
    if (!unfinished && status_of(g) == WARREN_OK)
        return GROUPS_DONE;
    reason[0] = '\0';
    if (status_of(g) != WARREN_OK)
        write_reason(g, status_of(g), reason);
    snprintf(text, JOB_ERROR_SIZE, "the %s returned before it had waited for its group%s%.900s",
             g->parent ? "function" : "handler", *reason ? ": " : "", reason);
    return GROUPS_LEFT;
}

enum groups_end groups_end(struct group_owner *owner, const struct warren_group *until,
                           char text[JOB_ERROR_SIZE])
{
    enum groups_end end = GROUPS_DONE;
    char its[JOB_ERROR_SIZE];

    while (owner->first != until) {
        struct warren_group *g = owner->first;
        enum groups_end its_end = g->unseen ? end_group(g, its) : GROUPS_DONE;

        if (its_end > end) {
            end = its_end;
            memcpy(text, its, strlen(its) + 1);
        }
        owner->first = g->next;
        owner->count--;
        group_free(g);
    }
    return end;
}

enum warren_outcome job_groups_ended(struct warren_job *job, const struct warren_group *until,
                                     enum warren_outcome outcome, bool panics)
{
    char text[JOB_ERROR_SIZE];
    enum groups_end end = groups_end(&job->groups, until, text);

    if (end == GROUPS_PANICKED && panics)
        warren_panic(job, "%s", text);
    if (end == GROUPS_DONE || outcome != WARREN_ACK)
        return outcome;
    warren_job_fail(job, "%s", text);
    return WARREN_RETRY;
}

/* They stay, for a middleware further out may have made one of them, and ask for it. */
void job_groups_drop(struct warren_job *job)
{
    char text[JOB_ERROR_SIZE];

    for (struct warren_group *g = job->groups.first; g; g = g->next)
        if (g->unseen)
            end_group(g, text);
}
