/* stored.h - what a worker's store.db holds, read from outside. Thread: the test's. */
#ifndef TESTS_SUPPORT_STORED_H
#define TESTS_SUPPORT_STORED_H

#include <stdint.h>

#include "support/worker.h"

/** The first column of the first row that @sql gives, or -1. */
int64_t stored_number(const struct worker *worker, const char *sql);
/** The same as text, or NULL; the caller frees. */
char *stored_text(const struct worker *worker, const char *sql);

#endif
