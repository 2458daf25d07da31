/* command_project.h - the command that makes a project for a handler. */
#ifndef WARREN_COMMAND_PROJECT_H
#define WARREN_COMMAND_PROJECT_H

#include "command/cli/cli.h"

extern const struct command command_new;

#endif
