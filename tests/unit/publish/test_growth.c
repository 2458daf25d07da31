/* test_growth.c - the room that is left for the broker's notes is what these notes take. */
#include "amqp/wire/properties.h"
#include "publish/delay/delay.h"
#include "publish/message/growth.h"
#include "support/test.h"

#define DEATHS_MAX 40

/* The broker's notes, as the broker would make them. */
struct notes {
    struct warren_value deaths[DEATHS_MAX];
    struct warren_field of[DEATHS_MAX][6];
    struct warren_value keys[3];
    size_t key_count;
    size_t count;
};

static void add_death(struct notes *notes, const char *queue, const char *exchange)
{
    struct warren_field *fields = notes->of[notes->count];

    fields[0] = warren_field_i64("count", 1);
    fields[1] = warren_field_text("reason", "delivery_limit");
    fields[2] = warren_field_text("queue", queue);
    fields[3] = (struct warren_field){"time", {.type = WARREN_TIMESTAMP}};
    fields[4] = warren_field_text("exchange", exchange);
    fields[5] = (struct warren_field){
        "routing-keys", {.type = WARREN_ARRAY, .as.array = {notes->keys, notes->key_count}}};
    notes->deaths[notes->count++] =
        (struct warren_value){.type = WARREN_TABLE, .as.table = {fields, 6}};
}

/* What they add to a list that has headers already. */
static size_t size_of(const struct notes *notes, const char *queue, const char *exchange)
{
    struct warren_field fields[] = {
        {"x-death", {.type = WARREN_ARRAY, .as.array = {notes->deaths, notes->count}}},
        warren_field_text("x-first-death-reason", "delivery_limit"),
        warren_field_text("x-first-death-queue", queue),
        warren_field_text("x-first-death-exchange", exchange),
        warren_field_text("x-last-death-reason", "delivery_limit"),
        warren_field_text("x-last-death-queue", queue),
        warren_field_text("x-last-death-exchange", exchange),
        warren_field_i64("x-delivery-count", 1),
        warren_field_i64("x-acquired-count", 1),
    };
    struct warren_properties properties = {.headers = {fields, sizeof fields / sizeof *fields}};
    struct arena scratch;
    struct buffer out;
    size_t size;

    arena_init(&scratch);
    buffer_init(&out, 1 << 20);
    assert_int_equal(properties_encode(&properties, NULL, 1 << 20, &scratch, &out, NULL),
                     WARREN_OK);
    size = buffer_len(&out) - 2 - 4; /* flags, and the length of the table */
    buffer_done(&out);
    arena_done(&scratch);
    return size;
}

static const char *name_of(char c, size_t len)
{
    static char names[2][256];
    static unsigned next;
    char *name = names[next++ % 2];

    memset(name, c, len);
    name[len] = '\0';
    return name;
}

/* Into a queue: one death there, exactly. */
static void a_queue_takes_one_death(void **state)
{
    static const size_t lengths[] = {1, 20, 255};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const char *queue = name_of('q', lengths[i]);
        struct warren_publish publish = {.routing_key = queue};
        struct notes notes = {.keys = {warren_field_text("", queue).value}, .key_count = 1};

        add_death(&notes, queue, "");
        assert_int_equal(growth_room(&publish, NULL, NULL, 0), size_of(&notes, queue, ""));
        publish.routing_key = "";
        assert_in_range(growth_room(&publish, NULL, queue, 0), size_of(&notes, queue, ""),
                        size_of(&notes, queue, "") + 5);
    }
}

/* Through the delay queues: at least what each level, the departure queue and the destination add,
 * with the longest names and keys; and not twice that. */
static void a_delay_takes_one_for_each_level(void **state)
{
    static const int64_t delays_ms[] = {1, 1000, 1001, 7000, 3600000, DELAY_LONGEST_MAX_MS};
    const char *key = name_of('k', 255);
    const char *exchange = name_of('e', 255);
    struct warren_value cc[] = {warren_field_text("", key).value, warren_field_text("", key).value};
    struct warren_field header = {"CC", {.type = WARREN_ARRAY, .as.array = {cc, 2}}};
    struct warren_message message = {.properties = {.headers = {&header, 1}}};
    struct warren_publish publish = {.exchange = exchange, .routing_key = key, .message = &message};
    static char long_queue[256];

    (void)state;
    memset(long_queue, 'q', 255);
    for (size_t i = 0; i < sizeof delays_ms / sizeof *delays_ms; i++) {
        struct notes notes = {.keys = {cc[0], cc[0], cc[1]}, .key_count = 3};
        char level[DELAY_NAME_SIZE];
        struct delay *delay;
        size_t needed;

        assert_int_equal(delay_new(&publish, NULL, NULL, delays_ms[i], &delay), WARREN_OK);
        delay_level_name(28, level);
        for (unsigned l = 0; l <= delay_top(delay); l++)
            if (delay->seconds >> l & 1)
                add_death(&notes, level, level);
        add_death(&notes, long_queue, DELAY_DELIVER);
        add_death(&notes, long_queue, exchange);
        needed = size_of(&notes, long_queue, exchange);
        assert_true(growth_room(&publish, NULL, NULL, delays_ms[i]) >= needed);
        assert_true(growth_room(&publish, NULL, NULL, delays_ms[i]) <= 2 * needed + 3 * 1024);
        free(delay);
    }
}

/* A delay of nonsense is no more than the longest. */
static void the_levels_are_bounded(void **state)
{
    struct warren_publish publish = {.routing_key = "q"};

    (void)state;
    assert_int_equal(growth_room(&publish, NULL, "q", INT64_MAX),
                     growth_room(&publish, NULL, "q", DELAY_LONGEST_MAX_MS));
    assert_int_equal(growth_room(&publish, NULL, "q", -1), growth_room(&publish, NULL, "q", 0));
    assert_true(growth_room(&publish, NULL, "q", INT64_MAX) < 8192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_takes_one_death),
        cmocka_unit_test(a_delay_takes_one_for_each_level),
        cmocka_unit_test(the_levels_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
