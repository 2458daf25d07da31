/* test_identity.c - which deliveries are the same message. */
#include "amqp/wire/properties.h"
#include "consume/crash/identity.h"
#include "support/test.h"

/* What a delivery is made of; NULL and 0 where a test does not care. */
struct made {
    const char *exchange;
    const char *key;
    const char *message_id;
    const char *type;
    int64_t attempts; /* a header */
    const char *body;
};

static struct warren_bytes text(const char *words)
{
    return (struct warren_bytes){words ? words : "", words ? strlen(words) : 0};
}

/* @whole: an id that holds a NUL; length 0: as @made says */
static struct identity identity_whole(const struct made *made, struct warren_bytes whole,
                                      const char *queue)
{
    struct warren_field field = {.name = "x-delivery-count",
                                 .value = {.type = WARREN_I64, .as.integer = made->attempts}};
    struct warren_properties properties = {
        .message_id = made->message_id,
        .type = made->type,
        .headers = {.fields = &field, .count = made->attempts ? 1 : 0}};
    struct delivery *delivery;
    struct identity identity;
    struct warren_bytes id;
    struct warren_bytes list;
    struct arena arena;
    struct buffer out;

    arena_init(&arena);
    buffer_init(&out, 4096);
    if (whole.len > 0)
        properties.message_id = arena_text(&arena, whole.data, whole.len);
    else
        whole = text(made->message_id);
    assert_int_equal(properties_encode(&properties, &arena, 4096, &arena, &out, NULL), WARREN_OK);
    list = (struct warren_bytes){buffer_front(&out), buffer_len(&out)};
    delivery = delivery_new(0, text(made->exchange), text(made->key), list, text(made->body).len);
    assert_non_null(delivery);
    memcpy(delivery_body(delivery), text(made->body).data, text(made->body).len);
    identity = identity_of(delivery, identity_hash(queue, strlen(queue), 0), &id);
    assert_int_equal(id.len, whole.len);
    assert_memory_equal(id.data, whole.data, id.len);
    delivery_free(delivery);
    buffer_done(&out);
    arena_done(&arena);
    return identity;
}

static struct identity identity_with(const struct made *made, const char *queue)
{
    return identity_whole(made, text(""), queue);
}

static void assert_same(const struct made *a, const struct made *b, bool same)
{
    struct identity one = identity_with(a, "q");
    struct identity two = identity_with(b, "q");

    assert_int_equal(identity_equal(&one, &two), same);
}

/* With an id nothing else matters: it may have come another way the second time. */
static void the_id_is_the_message(void **state)
{
    const struct made first = {"e", "k", "m-1", "t", 0, "body"};
    const struct made again = {"", "q", "m-1", NULL, 3, "other"};
    const struct made other = {"e", "k", "m-2", "t", 0, "body"};

    (void)state;

    assert_same(&first, &again, true);
    assert_same(&first, &other, false);
}

/* All of the id, a NUL in it included. */
static void a_nul_ends_no_id(void **state)
{
    const struct made made = {"e", "k", "m-1", "t", 0, "body"};
    struct identity ids[] = {identity_with(&made, "q"),
                             identity_whole(&made, (struct warren_bytes){"m-1\0A", 5}, "q"),
                             identity_whole(&made, (struct warren_bytes){"m-1\0B", 5}, "q"),
                             identity_whole(&made, (struct warren_bytes){"m-1\0", 4}, "q")};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(identity_equal(&ids[i], &ids[j]));
}

/* Without one everything matters that a redelivery does not change. */
static void without_an_id_the_rest_is(void **state)
{
    const struct made first = {"e", "k", NULL, "t", 0, "body"};
    const struct made others[] = {
        {"f", "k", NULL, "t", 0, "body"},   {"e", "l", NULL, "t", 0, "body"},
        {"ek", "", NULL, "t", 0, "body"},   {"", "ek", NULL, "t", 0, "body"},
        {"e", "k", NULL, "u", 0, "body"},   {"e", "k", NULL, NULL, 0, "body"},
        {"e", "k", NULL, "t", 0, "bodies"}, {"e", "k", NULL, "t", 0, NULL},
        {"e", "k", "body", "t", 0, NULL}};
    const struct made again = {"e", "k", NULL, "t", 4, "body"};

    (void)state;
    assert_same(&first, &again, true);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_same(&first, &others[i], false);
}

/* Two queues that get copies of one message may fail with one of them alone. */
static void the_queue_belongs_to_it(void **state)
{
    const struct made made = {"e", "k", "m-1", NULL, 0, "body"};
    struct identity one = identity_with(&made, "q");
    struct identity two = identity_with(&made, "r");

    (void)state;
    assert_false(identity_equal(&one, &two));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_id_is_the_message),
        cmocka_unit_test(a_nul_ends_no_id),
        cmocka_unit_test(without_an_id_the_rest_is),
        cmocka_unit_test(the_queue_belongs_to_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
