/* test_troff.c - texts as man(7) source. */
#include <stdlib.h>
#include <string.h>

#include "manual/troff.h"
#include "support/test.h"

static char text[4096];

static FILE *begin(void)
{
    memset(text, 0, sizeof text);
    return fmemopen(text, sizeof text, "w");
}

static void assert_words(const char *from, const char *to)
{
    FILE *out = begin();

    troff_words(out, from, strlen(from));
    fclose(out);
    assert_string_equal(text, to);
}

static void assert_prose(const char *from, const char *to)
{
    FILE *out = begin();

    troff_prose(out, from, strlen(from), false);
    fclose(out);
    assert_string_equal(text, to);
}

/* What is to be typed has the hyphens and quotes of ASCII, and nothing becomes a request. */
static void words(void **state)
{
    (void)state;
    assert_words("plain - text, re-read", "plain - text, re-read");
    assert_words("`a-b 'c'`", "\\fBa\\-b \\(aqc\\(aq\\fR");
    assert_words("give --dry-run, or -c", "give \\fB\\-\\-dry\\-run\\fR, or \\fB\\-c\\fR");
    assert_words("well-known -- and - or x-y", "well-known -- and - or x-y");
    assert_words("is -1", "is \\-1");
    assert_words("see warren.yaml(5) and exit(3)",
                 "see \\fBwarren.yaml\\fR(5) and \\fBexit\\fR(3)");
    assert_words("warren_panic()", "warren_panic()");
    assert_words("*FILE* of 2*3*4", "\\fIFILE\\fR of 2*3*4");
    assert_words("[this](a.md#b) [n]", "this [n]");
    assert_words(".x\n'y\\0", "\\&.x\n\\&'y\\e0");
    assert_words("an `open", "an `open");
}

static void paragraphs_and_code(void **state)
{
    (void)state;
    assert_prose("one\ntwo\n\nthree\n", "one\ntwo\n.PP\nthree\n");
    assert_prose("a\n\n```yaml\n.b: -1\n```\n", "a\n.PP\n.RS 4\n.nf\n\\&.b: \\-1\n.fi\n.RE\n");
    assert_prose("a:\n  warren x\n", "a:\n.PP\n.RS 4\n.nf\nwarren x\n.fi\n.RE\n");
    assert_prose("## one two\n\na\n\n### b\n\nc\n", ".SH ONE TWO\na\n.SS b\nc\n");
    assert_prose("<!-- a\nb -->\nc\n", "c\n");
    assert_prose("- a\n  b\n- c\n", ".IP \\(bu 2\na\nb\n.IP \\(bu 2\nc\n");
    assert_prose("no end", "no end\n");
}

/* A row becomes an item: its last cell is the text, those in the middle stand before that. */
static void tables(void **state)
{
    (void)state;
    assert_prose("| k | type | meaning |\n|---|---|---|\n| `a` | x \\| y | A text. |\n",
                 ".TP\n\\fBa\\fR\ntype: x | y\n.br\nA text.\n");
    assert_prose("| k | v |\n|---|---|\n| a | b |\n| c | d |\n", ".TP\na\nb\n.TP\nc\nd\n");
    assert_prose("| k | v |\n|---|---|\n|\n| a |\n", ".TP\na\n");
}

static void assert_details(enum troff_part part, const char *to)
{
    static const char details[] = "All of\nit.\n\nMore.\n\nExit status: 0 if\nso.\n\nExample:\n"
                                  "  warren x\n";
    FILE *out = begin();

    assert_int_equal(troff_details(out, details, part, "Head"), *to != '\0');
    fclose(out);
    assert_string_equal(text, to);
}

static void details_of_help(void **state)
{
    (void)state;
    assert_details(TROFF_DESCRIPTION, ".SH HEAD\nAll of\nit.\n.PP\nMore.\n");
    assert_details(TROFF_EXIT_STATUS, ".SH HEAD\n0 if\nso.\n");
    assert_details(TROFF_EXAMPLES, ".SH HEAD\n.RS 4\n.nf\nwarren x\n.fi\n.RE\n");
    assert_false(troff_details(stdout, "Only this.\n", TROFF_EXAMPLES, "Examples"));
    assert_false(troff_details(stdout, NULL, TROFF_DESCRIPTION, "Description"));
}

static void a_synopsis(void **state)
{
    FILE *out = begin();

    (void)state;
    troff_synopsis(out, "[OPTION...] --queue NAME [all] ID...");
    fclose(out);
    assert_string_equal(text, "[\\fIOPTION\\fR...] \\fB\\-\\-queue\\fR \\fINAME\\fR [\\fBall\\fR] "
                              "\\fIID\\fR...\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),      cmocka_unit_test(paragraphs_and_code),
        cmocka_unit_test(tables),     cmocka_unit_test(details_of_help),
        cmocka_unit_test(a_synopsis),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
