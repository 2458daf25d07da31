/* test_topology_yaml.c - a broker's topology as YAML that reads back as the same; and what is
 * wanted besides what the file says.
 */
#include "amqp/topology/topology_diff.h"
#include "command/topology/topology_wanted.h"
#include "command/topology/topology_yaml.h"
#include "publish/delay/delay_parts.h"
#include "support/test.h"

static struct arena arena;

static struct config *load(const char *yaml)
{
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;

    if (config_load_text(yaml, "test.yaml", NULL, NULL, 0, &config, &error) != WARREN_OK)
        fail_msg("%s in:\n%s", error.text, yaml);
    return config;
}

/* ---- export ---- */

static char *export(const struct config_topology *topology, struct topology_yaml_left_out *left)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_true(topology_yaml_write(out, topology, &arena, left));
    fclose(out);
    return text;
}

/* The plan of an export is empty, but for limits that are taken as they are. */
static void expect_same(const struct config_topology *topology, const char *yaml)
{
    struct config *config = load(yaml);
    struct topology_pair pair = {.wanted = &config->topology, .found = topology};
    struct topology_steps steps;

    assert_int_equal(topology_diff(&pair, &arena, &steps), WARREN_OK);
    assert_int_equal(topology_steps_count(&steps, TOPOLOGY_AS_IT_IS), steps.count);
    config_free(config);
}

/* Control bytes, ends of lines, what YAML has for itself, what it does not read. */
#define ODD                                                                                        \
    "\t\x01\x7f\xc2\x85\xc2\x9f\xe2\x80\xa8\xef\xbb\xbf\xf0\x9f\x90\x87"                           \
    "\xc3\xbc\"\\'#: - {}[]&*!|>%@`null"
static const char odd[] = ODD;
static const char odd_lines[] = "\n" ODD;

static void everything_comes_back(void **state)
{
    const struct warren_value list[] = {warren_field_i64("", -5).value,
                                        warren_field_text("", "5").value};
    const struct warren_field inner[] = {{"v", {.type = WARREN_VOID}}};
    const struct warren_field fields[] = {
        warren_field_text("text", odd_lines),
        warren_field_text("number", "12"),
        warren_field_text("empty", ""),
        warren_field_i64("least", INT64_MIN),
        warren_field_bool("no", false),
        {"real", {.type = WARREN_F64, .as.real = 1}},
        {"small", {.type = WARREN_F64, .as.real = 1e-300}},
        {"list", {.type = WARREN_ARRAY, .as.array = {list, 2}}},
        {"table", {.type = WARREN_TABLE, .as.table = {inner, 1}}},
        {odd, {.type = WARREN_I64}},
    };
    const struct warren_table arguments = {fields, sizeof fields / sizeof *fields};
    const struct config_exchange exchanges[] = {
        {.name = odd, .type = "x-delayed-message", .durable = true, .arguments = arguments},
        {.name = "e", .type = "headers", .auto_delete = true, .internal = true}};
    const struct config_queue queues[] = {
        {.name = odd, .type = "quorum", .durable = true, .arguments = arguments},
        {.name = "c", .type = "classic", .auto_delete = true},
        {.name = "true", .type = "stream", .durable = true}};
    const struct config_binding bindings[] = {
        {.source = "e", .destination = odd, .routing_key = odd_lines, .arguments = arguments},
        {.source = "not.here", .destination = "c", .routing_key = ""},
        {.source = odd, .destination = "e", .to_exchange = true, .routing_key = "1"}};
    const struct config_topology topology = {exchanges, 2, queues, 3, bindings, 3};
    struct topology_yaml_left_out left;
    char *yaml = export(&topology, &left);

    (void)state;
    expect_same(&topology, yaml);
    assert_int_equal(left.amq + left.delay + left.exclusive + left.unknown, 0);
    free(yaml);
}

static void nothing(void **state)
{
    const struct config_topology topology = {.queue_count = 0};
    struct topology_yaml_left_out left;
    char *yaml = export(&topology, &left);

    (void)state;
    assert_string_equal(yaml, "topology:\n");
    expect_same(&topology, yaml);
    free(yaml);
}

/* What no file can declare, and what warren declares by itself; what is unknown by its name. */
static void what_is_left_out(void **state)
{
    const struct config_exchange exchanges[] = {
        {.name = "amq.topic", .type = "topic", .durable = true},
        {.name = DELAY_DELIVER, .type = "headers", .durable = true},
        {.name = "odd\none", .type = "jms", .durable = true}};
    const struct config_queue queues[] = {
        {.name = "amq.gen-x", .type = "classic"},
        {.name = "mine", .type = "classic", .exclusive = true},
        {.name = DELAY_PREFIX "03", .type = "quorum", .durable = true},
        {.name = "m", .type = "rabbit_mqtt_qos0_queue"},
        {.name = "kept", .type = "classic", .durable = true}};
    const struct config_binding bindings[] = {
        {.source = "amq.topic", .destination = "kept", .routing_key = "k"},
        {.source = "amq.topic", .destination = "mine", .routing_key = "k"},
        {.source = "amq.topic", .destination = "amq.topic", .to_exchange = true, .routing_key = ""},
        {.source = "amq.topic", .destination = "gone", .routing_key = ""}};
    const struct config_topology topology = {exchanges, 3, queues, 5, bindings, 4};
    struct topology_yaml_left_out left;
    char *yaml = export(&topology, &left);

    (void)state;
    assert_string_equal(
        yaml,
        "topology:\n"
        "# left out: exchange \"odd\\x0aone\", for the file has no such one of type \"jms\"\n"
        "# left out: queue \"m\", for the file has no such one of type \"rabbit_mqtt_qos0_queue\"\n"
        "  queues:\n    - name: \"kept\"\n      type: classic\n"
        "  bindings:\n    - exchange: \"amq.topic\"\n      queue: \"kept\"\n"
        "      routing_key: \"k\"\n");
    expect_same(&topology, yaml);
    assert_int_equal(left.amq, 2);
    assert_int_equal(left.delay, 2);
    assert_int_equal(left.exclusive, 1);
    assert_int_equal(left.unknown, 2);
    free(yaml);
}

/* ---- what is wanted ---- */

static bool has_queue(const struct topology_wanted *wanted, const char *name)
{
    return config_find_queue(&wanted->topology, name) != NULL;
}

/* Only a running worker can have it, and so what is bound to it. */
static void exclusive_queues(void **state)
{
    struct config *config =
        load("topology:\n"
             "  queues: [{name: a, type: classic, exclusive: true}, {name: b}]\n"
             "  bindings: [{exchange: x, queue: a}, {exchange: x, queue: b},\n"
             "             {exchange: x, to_exchange: a}]\n");
    struct topology_wanted wanted;

    (void)state;
    assert_int_equal(
        topology_wanted(config, &(struct config_topology){.queue_count = 0}, &arena, &wanted),
        WARREN_OK);
    assert_int_equal(wanted.exclusive, 1);
    assert_int_equal(wanted.topology.queue_count, 1);
    assert_int_equal(wanted.topology.binding_count, 2);
    config_free(config);
}

#define SUBSCRIPTIONS "subscriptions: [{queue: q, handler: a.b}, {queue: r, handler: a.b}]\n"

/* A dead-letter queue whose name has not that of its queue in it may be that of other workers. */
static void dead_letters(void **state)
{
    static const struct config_topology none;
    struct config *config = load(SUBSCRIPTIONS);
    struct topology_wanted wanted;

    (void)state;
    assert_int_equal(topology_wanted(config, &none, &arena, &wanted), WARREN_OK);
    assert_true(has_queue(&wanted, "q.dlq") && has_queue(&wanted, "r.dlq"));
    assert_int_equal(wanted.topology.exchange_count, 2);
    assert_int_equal(wanted.topology.binding_count, 2);
    assert_int_equal(wanted.shared_count, 0);
    config_free(config);
    config = load("dead_letter: {queue: all.dlq}\n" SUBSCRIPTIONS);
    assert_int_equal(topology_wanted(config, &none, &arena, &wanted), WARREN_OK);
    assert_int_equal(wanted.shared_count, 2);
    assert_string_equal(wanted.shared[0], "all.dlq");
    config_free(config);
}

/* Of the delay queues those that are there, and the exchanges below the highest of them. */
static void delay_queues(void **state)
{
    static const struct config_queue queues[] = {
        {.name = DELAY_PREFIX "02", .type = "quorum", .durable = true},
        {.name = DELAY_TO_QUEUE "jobs", .type = "quorum", .durable = true},
        {.name = DELAY_TO_EXCHANGE "shop", .type = "quorum", .durable = true},
        {.name = DELAY_TO_QUEUE "long~0123456789abcdef", .type = "quorum", .durable = true},
        {.name = DELAY_PREFIX "99", .type = "quorum", .durable = true}};
    const struct config_topology found = {.queues = queues, .queue_count = 5};
    struct config *config = load("topology:\n");
    struct topology_wanted wanted;
    const struct config_queue *queue;

    (void)state;
    assert_int_equal(topology_wanted(config, &found, &arena, &wanted), WARREN_OK);
    assert_int_equal(wanted.topology.exchange_count, 4); /* 00 to 02, and below */
    assert_int_equal(wanted.topology.queue_count, 3);
    assert_int_equal(wanted.topology.binding_count, 3 + 3);
    queue = config_find_queue(&wanted.topology, DELAY_PREFIX "02");
    assert_int_equal(warren_table_get(&queue->arguments, "x-message-ttl")->as.integer, 4000);
    queue = config_find_queue(&wanted.topology, DELAY_TO_QUEUE "jobs");
    assert_memory_equal(
        warren_table_get(&queue->arguments, "x-dead-letter-routing-key")->as.bytes.data, "jobs", 4);
    queue = config_find_queue(&wanted.topology, DELAY_TO_EXCHANGE "shop");
    assert_null(warren_table_get(&queue->arguments, "x-dead-letter-routing-key"));
    config_free(config);
}

static int reset(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(everything_comes_back, reset),
        cmocka_unit_test_teardown(nothing, reset),
        cmocka_unit_test_teardown(what_is_left_out, reset),
        cmocka_unit_test_teardown(exclusive_queues, reset),
        cmocka_unit_test_teardown(dead_letters, reset),
        cmocka_unit_test_teardown(delay_queues, reset),
    };
    int failed;

    arena_init(&arena);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&arena);
    return failed;
}
