/* census.h - how much is in a file, for people. Thread: the database's. */
#ifndef WARREN_STORE_CENSUS_H
#define WARREN_STORE_CENSUS_H

#include "store/db/database.h"

/** Counts of rows; times in ms since 1970, of no meaning if nothing is done. */
struct census {
    int64_t done; /* keys of messages that were handled */
    int64_t oldest_ms;
    int64_t newest_ms;
    int64_t claimed; /* keys of messages being handled, where processes share the file */
    int64_t spooled; /* messages that wait for the broker */
};

/** Count. Status as database_fail(). */
enum warren_status census_take(struct database *database, struct census *census,
                               struct warren_error *error);

#endif
