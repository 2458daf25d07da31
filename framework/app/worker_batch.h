/* worker_batch.h - what `batch:` of a subscription needs of its handler. Thread: main. */
#ifndef WARREN_APP_WORKER_BATCH_H
#define WARREN_APP_WORKER_BATCH_H

#include "app/worker_setup.h"

/** WARREN_OK; WARREN_ECONFIG with @error: the handler takes no batches. */
enum warren_status worker_batch_check(const struct worker_setup *setup, struct warren_error *error);

#endif
