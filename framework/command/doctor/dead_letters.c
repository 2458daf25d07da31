/* dead_letters.c - do dead letters come back to where they died? The queues of a configuration are
 * a graph: an arrow from a queue to each queue that its dead letters can reach through exchanges
 * and bindings of the file. What others bound, and policies, are not seen.
 *
 * RabbitMQ drops a message that goes round by expiry alone, and lets one that is rejected go round
 * for ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/doctor/doctor.h"
#include "command/doctor/judge.h"

#define PATH_TEXT_MAX 1024

struct arrow {
    size_t to;
    bool certain; /* whatever the message */
};

struct node {
    const char *name;
    const struct config_queue *queue; /* NULL: it is consumed, and not in the topology */
    struct arrow *arrows;
    size_t arrow_count;
    size_t arrow_room;
    /* Of the search at hand: */
    size_t from; /* the node before it; NONE: not reached */
    bool certain;
};

struct graph {
    const struct config_topology *topology;
    struct node *nodes;
    size_t count;
    bool no_memory;
};

/* What is being routed: with a key that is known, or not. */
struct letter {
    size_t from;
    const char *key;
    bool certain;
};

#define NONE SIZE_MAX
/* Exchanges in a row; longer chains are not followed. */
#define DEPTH_MAX 8

static size_t find_node(const struct graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->count; i++)
        if (strcmp(graph->nodes[i].name, name) == 0)
            return i;
    return NONE;
}

static void add_arrow(struct graph *graph, size_t from, size_t to, bool certain)
{
    struct node *node = &graph->nodes[from];
    struct arrow *arrows = node->arrows;

    for (size_t i = 0; i < node->arrow_count; i++) {
        if (arrows[i].to != to)
            continue;
        arrows[i].certain = arrows[i].certain || certain;
        return;
    }
    if (node->arrow_count == node->arrow_room) {
        node->arrow_room = node->arrow_room ? 2 * node->arrow_room : 4;
        arrows = reallocarray(arrows, node->arrow_room, sizeof *arrows);
        if (!arrows) {
            graph->no_memory = true;
            node->arrow_room = node->arrow_count;
            return;
        }
        node->arrows = arrows;
    }
    node->arrows[node->arrow_count++] = (struct arrow){to, certain};
}

/* ---- routing ---- */

/* One word of a key or pattern; "" at the end. @return its length */
static size_t word(const char *text)
{
    return strcspn(text, ".");
}

static const char *behind(const char *text, size_t len)
{
    return text[len] == '.' ? text + len + 1 : NULL;
}

/* AMQP 0-9-1, section 3.1.3.3. NULL: no word is left. */
static bool topic_matches(const char *pattern, const char *key)
{
    size_t pattern_len;
    size_t key_len;

    if (!pattern)
        return !key;
    pattern_len = word(pattern);
    if (pattern_len == 1 && *pattern == '#')
        return topic_matches(behind(pattern, 1), key) ||
               (key && topic_matches(pattern, behind(key, word(key))));
    if (!key)
        return false;
    key_len = word(key);
    if (!(pattern_len == 1 && *pattern == '*') &&
        (pattern_len != key_len || memcmp(pattern, key, key_len) != 0))
        return false;
    return topic_matches(behind(pattern, pattern_len), behind(key, key_len));
}

/* "" if nobody says it. */
static const char *type_of(const struct config_topology *topology, const char *name)
{
    const struct config_exchange *exchange = config_find_exchange(topology, name);

    if (exchange)
        return exchange->type;
    return strncmp(name, "amq.", 4) == 0 ? name + 4 : "";
}

enum passes { NEVER, PERHAPS, ALWAYS };

static enum passes passes(const char *type, const struct config_binding *binding, const char *key)
{
    if (strcmp(type, "fanout") == 0)
        return ALWAYS;
    if (strcmp(type, "topic") == 0 && strcmp(binding->routing_key, "#") == 0)
        return ALWAYS;
    if (!key)
        return PERHAPS;
    if (strcmp(type, "direct") == 0)
        return strcmp(binding->routing_key, key) == 0 ? ALWAYS : NEVER;
    if (strcmp(type, "topic") == 0)
        return topic_matches(binding->routing_key, key) ? ALWAYS : NEVER;
    return PERHAPS;
}

static void route(struct graph *graph, struct letter letter, const char *exchange, int depth)
{
    const struct config_topology *topology = graph->topology;
    const char *type = type_of(topology, exchange);

    if (!*exchange) {
        /* Without a key of its own a letter keeps that by which it came, which may be this queue's
         * name. */
        size_t to = letter.key ? find_node(graph, letter.key) : letter.from;

        if (to != NONE)
            add_arrow(graph, letter.from, to, letter.certain && letter.key);
        return;
    }
    for (size_t i = 0; depth < DEPTH_MAX && i < topology->binding_count; i++) {
        const struct config_binding *binding = &topology->bindings[i];
        struct letter next = letter;
        enum passes how;
        size_t to;

        if (strcmp(binding->source, exchange) != 0)
            continue;
        how = passes(type, binding, letter.key);
        next.certain = letter.certain && how == ALWAYS;
        if (how == NEVER)
            continue;
        to = binding->to_exchange ? NONE : find_node(graph, binding->destination);
        if (binding->to_exchange)
            route(graph, next, binding->destination, depth + 1);
        else if (to != NONE)
            add_arrow(graph, letter.from, to, next.certain);
    }
}

/* ---- the graph ---- */

static const char *text_argument(const struct config_queue *queue, const char *name)
{
    const struct warren_value *value = queue ? warren_table_get(&queue->arguments, name) : NULL;

    return value && value->type == WARREN_STRING ? value->as.bytes.data : NULL;
}

static void add_node(struct graph *graph, const char *name)
{
    if (find_node(graph, name) == NONE)
        graph->nodes[graph->count++] =
            (struct node){.name = name, .queue = config_find_queue(graph->topology, name)};
}

static bool graph_init(struct graph *graph, const struct config *config)
{
    const struct config_topology *topology = &config->topology;
    size_t most = topology->queue_count + config->subscription_count;

    *graph = (struct graph){.topology = topology, .nodes = calloc(most + 1, sizeof(struct node))};
    if (!graph->nodes)
        return false;
    for (size_t i = 0; i < topology->queue_count; i++)
        add_node(graph, topology->queues[i].name);
    for (size_t i = 0; i < config->subscription_count; i++)
        add_node(graph, config->subscriptions[i].queue);
    for (size_t i = 0; i < graph->count; i++) {
        const struct config_queue *queue = graph->nodes[i].queue;
        const char *exchange = text_argument(queue, "x-dead-letter-exchange");
        struct letter letter = {i, text_argument(queue, "x-dead-letter-routing-key"), true};

        if (exchange)
            route(graph, letter, exchange, 0);
    }
    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *subscription = &config->subscriptions[i];

        if (subscription->dead_exchange) /* what the worker itself publishes there */
            route(graph, (struct letter){find_node(graph, subscription->queue), NULL, true},
                  subscription->dead_exchange, 0);
    }
    return !graph->no_memory;
}

static void graph_done(struct graph *graph)
{
    for (size_t i = 0; i < graph->count; i++)
        free(graph->nodes[i].arrows);
    free(graph->nodes);
}

/* ---- circles ---- */

/* Breadth first from @start, among it and those behind it, so that each circle is found once.
 * @queue has room for all. @return whether the way leads back: then `from` of @start is the last
 * before */
static bool comes_back(struct graph *graph, size_t start, size_t *queue)
{
    size_t head = 0;
    size_t tail = 0;

    for (size_t i = start; i < graph->count; i++)
        graph->nodes[i].from = NONE;
    graph->nodes[start].certain = true;
    queue[tail++] = start;
    while (head < tail) {
        size_t at = queue[head++];
        const struct node *node = &graph->nodes[at];

        for (size_t i = 0; i < node->arrow_count; i++) {
            const struct arrow *arrow = &node->arrows[i];
            struct node *to = &graph->nodes[arrow->to];

            if (arrow->to < start || to->from != NONE)
                continue;
            to->from = at;
            to->certain = node->certain && arrow->certain;
            if (arrow->to == start)
                return true;
            queue[tail++] = arrow->to;
        }
    }
    return false;
}

/* "a > b > a"; @ret_waits: something on the way expires */
static void describe(const struct graph *graph, size_t start, char *text, bool *ret_waits)
{
    size_t way[DEPTH_MAX];
    size_t count = 0;
    size_t at = start;
    size_t len;

    *ret_waits = false;
    do {
        const struct config_queue *queue = graph->nodes[at].queue;

        if (queue && warren_table_get(&queue->arguments, "x-message-ttl"))
            *ret_waits = true;
        if (count < DEPTH_MAX)
            way[count++] = at;
        at = graph->nodes[at].from;
    } while (at != start);
    len = (size_t)snprintf(text, PATH_TEXT_MAX, "'%s'", graph->nodes[start].name);
    while (--count > 0 && len < PATH_TEXT_MAX)
        len += (size_t)snprintf(text + len, PATH_TEXT_MAX - len, " > '%s'",
                                graph->nodes[way[count]].name);
    if (len < PATH_TEXT_MAX)
        snprintf(text + len, PATH_TEXT_MAX - len, " > '%s'", graph->nodes[start].name);
}

static void tell(struct findings *findings, const struct graph *graph, size_t start)
{
    static const char name[] = "dead-letter-cycles";
    static const char advice[] = "bind the dead-letter exchange to another queue";
    char way[PATH_TEXT_MAX];
    bool waits;

    describe(graph, start, way, &waits);
    if (waits)
        findings_warn(findings, name, "let retry wait: it counts attempts (docs/dead-letters.md)",
                      "dead letters come back after a time: %s: the broker drops what goes round "
                      "without having been rejected",
                      way);
    else if (graph->nodes[start].certain)
        findings_fail(findings, name, advice,
                      "dead letters come back at once: %s: rejected ones for ever, others are "
                      "dropped by the broker",
                      way);
    else
        findings_warn(findings, name, advice,
                      "dead letters may come back, by their routing key: %s", way);
}

void judge_dead_letter_cycles(struct findings *findings, const struct config *config)
{
    struct graph graph;
    bool complete = graph_init(&graph, config);
    size_t *queue = complete ? calloc(graph.count + 1, sizeof *queue) : NULL;
    size_t found = 0;

    for (size_t i = 0; queue && i < graph.count; i++) {
        if (!comes_back(&graph, i, queue))
            continue;
        tell(findings, &graph, i);
        found++;
    }
    if (!queue)
        findings_fail(findings, "dead-letter-cycles", NULL, "no memory to look for them");
    else if (found == 0)
        findings_ok(findings, "dead-letter-cycles",
                    "none among the %zu queue%s of the configuration", graph.count,
                    graph.count == 1 ? "" : "s");
    free(queue);
    graph_done(&graph);
}

void check_dead_letter_cycles(struct doctor *doctor)
{
    judge_dead_letter_cycles(&doctor->findings, doctor->config);
}
