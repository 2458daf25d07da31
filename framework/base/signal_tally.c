/* signal_tally.c - see signal_tally.h. */
#include "base/signal_tally.h"

#include <signal.h>

bool signals_note(struct signal_tally *tally, int signal, int64_t now_ms)
{
    int none = 0;

    if (signal == SIGHUP) {
        atomic_store(&tally->hang_up, true);
        return true;
    }
    if (atomic_compare_exchange_strong(&tally->stop, &none, signal)) {
        atomic_store(&tally->since_ms, now_ms);
        return true;
    }
    if (now_ms - atomic_load(&tally->since_ms) < SIGNALS_ONE_MS)
        return false;
    atomic_store(&tally->since_ms, now_ms);
    atomic_store(&tally->again, signal);
    return true;
}
