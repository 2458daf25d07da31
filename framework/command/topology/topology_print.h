/* topology_print.h - a plan for people.
 * Thread: main. Elsewhere: what is in it (topology_view.h), as JSON (topology_json.h).
 */
#ifndef WARREN_COMMAND_TOPOLOGY_PRINT_H
#define WARREN_COMMAND_TOPOLOGY_PRINT_H

#include "command/topology/topology_view.h"

/** One step: a line with its mark, and what differs in lines below. */
void topology_print_step(const struct topology_step *step);
/** All steps of a plan, where they are from, what was not seen, and how many of each kind. */
void topology_print_plan(const struct topology_view *view);

/** What to do about a DIFFERENT one, in a sentence. */
const char *topology_remedy(const struct topology_step *step);

/** How many steps are changes: see topology_step_is_change(). */
size_t topology_changes(const struct topology_view *view);

#endif
