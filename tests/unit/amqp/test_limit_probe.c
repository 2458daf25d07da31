/* test_limit_probe.c - what refusals of RabbitMQ 3.10 to 4.3 tell about a queue's delivery limit.
 */
#include "amqp/topology/limit_probe.h"
#include "support/test.h"

#define REFUSED  "PRECONDITION_FAILED - inequivalent arg "
#define OF_QUEUE " for queue 'q' in vhost '/': "
#define LIMIT    REFUSED "'x-delivery-limit'" OF_QUEUE

#define STANDING 20

/* The limit itself, however it is put; and what can have none. */
static void a_limit_is_read(void **state)
{
    static const struct {
        const char *text;
        int64_t limit;
    } cases[] = {
        {LIMIT "received the value '?' of type 'longstr' but current is none", STANDING},
        {LIMIT "received '?' but current is '5'", 5},
        {LIMIT "received '?' but current is '0'", 0},
        {LIMIT "received '?' but current is the value '7' of type 'long'", 7},
        {LIMIT "received '?' but current is '1000000000'", LIMIT_NONE},
        {LIMIT "received '?' but current is '-1'", LIMIT_NONE},
        {LIMIT "received '?' but current is 'many'", LIMIT_UNKNOWN},
        {LIMIT "received '?' but curr", LIMIT_UNKNOWN}, /* 255 bytes were over */
        {REFUSED "'x-queue-type'" OF_QUEUE "received 'quorum' but current is 'classic'",
         LIMIT_NONE},
        {REFUSED "'durable'" OF_QUEUE "received 'true' but current is 'false'", LIMIT_NONE},
        {"PRECONDITION_FAILED - invalid arg 'x-max-age'" OF_QUEUE, LIMIT_UNKNOWN},
        {"", LIMIT_UNKNOWN},
    };
    struct warren_field added;
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(limit_probe_read(cases[i].text, STANDING, &arena, &added), cases[i].limit);
        assert_null(added.name);
    }
    arena_done(&arena);
}

static struct warren_field read_added(struct arena *arena, const char *text)
{
    struct warren_field added;

    assert_int_equal(limit_probe_read(text, STANDING, arena, &added), LIMIT_UNKNOWN);
    return added;
}

/* Another argument comes first: it is to be asked with, whatever its value looks like. */
static void another_argument_is_added(void **state)
{
    struct warren_field added;
    struct arena arena;

    (void)state;
    arena_init(&arena);
    added = read_added(&arena, REFUSED "'x-dead-letter-exchange'" OF_QUEUE
                                       "received none but current is the value 'it's' of type 'x' "
                                       "of type 'longstr'");
    assert_string_equal(added.name, "x-dead-letter-exchange");
    assert_int_equal(added.value.type, WARREN_STRING);
    assert_memory_equal(added.value.as.bytes.data, "it's' of type 'x", 16);
    added = read_added(&arena, REFUSED "'x-max-length'" OF_QUEUE
                                       "received none but current is the value '7' of type "
                                       "'signedint'");
    assert_int_equal(added.value.type, WARREN_I64);
    assert_int_equal(added.value.as.integer, 7);
    added = read_added(&arena, REFUSED "'x-single-active-consumer'" OF_QUEUE
                                       "received none but current is the value 'true' of type "
                                       "'bool'");
    assert_int_equal(added.value.type, WARREN_BOOL);
    assert_true(added.value.as.boolean);
    added = read_added(&arena, REFUSED "'x-max-length'" OF_QUEUE
                                       "received none but current is the value '7' of ty");
    assert_null(added.name);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_is_read),
        cmocka_unit_test(another_argument_is_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
