/* test_calls.c - which call a reply answers. */
#include "amqp/connection/calls.h"
#include "amqp/wire/rabbitmq_c.h"
#include "support/test.h"

static int users[4];

static void push(struct calls *calls, uint32_t id, int user)
{
    const struct call call = {.id = id, .user = &users[user]};

    assert_int_equal(calls_push(calls, &call), WARREN_OK);
}

/* @id answers call number @user. */
static void expect(struct calls *calls, uint32_t id, int user)
{
    struct call call;

    assert_true(calls_answer(calls, id, &call));
    assert_ptr_equal(call.user, &users[user]);
}

/* Of one kind the oldest is answered first. */
static void in_order(void **state)
{
    struct calls calls;

    (void)state;
    calls_init(&calls);
    push(&calls, AMQP_BASIC_QOS_METHOD, 0);
    push(&calls, AMQP_BASIC_QOS_METHOD, 1);
    expect(&calls, AMQP_BASIC_QOS_OK_METHOD, 0);
    expect(&calls, AMQP_BASIC_QOS_OK_METHOD, 1);
    assert_null(calls_oldest(&calls));
}

/* qos-ok overtakes the cancel-ok that was asked for before. */
static void overtaken(void **state)
{
    struct calls calls;

    (void)state;
    calls_init(&calls);
    push(&calls, AMQP_BASIC_CANCEL_METHOD, 0);
    push(&calls, AMQP_BASIC_QOS_METHOD, 1);
    push(&calls, AMQP_BASIC_QOS_METHOD, 2);
    expect(&calls, AMQP_BASIC_QOS_OK_METHOD, 1);
    assert_ptr_equal(calls_oldest(&calls)->user, &users[0]);
    expect(&calls, AMQP_BASIC_CANCEL_OK_METHOD, 0);
    expect(&calls, AMQP_BASIC_QOS_OK_METHOD, 2);
    assert_int_equal(calls.count, 0);
}

/* What nobody asked for answers nothing, and takes nothing away. */
static void unasked(void **state)
{
    struct calls calls;
    struct call call;

    (void)state;
    calls_init(&calls);
    assert_false(calls_answer(&calls, AMQP_BASIC_QOS_OK_METHOD, &call));
    push(&calls, AMQP_EXCHANGE_UNBIND_METHOD, 0);
    assert_false(calls_answer(&calls, AMQP_BASIC_QOS_OK_METHOD, &call));
    expect(&calls, AMQP_EXCHANGE_UNBIND_OK_METHOD, 0);
    calls_done(&calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(overtaken),
        cmocka_unit_test(unasked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
