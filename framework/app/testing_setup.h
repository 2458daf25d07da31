/* testing_setup.h - from struct warren_test_options to one subscription that is open and can run.
 * Thread: the test's. Elsewhere: running it (testing.c).
 */
#ifndef WARREN_APP_TESTING_SETUP_H
#define WARREN_APP_TESTING_SETUP_H

#include <warren/testing.h>

#include "app/testing_store.h"
#include "app/worker_subscriptions.h"
#include "consume/job/chain.h"
#include "store/writer/scratch.h"

/** All zero: empty. */
struct testing_setup {
    struct worker_setup worker; /* with one subscription */
    size_t own_count;           /* the first plugins of the registry: those not from the file */
    struct scratch *scratch;    /* for a transactional handler; else NULL */
    struct testing_store store; /* with idempotency in the chain */
    struct open_subscriptions *open;
    const struct runtime_subscription *subscription;
    struct chain chain;
    struct chain batches; /* the same for `handle_batch` */
    struct chain returned_publish;
    struct config **reloaded; /* whose options may be in force */
    size_t reload_count;
};

/**
 * testing_setup_done() in any case. @setup must stay where it is.
 *
 * @by_hand  see testing_new()
 * @return   as warren_test_new()
 */
enum warren_status testing_setup_init(struct testing_setup *setup,
                                      const struct warren_test_options *options, bool by_hand,
                                      struct warren_error *error);
/** As warren_test_reload(). */
enum warren_status testing_setup_reload(struct testing_setup *setup, const char *chain,
                                        struct warren_error *error);
void testing_setup_done(struct testing_setup *setup);

#endif
