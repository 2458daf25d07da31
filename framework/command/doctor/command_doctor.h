/* command_doctor.h - `warren doctor`. Thread: main. */
#ifndef WARREN_COMMAND_COMMAND_DOCTOR_H
#define WARREN_COMMAND_COMMAND_DOCTOR_H

#include "command/cli/cli.h"

extern const struct command command_doctor;

#endif
