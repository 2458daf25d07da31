/* test_delivery.c - a message in one flat piece of memory. */
#include "amqp/wire/delivery.h"
#include "support/test.h"

/* Each part is where its accessor says, and the last byte of the body is inside. */
static void the_parts_lie_side_by_side(void **state)
{
    struct delivery *delivery =
        delivery_new(0, warren_text("exchange"), warren_text("key"), warren_text("props"), 3);

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
    struct delivery *delivery = delivery_new(0, none, none, none, 0);

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
    assert_null(delivery_new(0, none, none, none, SIZE_MAX));
    assert_null(delivery_new(0, none, none, none, PTRDIFF_MAX));
}

/* The owner's room is zeroed, counts, and is freed with the rest. */
static void an_owner_has_room_in_front(void **state)
{
    struct warren_bytes none = {NULL, 0};
    struct delivery *delivery = delivery_new(64, none, none, none, 1);
    char zeros[64] = {0};

    (void)state;
    assert_non_null(delivery);
    assert_memory_equal((char *)delivery - 64, zeros, 64);
    assert_int_equal(delivery_size(delivery), 64 + sizeof *delivery + 2 + 1);
    delivery_free(delivery);
}

/* No pointer is in it: copied to another place, it is the same message. */
static void a_copy_of_its_bytes_is_the_message(void **state)
{
    struct delivery *delivery =
        delivery_new(16, warren_text("exchange"), warren_text("key"), warren_text("props"), 3);
    struct delivery *copy = malloc(delivery_size(delivery));

    (void)state;
    assert_non_null(copy);
    memcpy(delivery_body(delivery), "abc", 3);
    memcpy(copy, delivery, delivery_size(delivery) - delivery->room);
    delivery_free(delivery);
    assert_string_equal(delivery_exchange(copy), "exchange");
    assert_string_equal(delivery_routing_key(copy), "key");
    assert_memory_equal(delivery_properties(copy).data, "props", 5);
    assert_memory_equal(delivery_body(copy), "abc", 3);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_lie_side_by_side),
        cmocka_unit_test(empty_parts_are_fine),
        cmocka_unit_test(an_absurd_body_is_refused),
        cmocka_unit_test(an_owner_has_room_in_front),
        cmocka_unit_test(a_copy_of_its_bytes_is_the_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
