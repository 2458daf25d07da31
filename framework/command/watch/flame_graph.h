/* flame_graph.h - folded stacks as an SVG picture: a box for each function, as wide as its share of
 * the samples, above the one that called it. A box tells its name and share when pointed at.
 * Source of the form: Brendan Gregg, "The Flame Graph", CACM 59 (2016).
 * Thread: any. Elsewhere: where the stacks come from (observe/profile.h).
 */
#ifndef WARREN_COMMAND_FLAME_GRAPH_H
#define WARREN_COMMAND_FLAME_GRAPH_H

#include <stddef.h>
#include <stdio.h>

#include <warren/status.h>

/** Boxes of a picture, and calls that a stack may have: a file with more is refused. */
#define FLAME_GRAPH_BOXES 200000
#define FLAME_GRAPH_DEPTH 256

/**
 * Write the picture of @folded (lines "outermost;...;innermost COUNT") to @out.
 *
 * @return WARREN_OK; WARREN_EINVAL: line N is none, or there are none; WARREN_EFULL: a bound;
 *         WARREN_ENOMEM; with @error. Whether @out took it is ferror(3)'s to say.
 */
enum warren_status flame_graph_write(const char *folded, size_t len, const char *title, FILE *out,
                                     struct warren_error *error);

#endif
