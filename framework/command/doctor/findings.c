/* findings.c - see findings.h. */
#include "command/doctor/findings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "command/cli/print.h"

/* Longer texts are cut: a name has at most 255 bytes, a sentence some of them. */
#define TEXT_MAX 2048

/* Columns of the name of a check. */
#define NAME_WIDTH 20

static const struct {
    const char *name;
    const char *colour;
} levels[FINDING_LEVELS] = {
    [FINDING_OK] = {"ok", "\033[32m"},
    [FINDING_WARN] = {"warn", "\033[1;33m"},
    [FINDING_FAIL] = {"fail", "\033[1;31m"},
};

const char *finding_level_name(enum finding_level level)
{
    return levels[level].name;
}

void findings_init(struct findings *findings)
{
    *findings = (struct findings){0};
    arena_init(&findings->arena);
}

void findings_done(struct findings *findings)
{
    arena_done(&findings->arena);
    free(findings->items);
    findings->items = NULL;
}

static struct finding *new_item(struct findings *findings)
{
    size_t room = findings->room ? 2 * findings->room : 64;
    struct finding *items = findings->items;

    if (findings->count == findings->room) {
        items = realloc(items, room * sizeof *items);
        if (!items)
            return NULL;
        findings->items = items;
        findings->room = room;
    }
    return &items[findings->count++];
}

static const char *copy(struct findings *findings, const char *text)
{
    return text ? arena_copy(&findings->arena, text, strlen(text)) : NULL;
}

void findings_add(struct findings *findings, const char *check, enum finding_level level,
                  const char *advice, const char *format, ...)
{
    struct finding *finding = new_item(findings);
    char text[TEXT_MAX];
    va_list arguments;

    findings->counts[level]++;
    if (!finding) {
        findings->no_memory = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    *finding = (struct finding){check, level, copy(findings, text), copy(findings, advice)};
    if (!finding->text)
        finding->text = "no memory for the text";
    if (findings->told)
        findings->told(findings->user, finding);
}

bool findings_has_trouble(const struct findings *findings, const char *check)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].level != FINDING_OK && strcmp(findings->items[i].check, check) == 0)
            return true;
    return false;
}

/* ---- printing ---- */

/* Names may hold what a terminal would obey. */
static void write_text(FILE *out, const char *text)
{
    cli_write_safe(out, text, strlen(text));
    putc('\n', out);
}

void finding_write(FILE *out, const struct finding *finding, bool colour)
{
    const char *name = levels[finding->level].name;

    fprintf(out, "%s%-4s%s  %-*s  ", colour ? levels[finding->level].colour : "", name,
            colour ? "\033[0m" : "", NAME_WIDTH, finding->check);
    write_text(out, finding->text);
    if (!finding->advice)
        return;
    fprintf(out, "%*s> ", NAME_WIDTH + 8, "");
    write_text(out, finding->advice);
}

void findings_write_summary(FILE *out, const struct findings *findings)
{
    const size_t *counts = findings->counts;

    fprintf(out, "%zu ok, %zu warning%s, %zu failed\n", counts[FINDING_OK], counts[FINDING_WARN],
            counts[FINDING_WARN] == 1 ? "" : "s", counts[FINDING_FAIL]);
}

void findings_print_json(const struct findings *findings)
{
    json_t *checks = json_array();

    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];

        json_array_append_new(
            checks,
            json_pack("{s:s, s:s, s:o, s:o}", "check", finding->check, "level",
                      finding_level_name(finding->level), "text", cli_json_text(finding->text),
                      "do", finding->advice ? cli_json_text(finding->advice) : json_null()));
    }
    cli_print_json(json_pack("{s:o, s:I, s:I, s:I}", "checks", checks, "ok",
                             (json_int_t)findings->counts[FINDING_OK], "warn",
                             (json_int_t)findings->counts[FINDING_WARN], "fail",
                             (json_int_t)findings->counts[FINDING_FAIL]));
}
