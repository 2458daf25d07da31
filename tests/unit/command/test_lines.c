/* test_lines.c - the lines of a descriptor, in bounded memory; and the pace they leave at. */
#include <unistd.h>

#include "command/cli/lines.h"
#include "command/cli/pacer.h"
#include "support/test.h"

struct rig {
    int pipe[2];
    struct lines lines;
};

static struct rig rig;

static void put(const char *text)
{
    assert_int_equal(write(rig.pipe[1], text, strlen(text)), strlen(text));
}

static void put_end(void)
{
    close(rig.pipe[1]);
    rig.pipe[1] = -1;
}

static void assert_line(const char *text)
{
    struct warren_bytes line;

    assert_int_equal(lines_next(&rig.lines, &line), WARREN_OK);
    assert_int_equal(line.len, strlen(text));
    assert_memory_equal(line.data, text, line.len);
}

static enum warren_status next(void)
{
    struct warren_bytes line;

    return lines_next(&rig.lines, &line);
}

static int setup(void **state)
{
    (void)state;
    if (pipe(rig.pipe) != 0)
        return -1;
    lines_init(&rig.lines, rig.pipe[0], 8);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lines_done(&rig.lines);
    close(rig.pipe[0]);
    if (rig.pipe[1] >= 0)
        close(rig.pipe[1]);
    return 0;
}

/* Empty lines are lines, an unfinished last one too, and after the end there is nothing. */
static void lines_as_written(void **state)
{
    (void)state;
    put("one\n\nthree\nlast");
    put_end();
    assert_line("one");
    assert_line("");
    assert_line("three");
    assert_line("last");
    assert_int_equal(next(), WARREN_ENOTFOUND);
    assert_int_equal(next(), WARREN_ENOTFOUND);
}

/* A newline at the end does not make one line more. */
static void no_line_behind_the_last_newline(void **state)
{
    (void)state;
    put("one\n");
    put_end();
    assert_line("one");
    assert_int_equal(next(), WARREN_ENOTFOUND);
}

/* The longest line is taken, one byte more is refused, with its newline there or not. */
static void the_bound(void **state)
{
    (void)state;
    put("12345678\n123456789\n");
    assert_line("12345678");
    assert_int_equal(next(), WARREN_ETOOBIG);
    assert_int_equal(next(), WARREN_ETOOBIG);
}

/* An endless line is refused without waiting for its end. */
static void an_unfinished_line_is_bounded(void **state)
{
    (void)state;
    put("123456789");
    assert_int_equal(next(), WARREN_ETOOBIG);
}

/* 10 a second: the first at once, then one each 100 ms. */
static void the_pace_is_kept(void **state)
{
    struct pacer pacer;
    int64_t now = 1000;

    (void)state;
    pacer_init(&pacer, 10, now);
    assert_int_equal(pacer_take(&pacer, now), 0);
    assert_int_equal(pacer_take(&pacer, now), 100000000);
    now += 100000000;
    assert_int_equal(pacer_take(&pacer, now), 100000000);
}

/* After a long pause only PACER_BURST_NS are made up for. */
static void a_pause_is_not_made_up_for(void **state)
{
    struct pacer pacer;
    int64_t now = 0;
    int at_once = 0;

    (void)state;
    pacer_init(&pacer, 1000, now);
    now += INT64_C(60000000000);
    while (pacer_take(&pacer, now) == 0)
        at_once++;
    assert_int_equal(at_once, PACER_BURST_NS / 1000000 + 1);
}

/* Without a rate nothing waits. */
static void no_rate_no_wait(void **state)
{
    struct pacer pacer;

    (void)state;
    pacer_init(&pacer, 0, 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pacer_take(&pacer, 0), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_as_written),
        TEST(no_line_behind_the_last_newline),
        TEST(the_bound),
        TEST(an_unfinished_line_is_bounded),
        cmocka_unit_test(the_pace_is_kept),
        cmocka_unit_test(a_pause_is_not_made_up_for),
        cmocka_unit_test(no_rate_no_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
