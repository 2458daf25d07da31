/* test_topology_diff.c - what is wanted against what a broker has, both written as YAML.
 */
#include "amqp/topology/topology_diff.h"
#include "support/test.h"

struct side {
    struct config *config;
    struct config_topology topology;
    struct config_queue queues[16];
};

/* A queue of the broker's has no limit that nobody wrote. */
static void load(struct side *side, const char *yaml, bool wanted)
{
    struct warren_error error = {WARREN_OK, ""};

    if (config_load_text(yaml, "test.yaml", NULL, NULL, 0, &side->config, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    side->topology = side->config->topology;
    for (size_t i = 0; i < side->topology.queue_count; i++) {
        side->queues[i] = side->topology.queues[i];
        if (!wanted && side->queues[i].limit_added)
            side->queues[i].arguments.count--;
    }
    side->topology.queues = side->queues;
}

/* A step as a line: its kind, what it is about, and what differs. */
static void write_step(FILE *out, const struct topology_step *step)
{
    static const char *const kinds[] = {
        [TOPOLOGY_DECLARE] = "declare",     [TOPOLOGY_DIFFERENT] = "different",
        [TOPOLOGY_REFUSED] = "refused",     [TOPOLOGY_ABSENT] = "absent",
        [TOPOLOGY_LEFT_OVER] = "left over", [TOPOLOGY_AS_IT_IS] = "as it is"};
    char text[DECLARE_TEXT_MAX];

    declare_text(&step->item, text);
    fprintf(out, "%s %s", kinds[step->kind], text);
    for (size_t i = 0; i < step->difference_count; i++)
        fprintf(out, " %s", step->differences[i].what);
    if (step->missing.exchange || step->missing.queue) {
        declare_text(&step->missing, text);
        fprintf(out, " without %s", text);
    }
    fputc('\n', out);
}

static void expect_shared(const char *wanted, const char *found, const char *shared,
                          const char *expected)
{
    struct side sides[2];
    struct topology_pair pair = {.wanted = &sides[0].topology,
                                 .found = &sides[1].topology,
                                 .shared = &shared,
                                 .shared_count = shared ? 1 : 0};
    struct topology_steps steps;
    struct arena arena;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    load(&sides[0], wanted, true);
    load(&sides[1], found, false);
    arena_init(&arena);
    assert_int_equal(topology_diff(&pair, &arena, &steps), WARREN_OK);
    for (size_t i = 0; i < steps.count; i++)
        write_step(out, &steps.steps[i]);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    arena_done(&arena);
    config_free(sides[0].config);
    config_free(sides[1].config);
}

static void expect(const char *wanted, const char *found, const char *expected)
{
    expect_shared(wanted, found, NULL, expected);
}

#define TOPOLOGY "topology:\n"

static void nothing_to_do(void **state)
{
    static const char *const all = TOPOLOGY
        "  exchanges: [{name: e, type: topic}, {name: f, type: fanout, durable: false}]\n"
        "  queues: [{name: q, arguments: {x-delivery-limit: 5, x-max-length: 9}},\n"
        "           {name: c, type: classic, auto_delete: true}, {name: s, type: stream}]\n"
        "  bindings: [{exchange: e, queue: q, routing_key: a},\n"
        "             {exchange: e, queue: q, arguments: {x: 1, y: [true, 'z']}},\n"
        "             {exchange: e, to_exchange: f, routing_key: a}]\n";

    (void)state;
    expect(all, all, "");
    expect(TOPOLOGY, TOPOLOGY, "");
}

/* In the order of a declaration. */
static void what_is_missing(void **state)
{
    (void)state;
    expect(TOPOLOGY "  bindings: [{exchange: e, queue: q, routing_key: k}]\n"
                    "  queues: [{name: q, type: classic}]\n"
                    "  exchanges: [{name: e}]\n",
           TOPOLOGY,
           "declare exchange 'e' (direct, durable)\n"
           "declare queue 'q' (classic, durable)\n"
           "declare binding of queue 'q' to exchange 'e' with key 'k'\n");
}

/* All of them are told, and whatever only one side has. */
static void what_differs(void **state)
{
    (void)state;
    expect(TOPOLOGY "  exchanges: [{name: e, type: topic, arguments: {alternate-exchange: a}}]\n",
           TOPOLOGY "  exchanges: [{name: e, type: direct, durable: false, auto_delete: true,\n"
                    "               internal: true}]\n",
           "different exchange 'e' (topic, durable, alternate-exchange=a) type durable auto_delete "
           "internal alternate-exchange\n");
    expect(TOPOLOGY "  queues: [{name: q, type: classic, arguments: {x-max-length: 5, x-a: 1}}]\n",
           TOPOLOGY "  queues: [{name: q, type: classic, durable: false, exclusive: true,\n"
                    "            auto_delete: true, arguments: {x-max-length: 6, x-b: 1}}]\n",
           "different queue 'q' (classic, durable, x-max-length=5, x-a=1) durable exclusive "
           "auto_delete x-max-length x-a x-b\n");
    expect(TOPOLOGY "  queues: [{name: q, type: stream}]\n",
           TOPOLOGY "  queues: [{name: q, type: classic}]\n",
           "different queue 'q' (stream, durable) type\n");
}

/* RabbitMQ takes them for notes: a declare with others succeeds. */
static void arguments_that_mean_nothing(void **state)
{
    (void)state;
    expect(TOPOLOGY "  exchanges: [{name: e, arguments: {owner: me, x-note: 1}}]\n"
                    "  queues: [{name: q, type: classic, arguments: {owner: me}}]\n",
           TOPOLOGY "  exchanges: [{name: e}]\n"
                    "  queues: [{name: q, type: classic, arguments: {owner: you}}]\n",
           "");
    expect(TOPOLOGY "  exchanges: [{name: e, type: x-hash, arguments: {x-note: 1}}]\n",
           TOPOLOGY "  exchanges: [{name: e, type: x-hash}]\n",
           "different exchange 'e' (x-hash, durable, x-note=1) x-note\n");
}

/* The limit that warren adds gives way to none, but to no other. */
static void the_limit_that_is_added(void **state)
{
    (void)state;
    expect(TOPOLOGY "  queues: [{name: q}]\n", TOPOLOGY "  queues: [{name: q}]\n",
           "as it is queue 'q' (quorum, durable)\n");
    expect(TOPOLOGY "  queues: [{name: q}]\n",
           TOPOLOGY "  queues: [{name: q, arguments: {x-delivery-limit: 1000000000}}]\n", "");
    expect(TOPOLOGY "  queues: [{name: q}]\n",
           TOPOLOGY "  queues: [{name: q, arguments: {x-delivery-limit: 20}}]\n",
           "different queue 'q' (quorum, durable) x-delivery-limit\n");
    expect(TOPOLOGY "  queues: [{name: q, arguments: {x-delivery-limit: 20}}]\n",
           TOPOLOGY "  queues: [{name: q}]\n",
           "different queue 'q' (quorum, durable, x-delivery-limit=20) x-delivery-limit\n");
}

/* What is passive is there or not, however it was declared. */
static void what_others_declare(void **state)
{
    static const char *const passive = TOPOLOGY "  exchanges: [{name: e, passive: true}]\n"
                                                "  queues: [{name: q, passive: true}]\n";

    (void)state;
    expect(passive,
           TOPOLOGY "  exchanges: [{name: e, type: topic, durable: false}]\n"
                    "  queues: [{name: q, type: stream}]\n",
           "");
    expect(passive, TOPOLOGY, "absent exchange 'e' (passive)\nabsent queue 'q' (passive)\n");
}

/* An end of a binding that nobody declares. */
static void bindings_to_nothing(void **state)
{
    (void)state;
    expect(TOPOLOGY "  queues: [{name: q, type: classic}]\n"
                    "  bindings: [{exchange: e, queue: q}]\n",
           TOPOLOGY,
           "declare queue 'q' (classic, durable)\n"
           "absent binding of queue 'q' to exchange 'e' with key '' without exchange 'e' "
           "(passive)\n");
    expect(TOPOLOGY "  bindings: [{exchange: e, queue: q}, {exchange: e, to_exchange: f}]\n",
           TOPOLOGY "  exchanges: [{name: e}]\n",
           "absent binding of queue 'q' to exchange 'e' with key '' without queue 'q' (passive)\n"
           "absent binding of exchange 'f' to exchange 'e' with key '' without exchange 'f' "
           "(passive)\n");
    expect(TOPOLOGY "  bindings: [{exchange: e, queue: q}]\n",
           TOPOLOGY "  exchanges: [{name: e}]\n  queues: [{name: q}]\n",
           "declare binding of queue 'q' to exchange 'e' with key ''\n");
}

/* Ours are those to what the file declares: not to what is passive, not to what it does not name.
 */
static void bindings_left_over(void **state)
{
    (void)state;
    expect(TOPOLOGY "  exchanges: [{name: e}, {name: f}, {name: p, passive: true}]\n"
                    "  queues: [{name: q, type: classic}, {name: r, passive: true}]\n"
                    "  bindings: [{exchange: e, queue: q, routing_key: new}]\n",
           TOPOLOGY "  exchanges: [{name: e}, {name: f}, {name: o}, {name: p}]\n"
                    "  queues: [{name: q, type: classic}, {name: r}, {name: other}]\n"
                    "  bindings: [{exchange: e, queue: q, routing_key: old},\n"
                    "             {exchange: o, queue: q, routing_key: new},\n"
                    "             {exchange: e, queue: q, routing_key: new, arguments: {a: 1}},\n"
                    "             {exchange: e, to_exchange: f, routing_key: old},\n"
                    "             {exchange: f, to_exchange: o}, {exchange: e, to_exchange: p},\n"
                    "             {exchange: e, queue: r}, {exchange: e, queue: other}]\n",
           "declare binding of queue 'q' to exchange 'e' with key 'new'\n"
           "left over binding of queue 'q' to exchange 'e' with key 'old'\n"
           "left over binding of queue 'q' to exchange 'o' with key 'new'\n"
           "left over binding of queue 'q' to exchange 'e' with key 'new' (arguments, a=1)\n"
           "left over binding of exchange 'f' to exchange 'e' with key 'old'\n");
}

/* A queue and an exchange may have the same name. */
static void names_of_both_kinds(void **state)
{
    (void)state;
    expect(TOPOLOGY "  exchanges: [{name: x}]\n  queues: [{name: y, type: classic}]\n",
           TOPOLOGY "  exchanges: [{name: x}, {name: y}]\n"
                    "  queues: [{name: x}, {name: y, type: classic}]\n"
                    "  bindings: [{exchange: y, queue: x}, {exchange: x, to_exchange: y}]\n",
           "");
}

/* What other workers declare, too, has bindings of theirs. */
static void what_is_shared(void **state)
{
    static const char *const wanted = TOPOLOGY "  exchanges: [{name: mine, type: fanout}]\n"
                                               "  queues: [{name: all.dlq, type: classic}]\n"
                                               "  bindings: [{exchange: mine, queue: all.dlq}]\n";
    static const char *const found = TOPOLOGY
        "  exchanges: [{name: mine, type: fanout}, {name: theirs, type: fanout}]\n"
        "  queues: [{name: all.dlq, type: classic}]\n"
        "  bindings: [{exchange: mine, queue: all.dlq}, {exchange: theirs, queue: all.dlq},\n"
        "             {exchange: mine, queue: all.dlq, routing_key: old}]\n";
    static const char *const ours =
        "left over binding of queue 'all.dlq' to exchange 'mine' with key 'old'\n";

    (void)state;
    expect_shared(wanted, found, "all.dlq", ours);
    expect(wanted, found,
           "left over binding of queue 'all.dlq' to exchange 'theirs' with key ''\n"
           "left over binding of queue 'all.dlq' to exchange 'mine' with key 'old'\n");
}

/* Of many bindings with the same ends and key the one with the same arguments is found. */
static void bindings_with_arguments(void **state)
{
    (void)state;
    expect(TOPOLOGY "  exchanges: [{name: e, type: headers}]\n"
                    "  queues: [{name: q, type: classic}]\n"
                    "  bindings: [{exchange: e, queue: q, arguments: {a: 2, b: x}},\n"
                    "             {exchange: e, queue: q, arguments: {a: 4}}]\n",
           TOPOLOGY "  exchanges: [{name: e, type: headers}]\n"
                    "  queues: [{name: q, type: classic}]\n"
                    "  bindings: [{exchange: e, queue: q, arguments: {a: 1}},\n"
                    "             {exchange: e, queue: q, arguments: {b: x, a: 2}},\n"
                    "             {exchange: e, queue: q, arguments: {a: 3}}]\n",
           "declare binding of queue 'q' to exchange 'e' with key '' (arguments, a=4)\n"
           "left over binding of queue 'q' to exchange 'e' with key '' (arguments, a=1)\n"
           "left over binding of queue 'q' to exchange 'e' with key '' (arguments, a=3)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(what_differs),
        cmocka_unit_test(arguments_that_mean_nothing),
        cmocka_unit_test(the_limit_that_is_added),
        cmocka_unit_test(what_others_declare),
        cmocka_unit_test(bindings_to_nothing),
        cmocka_unit_test(bindings_left_over),
        cmocka_unit_test(names_of_both_kinds),
        cmocka_unit_test(what_is_shared),
        cmocka_unit_test(bindings_with_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
