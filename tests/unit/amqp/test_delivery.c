/* test_delivery.c - a message in one flat piece of memory. */
#include "amqp/wire/delivery.h"
#include "support/test.h"

/* Each part is where its accessor says, and the last byte of the body is inside. */
static void the_parts_lie_side_by_side(void **state)
{
    struct delivery *delivery =
        delivery_new(warren_text("exchange"), warren_text("key"), warren_text("props"), 3);

    (void)state;
    assert_non_null(delivery);
    memcpy(delivery_body(delivery), "abc", 3);
    assert_string_equal(delivery_exchange(delivery), "exchange");
    assert_string_equal(delivery_routing_key(delivery), "key");
    assert_int_equal(delivery_properties(delivery).len, 5);
    assert_memory_equal(delivery_properties(delivery).data, "props", 5);
    assert_int_equal(delivery->body_len, 3);
    assert_int_equal(delivery_size(delivery), sizeof *delivery + 8 + 3 + 2 + 5 + 3);
    assert_int_equal(delivery->tag, 0);
    assert_false(delivery->redelivered);
    delivery_free(delivery);
}

/* Empty parts are fine. */
static void empty_parts_are_fine(void **state)
{
    struct warren_bytes none = {NULL, 0};
    struct delivery *delivery = delivery_new(none, none, none, 0);

    (void)state;
    assert_non_null(delivery);
    assert_string_equal(delivery_exchange(delivery), "");
    assert_string_equal(delivery_routing_key(delivery), "");
    assert_int_equal(delivery_properties(delivery).len, 0);
    delivery_free(delivery);
    delivery_free(NULL);
}

/* A body that no memory can hold is refused, not wrapped around. */
static void an_absurd_body_is_refused(void **state)
{
    struct warren_bytes none = {NULL, 0};

    (void)state;
    assert_null(delivery_new(none, none, none, SIZE_MAX));
    assert_null(delivery_new(none, none, none, PTRDIFF_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_lie_side_by_side),
        cmocka_unit_test(empty_parts_are_fine),
        cmocka_unit_test(an_absurd_body_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
