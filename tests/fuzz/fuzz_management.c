/* fuzz_management.c - an answer of RabbitMQ's management API: behind e, q or b a list of exchanges,
 * queues or bindings. What is taken of it is exported as YAML, reads back, and is the same then.
 */
#include <stdlib.h>
#include <string.h>

#include "amqp/topology/topology_diff.h"
#include "command/topology/management_items.h"
#include "command/topology/topology_yaml.h"
#include "fuzz/fuzz.h"

static enum warren_status read_list(char kind, const char *body, size_t len, struct arena *arena,
                                    struct management_topology *ret, struct warren_error *error)
{
    if (kind == 'e')
        return management_read_exchanges(body, len, arena, ret, error);
    return kind == 'q' ? management_read_queues(body, len, arena, ret, error)
                       : management_read_bindings(body, len, arena, ret, error);
}

/* Bindings have ends, or they would be left out. */
static void add_ends(struct management_topology *found, struct arena *arena)
{
    struct config_topology *topology = &found->topology;
    size_t count = topology->binding_count;
    struct config_exchange *exchanges = arena_alloc(arena, (count + 1) * sizeof *exchanges);
    struct config_queue *queues = arena_alloc(arena, (count + 1) * sizeof *queues);

    fuzz_expect(exchanges && queues, "memory");
    if (count == 0)
        return;
    exchanges[0] = (struct config_exchange){
        .name = topology->bindings[0].destination, .type = "topic", .durable = true};
    queues[0] = (struct config_queue){
        .name = topology->bindings[0].destination, .type = "classic", .durable = true};
    topology->exchanges = exchanges;
    topology->queues = queues;
    topology->exchange_count = topology->queue_count = 1;
}

static void read_back(const struct config_topology *found, struct arena *arena)
{
    struct topology_yaml_left_out left;
    struct topology_steps steps;
    struct warren_error error = {WARREN_OK, ""};
    struct config *config = NULL;
    char *yaml = NULL;
    size_t len;
    FILE *out = open_memstream(&yaml, &len);
    enum warren_status status;

    fuzz_expect(topology_yaml_write(out, found, arena, &left), "memory");
    fclose(out);
    status = config_load_text(yaml, "export.yaml", NULL, NULL, 0, &config, &error);
    fuzz_expect(status == WARREN_OK || strstr(error.text, "stands twice"), error.text);
    if (status == WARREN_OK) {
        const struct topology_pair pair = {.wanted = &config->topology, .found = found};

        fuzz_expect(topology_diff(&pair, arena, &steps) == WARREN_OK, "memory");
        for (size_t i = 0; i < steps.count; i++)
            fuzz_expect(!topology_step_is_change(&steps.steps[i]), "an export that is the same");
    }
    config_free(config);
    free(yaml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct management_topology found = {.skipped = 0};
    struct warren_error error = {WARREN_OK, ""};
    struct arena arena;

    if (size == 0)
        return 0;
    arena_init(&arena);
    if (read_list((char)data[0], (const char *)data + 1, size - 1, &arena, &found, &error) ==
        WARREN_OK) {
        add_ends(&found, &arena);
        read_back(&found.topology, &arena);
    } else {
        fuzz_expect(error.text[0] != '\0', "an error with words");
    }
    arena_done(&arena);
    return 0;
}
