/* command_watch.h - the commands that look at running workers. */
#ifndef WARREN_COMMAND_WATCH_H
#define WARREN_COMMAND_WATCH_H

#include "command/cli/cli.h"

extern const struct command command_profile;
extern const struct command command_reload;
extern const struct command command_top;

#endif
