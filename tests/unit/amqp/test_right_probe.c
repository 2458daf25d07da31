/* test_right_probe.c - what refusals of RabbitMQ 3.10 to 4.3 tell about a user's rights. */
#include "amqp/topology/right_probe.h"
#include "support/test.h"

#define OLD(kind, name)                                                                            \
    "ACCESS_REFUSED - access to " kind " '" name "' in vhost '/' refused for user 'u'"
#define NEW(right, kind, name)                                                                     \
    "ACCESS_REFUSED - " right " access to " kind " '" name "' in vhost '/' refused for user 'u'"

/* Whether the right is missing, or only what comes behind it. */
static void refusals_are_read(void **state)
{
    static const struct {
        struct right right;
        uint16_t code;
        const char *text;
        enum right_answer answer;
    } cases[] = {
        {{RIGHT_CONSUME, "q", NULL}, 403, OLD("queue", "q"), RIGHT_REFUSED},
        {{RIGHT_CONSUME, "q", NULL}, 403, NEW("read", "queue", "q"), RIGHT_REFUSED},
        {{RIGHT_CONSUME, "q", NULL}, 404, "NOT_FOUND - no queue 'q'", RIGHT_GRANTED},
        {{RIGHT_CONSUME, "q", NULL},
         406,
         "PRECONDITION_FAILED - invalid arg 'x-priority' for queue 'q'",
         RIGHT_GRANTED},
        {{RIGHT_PUBLISH, "x", NULL}, 403, OLD("exchange", "x"), RIGHT_REFUSED},
        {{RIGHT_PUBLISH, "x", NULL}, 403, NEW("write", "exchange", "x"), RIGHT_REFUSED},
        /* It may write, and not read from the exchange that is named with it. */
        {{RIGHT_PUBLISH, "x", NULL}, 403, OLD("exchange", "amq.direct"), RIGHT_GRANTED},
        {{RIGHT_PUBLISH, "x", NULL}, 403, NEW("read", "exchange", "amq.direct"), RIGHT_GRANTED},
        {{RIGHT_PUBLISH, "amq.direct", NULL}, 403, OLD("exchange", "amq.direct"), RIGHT_REFUSED},
        {{RIGHT_PUBLISH, "amq.direct", NULL}, 403, OLD("exchange", "amq.fanout"), RIGHT_GRANTED},
        {{RIGHT_PUBLISH, "", NULL}, 403, OLD("exchange", "amq.default"), RIGHT_REFUSED},
        {{RIGHT_PUBLISH, "", NULL},
         403,
         "ACCESS_REFUSED - operation not permitted on the default exchange",
         RIGHT_GRANTED},
        {{RIGHT_PUBLISH, "x", NULL}, 404, "NOT_FOUND - no exchange 'x'", RIGHT_GRANTED},
        {{RIGHT_BIND_QUEUE, "q", "x"}, 403, OLD("exchange", "x"), RIGHT_REFUSED},
        {{RIGHT_BIND_QUEUE, "q", "x"}, 404, "NOT_FOUND - no queue 'q'", RIGHT_GRANTED},
        {{RIGHT_DECLARE_QUEUE, "q", NULL}, 403, OLD("queue", "q"), RIGHT_REFUSED},
        {{RIGHT_DECLARE_QUEUE, "q", NULL}, 406, "PRECONDITION_FAILED - x-expires", RIGHT_GRANTED},
        {{RIGHT_DECLARE_QUEUE, "q", NULL}, 0, "no answer", RIGHT_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (right_probe_read(&cases[i].right, cases[i].code, cases[i].text) != cases[i].answer)
            fail_msg("%zu: %s", i, cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
