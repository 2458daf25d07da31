#include <string.h>

#include "command/cli/print.h"
#include "command/topology/command_topology.h"
#include "command/topology/topology_apply.h"
#include "command/topology/topology_json.h"
#include "command/topology/topology_print.h"

struct apply {
    struct broker_options broker; /* first */
    bool prune;
    bool json;
    struct cli *cli;
    struct config *config;
    struct topology_view view;
    struct config_topology round; /* what is declared */
    json_t *refusals;             /* {"item", "code", "broker_says"} of it */
    json_t *removals;             /* what was removed */
    size_t failures;              /* removals that failed */
    size_t kept;                  /* left over, and not removed */
};

static const struct cli_option options[] = {
    TOPOLOGY_ROWS("The worker's configuration"),
    CLI_FLAG("prune", '\0', "Also remove bindings of its queues that the file does not have",
             struct apply, prune),
    CLI_FLAG("json", '\0', "Print what was done as JSON", struct apply, json), CLI_END};

/* ---- what is declared: what is missing, or all where nobody knows ---- */

static size_t pick_exchanges(const struct topology_steps *steps, struct config_exchange *to)
{
    size_t count = 0;

    for (size_t i = 0; i < steps->count; i++)
        if (steps->steps[i].kind == TOPOLOGY_DECLARE && steps->steps[i].item.exchange)
            to[count++] = *steps->steps[i].item.exchange;
    return count;
}

static size_t pick_queues(const struct topology_steps *steps, struct config_queue *to)
{
    size_t count = 0;

    for (size_t i = 0; i < steps->count; i++)
        if (steps->steps[i].kind == TOPOLOGY_DECLARE && steps->steps[i].item.queue)
            to[count++] = *steps->steps[i].item.queue;
    return count;
}

static size_t pick_bindings(const struct topology_steps *steps, struct config_binding *to)
{
    size_t count = 0;

    for (size_t i = 0; i < steps->count; i++)
        if (steps->steps[i].kind == TOPOLOGY_DECLARE && steps->steps[i].item.binding)
            to[count++] = *steps->steps[i].item.binding;
    return count;
}

static bool pick_round(struct apply *apply)
{
    const struct topology_steps *steps = &apply->view.steps;
    struct arena *arena = &apply->view.arena;
    struct config_exchange *exchanges = arena_alloc(arena, (steps->count + 1) * sizeof *exchanges);
    struct config_queue *queues = arena_alloc(arena, (steps->count + 1) * sizeof *queues);
    struct config_binding *bindings = arena_alloc(arena, (steps->count + 1) * sizeof *bindings);

    if (!exchanges || !queues || !bindings)
        return false;
    apply->round = apply->view.wanted.topology;
    if (!apply->view.whole)
        return true;
    apply->round = (struct config_topology){
        .exchanges = exchanges,
        .exchange_count = pick_exchanges(steps, exchanges),
        .queues = queues,
        .queue_count = pick_queues(steps, queues),
        .bindings = bindings,
        .binding_count = pick_bindings(steps, bindings),
    };
    return true;
}

static size_t round_count(const struct apply *apply)
{
    return apply->round.exchange_count + apply->round.queue_count + apply->round.binding_count;
}

static void on_refused(void *user, const char *item, uint16_t code, const char *text)
{
    struct apply *apply = user;

    json_array_append_new(apply->refusals,
                          json_pack("{s:o, s:i, s:o}", "item", cli_json_text(item), "code",
                                    (int)code, "broker_says", cli_json_text(text)));
}

/* ---- what is removed, once all else is there ---- */

static void remove_one(struct apply *apply, const struct topology_step *step)
{
    const struct config_binding *binding = step->item.binding;
    const struct management_topology *found = &apply->view.found;
    struct warren_error error = {WARREN_OK, ""};

    if (management_unbind(apply->view.management, binding,
                          found->binding_keys[binding - found->topology.bindings],
                          &error) == WARREN_OK) {
        json_array_append_new(apply->removals, topology_json_item(&step->item));
        return;
    }
    apply->failures++;
    cli_failed(apply->cli, "%s", error.text);
}

/* Whoever has moved a binding shall have the new one before the old one goes. */
static void remove_left_over(struct apply *apply)
{
    const struct topology_steps *steps = &apply->view.steps;
    bool removes = apply->prune && json_array_size(apply->refusals) == 0 &&
                   topology_steps_count(steps, TOPOLOGY_ABSENT) == 0;

    for (size_t i = 0; i < steps->count; i++) {
        if (steps->steps[i].kind != TOPOLOGY_LEFT_OVER)
            continue;
        if (removes)
            remove_one(apply, &steps->steps[i]);
        else
            apply->kept++;
    }
}

/* ---- what is told ---- */

static void print_refusals(const struct apply *apply)
{
    json_t *refusal;
    size_t i;

    json_array_foreach(apply->refusals, i, refusal)
    {
        int code = (int)json_integer_value(json_object_get(refusal, "code"));
        const char *item = json_string_value(json_object_get(refusal, "item"));
        const char *words = json_string_value(json_object_get(refusal, "broker_says"));

        if (code > 0)
            cli_failed(apply->cli, "%s: %d %s", item, code, words);
        else
            cli_failed(apply->cli, "%s: %s", item, words);
    }
}

static void print_text(const struct apply *apply)
{
    size_t declared = round_count(apply) - json_array_size(apply->refusals);
    size_t removed = json_array_size(apply->removals);

    if (apply->view.whole)
        topology_print_plan(&apply->view);
    if (apply->view.whole && declared + removed + json_array_size(apply->refusals) == 0)
        return;
    printf("Done: %zu declared%s", declared,
           apply->view.whole ? "" : " (what was there already is as it was)");
    if (removed > 0 || (apply->view.whole && apply->kept == 0))
        printf(", %zu removed", removed);
    putchar('\n');
}

static void tell(struct apply *apply)
{
    json_t *object;

    if (!apply->json) {
        print_text(apply);
        fflush(stdout);
        if (apply->kept > 0 && !apply->prune)
            cli_warn(apply->cli, "%zu left over: --prune removes them", apply->kept);
        else if (apply->kept > 0)
            cli_warn(apply->cli, "nothing was removed, for something was refused or is missing");
        print_refusals(apply);
        return;
    }
    object = topology_json_plan(&apply->view);
    json_object_set_new(
        object, "declared",
        json_integer((json_int_t)(round_count(apply) - json_array_size(apply->refusals))));
    json_object_set(object, "removed", apply->removals);
    json_object_set(object, "refused_now", apply->refusals);
    cli_print_json(object);
}

/* What is as the file wants, but for what may stay. */
static enum cli_status result_of(const struct apply *apply)
{
    const struct topology_steps *steps = &apply->view.steps;
    size_t undone = json_array_size(apply->refusals) + apply->failures;

    if (apply->view.whole)
        undone += topology_steps_count(steps, TOPOLOGY_DIFFERENT) +
                  topology_steps_count(steps, TOPOLOGY_ABSENT);
    if (undone == 0)
        return CLI_OK;
    return cli_failed(apply->cli, "%zu item%s not as the file wants", undone,
                      undone == 1 ? " is" : "s are");
}

/* ---- all of it ---- */

static enum cli_status apply_all(struct apply *apply)
{
    struct warren_error error = {WARREN_OK, ""};

    if (topology_view_init(&apply->view, apply->config, &error) != WARREN_OK)
        return cli_error(apply->cli, &error);
    if (!apply->view.whole && apply->prune)
        return cli_failed(apply->cli, "--prune needs to see which bindings there are: %s",
                          apply->view.why);
    if (!apply->view.whole && *apply->config->broker.management)
        cli_warn(apply->cli, "%s", apply->view.why);
    if (!pick_round(apply))
        return cli_failed(apply->cli, "no memory");
    if (round_count(apply) > 0 &&
        topology_apply(apply->config, &apply->round, on_refused, apply, &error) != WARREN_OK) {
        print_refusals(apply);
        return cli_error(apply->cli, &error);
    }
    if (apply->view.whole)
        remove_left_over(apply);
    tell(apply);
    return result_of(apply);
}

static enum cli_status run(struct cli *cli)
{
    struct apply apply = {.cli = cli};
    enum cli_status result;

    if (!topology_request(&apply.broker, cli, true, &apply.config))
        return cli->status;
    apply.refusals = json_array();
    apply.removals = json_array();
    result = apply_all(&apply);
    json_decref(apply.refusals);
    json_decref(apply.removals);
    topology_view_done(&apply.view);
    config_free(apply.config);
    return result;
}

const struct command command_topology_apply = {
    .name = "topology apply",
    .arguments = "-c FILE [--prune]",
    .summary = "Declare what a file wants and a broker lacks",
    .options = options,
    .run = run,
    .details =
        "What `warren topology plan` shows is done: what is missing is declared, and then, with\n"
        "--prune, bindings of the file's queues and exchanges that the file does not have are\n"
        "removed; without it they stay. Nothing is removed if something was refused or is missing. "
        "Exchanges "
        "and\n"
        "queues are never deleted, and what is there with other arguments stays as it is.\n"
        "Without RabbitMQ's management API all of the file is declared, and --prune refused.\n\n"
        "Exit status: 0 if the broker has what the file wants now, 1 if something was refused, is\n"
        "another, or cannot be done, 2 for a wrong command line or configuration.\n",
};
