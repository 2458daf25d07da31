/* findings.h - what the checks of `warren doctor` found, and how that is printed.
 * Thread: main. Elsewhere: the checks (doctor.h).
 */
#ifndef WARREN_COMMAND_DOCTOR_FINDINGS_H
#define WARREN_COMMAND_DOCTOR_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"

enum finding_level { FINDING_OK, FINDING_WARN, FINDING_FAIL, FINDING_LEVELS };

struct finding {
    const char *check; /* its stable name */
    enum finding_level level;
    const char *text;   /* one sentence: what was found, and where */
    const char *advice; /* what to do; NULL: nothing */
};

struct findings {
    struct arena arena;
    struct finding *items;
    size_t count;
    size_t room;
    size_t counts[FINDING_LEVELS];
    bool no_memory; /* something was found that is not in it */
    void (*told)(void *user, const struct finding *finding); /* of each, at once; may be NULL */
    void *user;
};

void findings_init(struct findings *findings);
void findings_done(struct findings *findings);

/** Add a finding of @check, which is borrowed; @advice is copied. */
void findings_add(struct findings *findings, const char *check, enum finding_level level,
                  const char *advice, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
#define findings_ok(findings, check, ...)                                                          \
    findings_add(findings, check, FINDING_OK, NULL, __VA_ARGS__)
#define findings_warn(findings, check, advice, ...)                                                \
    findings_add(findings, check, FINDING_WARN, advice, __VA_ARGS__)
#define findings_fail(findings, check, advice, ...)                                                \
    findings_add(findings, check, FINDING_FAIL, advice, __VA_ARGS__)

/** Something of @check is not as it should be. */
bool findings_has_trouble(const struct findings *findings, const char *check);

/** "ok", "warn", "fail" */
const char *finding_level_name(enum finding_level level);

/** "fail  clock  TEXT" and, below, what to do; @colour as cli_colour() says. */
void finding_write(FILE *out, const struct finding *finding, bool colour);
/** "12 ok, 1 warning, 0 failed" */
void findings_write_summary(FILE *out, const struct findings *findings);
/** All of it as one JSON object on standard output. */
void findings_print_json(const struct findings *findings);

#endif
