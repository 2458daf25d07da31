/* testing_store.h - where a test remembers the keys of messages that were handled: a store as the
 * worker's, in a temporary file that ends with the test.
 * Thread: the test's.
 */
#ifndef WARREN_APP_TESTING_STORE_H
#define WARREN_APP_TESTING_STORE_H

#include "store/writer/key_writer.h"

/** All zero: none. */
struct testing_store {
    char *directory;
    char *file;
    struct key_writer *key_writer;
};

/** WARREN_OK; WARREN_EIO or WARREN_ENOMEM with @error. testing_store_done() in any case. */
enum warren_status testing_store_open(struct testing_store *store, struct warren_error *error);
/** After the middlewares are closed; key_writer_stop() before. */
void testing_store_done(struct testing_store *store);

#endif
