/* test_log_event.c - base/log_event.h; what becomes of a line is the test's. */
#include "base/log_event.h"
#include "support/test.h"

static bool enabled = true;
static char written[LOG_LINE_MAX];

bool log_enabled(enum warren_log_level level)
{
    (void)level;
    return enabled;
}

void log_end(struct log_line *line)
{
    const char *event = NULL;

    line->text[line->len] = '\0';
    event = strstr(line->text, "level=");
    assert_non_null(event);
    snprintf(written, sizeof written, "%s", event);
}

/* Fields stand in their order; what has no value, or is not to be there, is left out. */
static void fields_in_their_order(void **state)
{
    (void)state;
    log_event(WARREN_LOG_WARN, "seen", LOG_TEXT("queue", "bills"), LOG_TEXT("reason", NULL),
              LOG_INT("code", UINT16_MAX), LOG_INT_IF(false, "times", 1),
              LOG_INT_IF(true, "waiting", -2), LOG_BYTES("id", warren_text("a b")));
    assert_string_equal(written,
                        "level=warn msg=seen queue=bills code=65535 waiting=-2 id=\"a b\"");
}

static void nothing_below_the_level(void **state)
{
    (void)state;
    enabled = false;
    written[0] = '\0';
    log_event(WARREN_LOG_DEBUG, "seen", LOG_INT("code", 1));
    assert_string_equal(written, "");
    enabled = true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_in_their_order),
        cmocka_unit_test(nothing_below_the_level),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
