/* schema.h - the tables of a file of warren's, and the steps from each version to the next.
 *
 * A version once released stays as it is: what comes later is a further step. Table
 * warren_schema has a row for each step that was taken.
 * Thread: the database's.
 */
#ifndef WARREN_STORE_SCHEMA_H
#define WARREN_STORE_SCHEMA_H

#include "store/db/database.h"

/** In the file's header, so that `file` and warren know whose it is: "WRRN". */
#define SCHEMA_APPLICATION_ID 0x5752524e

/** How many steps there are: the version of a file that this warren writes. */
int64_t schema_newest(void);

/**
 * Whose file is it, and of which version?
 *
 * @ret_version  0: it is new and empty
 * @return       WARREN_OK; WARREN_ECONFIG if it is another program's or a newer warren's; or as
 *               database_fail()
 */
enum warren_status schema_look(struct database *database, int64_t *ret_version,
                               struct warren_error *error);

/** Take the steps that are missing, all or none. Several processes may try at once. */
enum warren_status schema_migrate(struct database *database, struct warren_error *error);

#endif
