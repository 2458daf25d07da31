#include "consume/job/edition.h"

#include <stdlib.h>

enum warren_status edition_init(struct edition *edition, const struct chain_member *members,
                                size_t count, const struct warren_handler *handler, void *state)
{
    enum warren_status status = chain_init(&edition->chain, members, count, false, handler, state);

    if (status == WARREN_OK && edition->batch.size > 0)
        chain_take_batches(&edition->chain);
    return status == WARREN_OK ? returned_publish_init(&edition->returned_publish, members, count)
                               : status;
}

void edition_done(struct edition *edition)
{
    chain_done(&edition->chain);
    chain_done(&edition->returned_publish);
    free(edition->wants);
    edition->wants = NULL;
    edition->want_count = 0;
}
