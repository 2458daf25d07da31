/* topology_json.h - a plan as JSON. Thread: main. Elsewhere: for people (topology_print.h).
 */
#ifndef WARREN_COMMAND_TOPOLOGY_JSON_H
#define WARREN_COMMAND_TOPOLOGY_JSON_H

#include <jansson.h>

#include "command/topology/topology_view.h"

/** {"kind": "queue", "name": ..., ...} with what is declared of it. */
json_t *topology_json_item(const struct declare_item *item);
/** The whole plan. */
json_t *topology_json_plan(const struct topology_view *view);

#endif
