/* topology_view.h - the topology of a configuration against that of its broker: by the management
 * API, which tells all of it, or by what AMQP can tell.
 * Thread: main; blocks. Elsewhere: the comparison (amqp/topology/topology_diff.h), what is printed
 * of it (topology_print.h), what is done about it (topology_apply.h).
 */
#ifndef WARREN_COMMAND_TOPOLOGY_VIEW_H
#define WARREN_COMMAND_TOPOLOGY_VIEW_H

#include "amqp/topology/topology_diff.h"
#include "command/topology/management.h"
#include "command/topology/topology_wanted.h"

/** A broker's address, or that of its API. */
#define TOPOLOGY_WHERE_SIZE 1024

struct topology_view {
    struct arena arena;
    struct management *management;   /* NULL: not asked */
    bool whole;                      /* all was seen */
    char why[WARREN_ERROR_TEXT_MAX]; /* else: why not */
    char where[TOPOLOGY_WHERE_SIZE]; /* who told, or is to be asked */
    char vhost[URI_PART_MAX];
    struct management_topology found; /* if whole */
    struct topology_wanted wanted;
    struct topology_steps steps;
};

/**
 * Ask the management API, and compare.
 *
 * @view    whole, with steps; or not, without, and why: no address, not reached, refused, malformed
 * @config  borrowed until topology_view_done()
 * @return  WARREN_OK; WARREN_ECONFIG (a file that cannot be read, an address without HTTP),
 *          WARREN_ENOMEM, with @error
 */
enum warren_status topology_view_init(struct topology_view *view, const struct config *config,
                                      struct warren_error *error);

/**
 * For one that is not whole: what AMQP tells, as steps. Nothing is declared.
 *
 * @return WARREN_OK; as broker_check(), with @error
 */
enum warren_status topology_view_ask_amqp(struct topology_view *view, const struct config *config,
                                          struct warren_error *error);

/** Zeroed is fine. */
void topology_view_done(struct topology_view *view);

#endif
