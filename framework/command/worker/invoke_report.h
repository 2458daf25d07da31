/* invoke_report.h - how an attempt of `warren invoke` went, for people and as JSON. Thread: any. */
#ifndef WARREN_COMMAND_INVOKE_REPORT_H
#define WARREN_COMMAND_INVOKE_REPORT_H

#include <stdio.h>

#include <warren/testing.h>

#include "command/dump/dump.h"

/** All borrowed. */
struct invoke_report {
    const struct dump_message *dump;
    const struct warren_test *test;
    const char *handler; /* "PLUGIN.HANDLER" */
    const struct warren_test_attempt *attempt;
    int64_t took_us; /* by the real clock */
};

void invoke_report_text(const struct invoke_report *report, FILE *out);
/** One line on stdout. @return WARREN_OK; WARREN_ENOMEM or WARREN_EINVAL */
enum warren_status invoke_report_json(const struct invoke_report *report);

#endif
