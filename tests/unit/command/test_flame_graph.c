/* test_flame_graph.c - command/watch/flame_graph.h */
#include "command/watch/flame_graph.h"
#include "support/test.h"

static char *draw(const char *folded, enum warren_status expected, struct warren_error *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_int_equal(flame_graph_write(folded, strlen(folded), "a <title>", out, error), expected);
    fclose(out);
    return text;
}

static size_t count_of(const char *text, const char *words)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, words)); at += strlen(words))
        count++;
    return count;
}

/* Stacks with the same beginning share its boxes; each box knows its samples and its share. */
static void common_callers_are_one_box(void **state)
{
    struct warren_error error;
    char *svg = draw("w0;main;a;b 3\nw0;main;a 1\nw0;main;c 4\n", WARREN_OK, &error);

    (void)state;
    assert_int_equal(count_of(svg, "<g>"), 6); /* all, w0, main, a, b, c */
    assert_non_null(strstr(svg, "<title>main (8 samples, 100.00 %)</title>"));
    assert_non_null(strstr(svg, "<title>a (4 samples, 50.00 %)</title>"));
    assert_non_null(strstr(svg, "<title>b (3 samples, 37.50 %)</title>"));
    assert_non_null(strstr(svg, ">a &lt;title&gt;</text>"));
    free(svg);
}

/* What a function of C++, or a thread, may be called is text, and no markup. */
static void names_are_escaped(void **state)
{
    struct warren_error error;
    char *svg = draw("<script>\"&\x1b\xff;f() 1\n", WARREN_OK, &error);

    (void)state;
    assert_null(strstr(svg, "<script>"));
    assert_non_null(strstr(svg, "&lt;script&gt;&quot;&amp;?? (1 samples"));
    free(svg);
}

/* A box that nobody could see is not drawn, nor what it calls. */
static void what_is_too_narrow_is_left_out(void **state)
{
    struct warren_error error;
    char *svg = draw("t;big 1000000\nt;small;smaller 1\n", WARREN_OK, &error);

    (void)state;
    assert_non_null(strstr(svg, "big"));
    assert_null(strstr(svg, "small"));
    free(svg);
}

static void other_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "a;b\n", "a;b x\n", " 1\n", "a 0\n", "a;b 1 \n", "a 99999999999999999999\n", "\n"};
    struct warren_error error;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        free(draw(texts[i], WARREN_EINVAL, &error));
        assert_non_null(strstr(error.text, "line 1"));
    }
    free(draw("", WARREN_EINVAL, &error));
    assert_non_null(strstr(error.text, "empty"));
}

static void bounds_are_kept(void **state)
{
    struct warren_error error;
    char *deep = malloc(2 * FLAME_GRAPH_DEPTH + 16);
    char *at = deep;

    (void)state;
    for (int i = 0; i <= FLAME_GRAPH_DEPTH; i++)
        at = stpcpy(at, i > 0 ? ";a" : "a");
    stpcpy(at, " 1\n");
    free(draw(deep, WARREN_EFULL, &error));
    assert_non_null(strstr(error.text, "256"));
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_callers_are_one_box),
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(what_is_too_narrow_is_left_out),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(bounds_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
