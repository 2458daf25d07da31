/* scratch.h - a database in memory for a transactional handler that runs without a worker: what an
 * attempt writes stays or is rolled back, and nothing outlives the process.
 * Thread: one at a time. Elsewhere: the real thing (transactor.h).
 */
#ifndef WARREN_STORE_SCRATCH_H
#define WARREN_STORE_SCRATCH_H

#include <stdbool.h>

#include <warren/status.h>

struct scratch;
struct sqlite3;

/** WARREN_OK, or WARREN_ENOMEM with @error. */
enum warren_status scratch_new(struct scratch **ret_scratch, struct warren_error *error);
/** With the handler's statements finalized. NULL is fine. */
void scratch_free(struct scratch *scratch);

struct sqlite3 *scratch_handle(struct scratch *scratch);

/** Begin a transaction, unless one is under way. @return false: no memory */
bool scratch_enter(struct scratch *scratch);
/**
 * End it, if there is one: keep what was written, or not.
 *
 * @return NULL; or why it was rolled back in spite of that, or before, which is the handler's fault
 */
const char *scratch_leave(struct scratch *scratch, bool keep);

#endif
