/* test_publish_delay.c - a delay as levels, names and headers. */
#include "config/options.h"
#include "publish/delay/delay.h"
#include "support/test.h"

static struct delay *delay_to(const char *exchange, const char *routing_key, const char *to_queue,
                              int64_t delay_ms)
{
    struct warren_publish publish = {.exchange = exchange, .routing_key = routing_key};
    struct delay *delay = NULL;

    assert_int_equal(delay_new(&publish, NULL, to_queue, delay_ms, &delay), WARREN_OK);
    return delay;
}

static uint32_t seconds_of(int64_t delay_ms)
{
    struct delay *delay = delay_to("", "q", NULL, delay_ms);
    uint32_t seconds = delay->seconds;

    free(delay);
    return seconds;
}

/* Milliseconds are rounded up, so that nothing comes too early. */
static void rounding(void **state)
{
    (void)state;
    assert_int_equal(seconds_of(1), 1);
    assert_int_equal(seconds_of(999), 1);
    assert_int_equal(seconds_of(1000), 1);
    assert_int_equal(seconds_of(1001), 2);
    assert_int_equal(seconds_of(90000), 90);
    assert_int_equal(seconds_of(DELAY_LONGEST_MAX_MS), (1 << DELAY_LEVELS_MAX) - 1);
    assert_int_equal(seconds_of(DELAY_LONGEST_MAX_MS - 999), (1 << DELAY_LEVELS_MAX) - 1);
}

/* No level's time to live is above what RabbitMQ takes, ten years; the configuration knows that. */
static void bounds(void **state)
{
    int64_t longest_ttl_ms = (INT64_C(1) << (DELAY_LEVELS_MAX - 1)) * 1000;

    (void)state;
    assert_true(longest_ttl_ms <= INT64_C(315360000000));
    assert_true(longest_ttl_ms * 2 > INT64_C(315360000000));
    assert_true(CONFIG_DELAY_MAX_MS <= DELAY_LONGEST_MAX_MS);
    assert_true(CONFIG_DELAY_MAX_MS + 86400000 > DELAY_LONGEST_MAX_MS);
}

/* A destination is an exchange, or a queue where that is the default one or a queue is named. */
static void destinations(void **state)
{
    static const struct {
        const char *exchange, *routing_key, *to_queue, *destination, *departure;
        bool to_queue_expected;
    } cases[] = {
        {NULL, "jobs", NULL, "jobs", "warren.delay.queue.jobs", true},
        {"", "jobs", NULL, "jobs", "warren.delay.queue.jobs", true},
        {"shop", "a.b", NULL, "shop", "warren.delay.exchange.shop", false},
        {"shop", NULL, NULL, "shop", "warren.delay.exchange.shop", false},
        {"shop", "a.b", "jobs", "jobs", "warren.delay.queue.jobs", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct delay *delay =
            delay_to(cases[i].exchange, cases[i].routing_key, cases[i].to_queue, 1000);
        char name[DELAY_NAME_SIZE];

        assert_int_equal(delay->to_queue, cases[i].to_queue_expected);
        assert_string_equal(delay->destination, cases[i].destination);
        delay_departure_name(delay, name);
        assert_string_equal(name, cases[i].departure);
        free(delay);
    }
}

static enum warren_status try_queue(const char *queue)
{
    struct warren_publish publish = {.routing_key = queue};
    struct delay *delay = NULL;
    enum warren_status status = delay_new(&publish, NULL, NULL, 1000, &delay);

    free(delay);
    return status;
}

/* Without a name, with too long a one, or to a connection that will be gone: refused. */
static void no_destination(void **state)
{
    char name[257];

    (void)state;
    memset(name, 'n', 256);
    name[256] = '\0';
    assert_int_equal(try_queue(NULL), WARREN_EINVAL);
    assert_int_equal(try_queue(""), WARREN_EINVAL);
    assert_int_equal(try_queue(name), WARREN_EINVAL);
    assert_int_equal(try_queue("amq.rabbitmq.reply-to.g1hkABF.="), WARREN_EINVAL);
    name[255] = '\0';
    assert_int_equal(try_queue(name), WARREN_OK);
}

/* A destination that holds a NUL is refused, not taken for another; headers have whole names. */
static void a_nul_ends_no_name(void **state)
{
    struct warren_field headers[] = {warren_field_text("x-death", "mine"),
                                     warren_field_text("x-death", "the broker's")};
    struct warren_message message = {.properties.headers = {headers, 2}};
    struct warren_publish publish = {.message = &message};
    struct delay_message delayed;
    struct delay *delay = NULL;
    struct arena texts;

    (void)state;
    arena_init(&texts);
    headers[0].name = arena_text(&texts, "x-death\0", 8);
    publish.routing_key = arena_text(&texts, "q\0x", 3);
    assert_int_equal(delay_new(&publish, &texts, NULL, 1000, &delay), WARREN_EINVAL);
    publish.exchange = arena_text(&texts, "\0", 1);
    assert_int_equal(delay_new(&publish, &texts, NULL, 1000, &delay), WARREN_EINVAL);
    publish.exchange = "shop";
    assert_int_equal(delay_new(&publish, &texts, NULL, 1000, &delay), WARREN_OK);
    assert_int_equal(delay_message_init(&delayed, delay, &publish, &texts), WARREN_OK);
    assert_int_equal(delayed.message.properties.headers.count, 3); /* a level, the destination */
    assert_ptr_equal(delayed.message.properties.headers.fields[0].name, headers[0].name);
    assert_ptr_equal(delayed.publish.routing_key, publish.routing_key);
    delay_message_done(&delayed);
    free(delay);
    arena_done(&texts);
}

/* A name of 253 bytes: "x", 125 letters of two bytes each, and @last. */
static void long_name(char name[256], const char *last)
{
    size_t at = 1;

    name[0] = 'x';
    for (int i = 0; i < 125; i++, at += 2)
        memcpy(name + at, "\xc3\xa4", 2);
    memcpy(name + at, last, 2);
    name[at + 2] = '\0';
}

/* Departure queues of long names differ where the names do, and no letter is cut in two. */
static void long_names(void **state)
{
    static const char *const lasts[] = {"ab", "ac"};
    char departures[2][DELAY_NAME_SIZE];

    (void)state;
    for (int i = 0; i < 2; i++) {
        char name[256];
        struct delay *delay;

        long_name(name, lasts[i]);
        delay = delay_to("", name, NULL, 1000);
        delay_departure_name(delay, departures[i]);
        free(delay);
        assert_true(strlen(departures[i]) < DELAY_NAME_SIZE);
        assert_ptr_equal(strstr(departures[i], "warren.delay.queue.x\xc3"), departures[i]);
        assert_non_null(strstr(departures[i], "\xc3\xa4~"));
    }
    assert_string_not_equal(departures[0], departures[1]);
}

static void level_names(void **state)
{
    char name[DELAY_NAME_SIZE];

    (void)state;
    delay_level_name(0, name);
    assert_string_equal(name, "warren.delay.00");
    delay_level_name(28, name);
    assert_string_equal(name, "warren.delay.28");
    for (unsigned level = 0; level < DELAY_LEVELS_MAX; level++) {
        char header[32];

        snprintf(header, sizeof header, "warren-delay-%02u", level);
        assert_string_equal(delay_level_header(level), header);
    }
}

static const struct warren_value *header_of(const struct delay_message *message, const char *name)
{
    return warren_table_get(&message->message.properties.headers, name);
}

/* 5 s are the bits 2 and 0: straight to level 02, each level below is told, none above. */
static void headers_say_the_bits(void **state)
{
    struct warren_message message = {.body = {"x", 1}};
    struct warren_publish publish = {
        .exchange = "shop", .routing_key = "a.b", .message = &message, .optional = true};
    struct delay *delay = NULL;
    struct delay_message delayed;

    (void)state;
    assert_int_equal(delay_new(&publish, NULL, NULL, 4500, &delay), WARREN_OK);
    assert_int_equal(delay_top(delay), 2);
    assert_int_equal(delay_message_init(&delayed, delay, &publish, NULL), WARREN_OK);
    assert_string_equal(delayed.publish.exchange, "warren.delay.02");
    assert_string_equal(delayed.publish.routing_key, "a.b");
    assert_false(delayed.publish.optional);
    assert_int_equal(delayed.message.properties.headers.count, 4);
    assert_true(header_of(&delayed, "warren-delay-02")->as.boolean);
    assert_false(header_of(&delayed, "warren-delay-01")->as.boolean);
    assert_true(header_of(&delayed, "warren-delay-00")->as.boolean);
    assert_memory_equal(header_of(&delayed, "warren-delay-to")->as.bytes.data,
                        "warren.delay.exchange.shop", 26);
    assert_ptr_equal(delayed.publish.message->body.data, message.body.data);
    delay_message_done(&delayed);
    free(delay);
}

/* A message that comes out of a dead-letter or delay queue leaves those notes behind: by an x-death
 * that names a level the broker would take it for one in a cycle, and drop it. */
static void old_notes_are_left_out(void **state)
{
    struct warren_field fields[] = {
        warren_field_text("mine", "1"),
        warren_field_i64("x-death", 1),
        warren_field_text("x-first-death-queue", "warren.delay.03"),
        warren_field_i64("x-delivery-count", 2),
        warren_field_bool("warren-delay-07", true),
        warren_field_text("warren-delay-to", "elsewhere"),
        warren_field_i64("x-warren-attempts", 3),
    };
    struct warren_message message = {
        .properties = {.headers = {fields, sizeof fields / sizeof *fields}, .expiration = "10"}};
    struct warren_publish publish = {.message = &message};
    struct delay *delay = NULL;
    struct delay_message delayed;

    (void)state;
    assert_int_equal(delay_new(&publish, NULL, "q", 1, &delay), WARREN_OK);
    assert_int_equal(delay_message_init(&delayed, delay, &publish, NULL), WARREN_OK);
    assert_int_equal(delayed.message.properties.headers.count, 4);
    assert_string_equal(delayed.message.properties.headers.fields[0].name, "mine");
    assert_string_equal(delayed.message.properties.headers.fields[1].name, "x-warren-attempts");
    assert_string_equal(delayed.message.properties.headers.fields[2].name, "warren-delay-00");
    assert_string_equal(delayed.message.properties.headers.fields[3].name, "warren-delay-to");
    assert_null(delayed.message.properties.expiration);
    assert_string_equal(message.properties.expiration, "10");
    delay_message_done(&delayed);
    free(delay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding),
        cmocka_unit_test(bounds),
        cmocka_unit_test(destinations),
        cmocka_unit_test(no_destination),
        cmocka_unit_test(a_nul_ends_no_name),
        cmocka_unit_test(long_names),
        cmocka_unit_test(level_names),
        cmocka_unit_test(headers_say_the_bits),
        cmocka_unit_test(old_notes_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
