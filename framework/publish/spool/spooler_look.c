/* spooler_look.c - what others did to the refused messages of the file: an operator removes them,
 * or puts them in line again under new ids. Their number is known but for that, so it tells.
 */
#include "publish/spool/spooler_private.h"

void spooler_take_totals(struct spooler *s, const struct spool_totals *totals)
{
    s->bytes = totals->bytes;
    for (struct list *link = s->tickets.next; link != &s->tickets; link = link->next)
        s->bytes += list_entry(link, struct spool_ticket, link)->bytes;
    s->messages = totals->messages;
    s->refused = totals->refused;
    s->last_id = s->counted_id = totals->last_id;
}

void spooler_look(struct spooler *s)
{
    struct warren_error error;
    struct spool_totals totals;
    int64_t refused;

    if (spool_count_refused(s->spool, &refused, &error) != WARREN_OK || refused == s->refused ||
        spool_count(s->spool, &totals, &error) != WARREN_OK)
        return;
    pthread_mutex_lock(&s->lock);
    /* What was appended, and told, since they were counted would be forgotten: next time. */
    if (s->others_id <= totals.last_id) {
        spooler_take_totals(s, &totals);
        s->backlog = true;
        condition_broadcast(&s->room_cond);
    }
    pthread_mutex_unlock(&s->lock);
}
