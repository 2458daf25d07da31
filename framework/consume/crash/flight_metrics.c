/* flight_metrics.c - what the flight recorder counts, as series, when somebody reads: crashes and
 * restarts, those of the processes before included, as far as each found what its predecessor left.
 */
#include "consume/crash/crash_private.h"
#include "consume/crash/fault_signals.h"

static void put(void *user)
{
    struct flight *f = user;
    const struct flight_metrics *m = &f->metrics;

    for (unsigned i = 0; i < FLIGHT_TALLIES; i++)
        metric_put(m->tallies[i], atomic_load(&f->file.head->tallies[i]));
    metric_put(m->suspects, flight_suspects(f));
    metric_put(m->falls_in_row, atomic_load(&f->file.head->falls));
    metric_put(m->notes, flight_notes_count(&f->notes));
    metric_put(m->notes_max, f->file.head->note_count);
}

static struct warren_series *series_of(unsigned tally)
{
    switch (tally) {
    case TALLY_EXIT:
        return metric_series(METRIC_CRASHES, "none");
    case TALLY_LIMIT:
        return metric_series(METRIC_HARD_LIMITS);
    case TALLY_KILLED:
        return metric_series(METRIC_MESSAGES_KILLED);
    case TALLY_FALLS:
        return metric_series(METRIC_FALLS);
    case TALLY_RESTARTS:
        return metric_series(METRIC_RESTARTS);
    default:
        return metric_series(METRIC_CRASHES, fault_place_name(tally - TALLY_SIGNAL));
    }
}

void flight_metrics_init(struct flight *f)
{
    struct flight_metrics *m = &f->metrics;

    for (unsigned i = 0; i < FLIGHT_TALLIES; i++)
        m->tallies[i] = series_of(i);
    m->suspects = metric_series(METRIC_SUSPECTS);
    m->falls_in_row = metric_series(METRIC_FALLS_IN_ROW);
    m->notes = metric_series(METRIC_NOTES);
    m->notes_max = metric_series(METRIC_MAX_NOTES);
    m->collector = (struct metric_collector){.collect = put, .user = f};
    metrics_collect_add(&m->collector);
}

void flight_metrics_done(struct flight *f)
{
    struct flight_metrics *m = &f->metrics;

    if (!m->collector.collect)
        return;
    metrics_collect_remove(&m->collector);
    metric_release_all(m, offsetof(struct flight_metrics, collector));
}
