/* weights.c - see weights.h. */
#include "base/weights.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void weights_init(struct weights *w)
{
    *w = (struct weights){.semaphores = NULL};
    list_init(&w->line);
    list_init(&w->granted);
}

void weights_done(struct weights *w)
{
    assert(list_empty(&w->line));
    free(w->semaphores);
    w->semaphores = NULL;
    w->count = 0;
}

bool weights_reserve(struct weights *w, size_t count)
{
    struct weights_semaphore *semaphores = realloc(w->semaphores, count * sizeof *semaphores);

    if (!semaphores)
        return count == 0;
    memset(semaphores + w->count, 0, (count - w->count) * sizeof *semaphores);
    w->semaphores = semaphores;
    w->count = count;
    return true;
}

uint64_t weights_place(struct weights *w)
{
    return ++w->place;
}

/* ---- turns ---- */

static bool fits(const struct weights *w, const struct weights_claim *claim)
{
    for (size_t i = 0; i < claim->count; i++) {
        const struct weights_semaphore *semaphore = &w->semaphores[claim->wants[i].semaphore];

        if (semaphore->blocked == w->turn ||
            semaphore->used + claim->wants[i].weight > semaphore->size)
            return false;
    }
    return true;
}

static void hold(struct weights *w, const struct weights_claim *claim)
{
    for (size_t i = 0; i < claim->count; i++)
        w->semaphores[claim->wants[i].semaphore].used += claim->wants[i].weight;
}

/* Nobody behind @claim may have any of what it wants. @return semaphores that are newly so */
static size_t block(struct weights *w, const struct weights_claim *claim)
{
    size_t blocked = 0;

    for (size_t i = 0; i < claim->count; i++) {
        struct weights_semaphore *semaphore = &w->semaphores[claim->wants[i].semaphore];

        blocked += semaphore->blocked != w->turn;
        semaphore->blocked = w->turn;
    }
    return blocked;
}

/* Whoever may go now, in the order of the line. */
static void turn(struct weights *w)
{
    size_t blocked = 0;

    w->turn++;
    LIST_EACH(link, &w->line) {
        struct weights_claim *claim = list_entry(link, struct weights_claim, link);

        if (fits(w, claim)) {
            hold(w, claim);
            claim->waits = false;
            list_remove(link);
            list_push(&w->granted, link);
        } else {
            blocked += block(w, claim);
        }
        if (blocked == w->count)
            break;
    }
}

/* Behind those with the same or a lower place; as a rule that is the end. */
static void stand(struct weights *w, struct weights_claim *claim)
{
    struct list *before = w->line.prev;

    while (before != &w->line &&
           list_entry(before, struct weights_claim, link)->place > claim->place)
        before = before->prev;
    list_push_front(before, &claim->link);
    claim->waits = true;
}

/* ---- what is asked ---- */

bool weights_take(struct weights *w, struct weights_claim *claim)
{
    stand(w, claim);
    turn(w);
    if (claim->waits)
        return false;
    list_remove(&claim->link);
    return true;
}

void weights_drop(struct weights *w, struct weights_claim *claim)
{
    (void)w;
    claim->waits = false;
    list_remove(&claim->link);
}

void weights_leave(struct weights *w, struct weights_claim *claim)
{
    if (!claim->waits)
        return;
    weights_drop(w, claim);
    turn(w);
}

void weights_give(struct weights *w, const struct weights_want *wants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct weights_semaphore *semaphore = &w->semaphores[wants[i].semaphore];

        assert(semaphore->used >= wants[i].weight);
        semaphore->used -= wants[i].weight;
    }
    turn(w);
}

void weights_resize(struct weights *w, uint32_t semaphore, uint64_t size)
{
    w->semaphores[semaphore].size = size;
    turn(w);
}

struct weights_claim *weights_next_granted(struct weights *w)
{
    struct list *link = list_pop(&w->granted);

    return link ? list_entry(link, struct weights_claim, link) : NULL;
}
