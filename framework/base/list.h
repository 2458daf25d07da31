/* list.h - a doubly linked list whose links live inside the elements.
 * Thread: none of its own; whoever owns the list guards it.
 */
#ifndef WARREN_BASE_LIST_H
#define WARREN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev;
    struct list *next;
};

/** The element of @type whose member @member is at @link. */
#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared stands in none. */
/** For each @link of the list @head, in order; the present one may be taken out of it meanwhile. */
#define LIST_EACH(link, head)                                                                      \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(struct list *list)
{
    list->prev = list->next = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_push(struct list *list, struct list *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

static inline void list_push_front(struct list *list, struct list *link)
{
    list_push(list->next, link);
}

/** Take @link out of its list; harmless to repeat. */
static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/** The first link, taken out, or NULL. */
static inline struct list *list_pop(struct list *list)
{
    struct list *link = list->next;

    if (link == list)
        return NULL;
    list->next = link->next;
    link->next->prev = list;
    list_init(link);
    return link;
}

/** Move all of @from to the end of @to. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
