/* topology_print.c - see topology_print.h. */
#include "command/topology/topology_print.h"

#include <stdio.h>
#include <string.h>

#include "command/cli/cli.h"
#include "command/cli/print.h"
#include "command/topology/topology_yaml.h"

/* How each kind of step is shown. */
static const struct look {
    const char *mark;
    const char *colour;
    const char *count; /* in the last line; NULL: not counted */
} looks[] = {
    [TOPOLOGY_DECLARE] = {"+", "\033[32m", "to declare"},
    [TOPOLOGY_DIFFERENT] = {"!", "\033[31m", "there with other arguments"},
    [TOPOLOGY_REFUSED] = {"!", "\033[31m", "refused"},
    [TOPOLOGY_ABSENT] = {"?", "\033[31m", "missing that nobody declares"},
    [TOPOLOGY_LEFT_OVER] = {"-", "\033[33m", "left over"},
    [TOPOLOGY_AS_IT_IS] = {"=", "", NULL},
};

#define KINDS (sizeof looks / sizeof *looks)

size_t topology_changes(const struct topology_view *view)
{
    size_t changes = 0;

    for (size_t i = 0; i < view->steps.count; i++)
        changes += topology_step_is_change(&view->steps.steps[i]);
    return changes;
}

static void print_safe(const char *text)
{
    cli_write_safe(stdout, text, strlen(text));
}

/* ---- one step ---- */

static void print_value(const struct warren_value *value)
{
    if (value->type == 0)
        fputs("none", stdout);
    else
        topology_yaml_value(stdout, value);
}

/* "queue 'payments' (quorum, durable)", but for those of which more is said below. */
static void print_item(const struct declare_item *item, bool name_only)
{
    char text[DECLARE_TEXT_MAX];
    const char *bracket;

    declare_text(item, text);
    bracket = name_only ? strstr(text, "' (") : NULL;
    cli_write_safe(stdout, text, bracket ? (size_t)(bracket - text) + 1 : strlen(text));
}

/* Two may differ in their arguments alone. */
static void print_binding(const struct config_binding *binding)
{
    struct config_binding plain = *binding;
    char text[DECLARE_TEXT_MAX];

    plain.arguments.count = 0;
    declare_text(&(struct declare_item){.binding = &plain}, text);
    print_safe(text);
    if (binding->arguments.count == 0)
        return;
    fputs(" and arguments ", stdout);
    topology_yaml_value(
        stdout, &(struct warren_value){.type = WARREN_TABLE, .as.table = binding->arguments});
}

/* What a policy can set, and so need not be declared. */
static bool is_for_policy(const char *name)
{
    static const char *const names[] = {"x-message-ttl",
                                        "x-expires",
                                        "x-max-length",
                                        "x-max-length-bytes",
                                        "x-overflow",
                                        "x-dead-letter-exchange",
                                        "x-dead-letter-routing-key",
                                        "x-dead-letter-strategy",
                                        "x-delivery-limit",
                                        "x-max-age",
                                        "alternate-exchange",
                                        NULL};

    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_all_for_policy(const struct topology_step *step)
{
    for (size_t i = 0; i < step->difference_count; i++)
        if (!is_for_policy(step->differences[i].what))
            return false;
    return step->difference_count > 0;
}

const char *topology_remedy(const struct topology_step *step)
{
    const char *name = step->item.exchange ? step->item.exchange->name : step->item.queue->name;

    if (topology_is_delay(name))
        return "let it run empty, delete it, and apply: it is warren's, and no file can have it "
               "otherwise";
    if (step->item.exchange)
        return "write into the file what the broker has, or delete the exchange (its bindings go "
               "with it) and apply";
    if (is_all_for_policy(step))
        return "write into the file what the broker has; or take it out of the file, and set it by "
               "a policy; or let the queue run empty, delete it, and apply";
    return "write into the file what the broker has; or let the queue run empty, delete it, and "
           "apply";
}

/* The limit that a file without one stands for. */
static bool is_added_limit(const struct topology_step *step, const char *what)
{
    return step->item.queue && step->item.queue->limit_added &&
           strcmp(what, CONFIG_DELIVERY_LIMIT) == 0;
}

static void print_words(const struct topology_step *step)
{
    if (!step->words)
        return;
    fputs("      the broker says: ", stdout);
    print_safe(step->words);
    putchar('\n');
}

static void print_differences(const struct topology_step *step)
{
    for (size_t i = 0; i < step->difference_count; i++) {
        const struct topology_difference *difference = &step->differences[i];

        fputs("      ", stdout);
        print_safe(difference->what);
        fputs(": ", stdout);
        print_value(&difference->file);
        fputs(is_added_limit(step, difference->what) ? " as warren adds it, " : " in the file, ",
              stdout);
        print_value(&difference->broker);
        fputs(" at the broker\n", stdout);
    }
    print_words(step);
    printf("      to do: %s\n", topology_remedy(step));
}

static void print_absent(const struct topology_step *step)
{
    char text[DECLARE_TEXT_MAX];

    if (!step->item.binding) {
        fputs(": it is not there, and passive: somebody else is to declare it", stdout);
        return;
    }
    declare_text(&step->missing, text);
    fputs(": there is no ", stdout);
    cli_write_safe(stdout, text, strlen(text) - strlen(" (passive)"));
    fputs(", and nobody declares it", stdout);
}

void topology_print_step(const struct topology_step *step)
{
    bool colour = cli_colour(stdout);
    bool name_only = step->kind != TOPOLOGY_DECLARE;

    printf("  %s%s ", colour ? looks[step->kind].colour : "", looks[step->kind].mark);
    if (step->item.binding)
        print_binding(step->item.binding);
    else
        print_item(&step->item, name_only);
    if (step->kind == TOPOLOGY_DIFFERENT)
        fputs(" is there with other arguments; they never change", stdout);
    else if (step->kind == TOPOLOGY_ABSENT)
        print_absent(step);
    else if (step->kind == TOPOLOGY_REFUSED)
        fputs(": refused", stdout);
    else if (step->kind == TOPOLOGY_LEFT_OVER)
        fputs(": not in the file", stdout);
    else if (step->kind == TOPOLOGY_AS_IT_IS)
        fputs(" has no " CONFIG_DELIVERY_LIMIT ", and is taken as it is", stdout);
    puts(colour && *looks[step->kind].colour ? "\033[0m" : "");
    if (step->kind == TOPOLOGY_DIFFERENT)
        print_differences(step);
    else
        print_words(step);
}

/* ---- a plan ---- */

static size_t bindings_wanted(const struct topology_view *view)
{
    return view->wanted.topology.binding_count;
}

/* What only the management API tells. */
static void print_unseen(const struct topology_view *view)
{
    fputs("Not seen: ", stdout);
    print_safe(view->why);
    printf("\n"
           "  - whether the %zu binding%s of the file %s there, and which others are\n"
           "  - of a queue or an exchange with other arguments: more than the first that differs\n"
           "  - delay queues\n",
           bindings_wanted(view), bindings_wanted(view) == 1 ? "" : "s",
           bindings_wanted(view) == 1 ? "is" : "are");
}

static void print_counts(const struct topology_view *view)
{
    const char *comma = "";

    for (size_t kind = 0; kind < KINDS; kind++) {
        size_t count = topology_steps_count(&view->steps, (enum topology_step_kind)kind);

        if (count == 0 || !looks[kind].count)
            continue;
        printf("%s%zu %s", comma, count, looks[kind].count);
        comma = ", ";
    }
    puts(*comma        ? ""
         : view->whole ? "Nothing to do: the broker has what the file wants."
                       : "Nothing to do, as far as it was seen.");
}

void topology_print_plan(const struct topology_view *view)
{
    print_safe(view->where);
    if (view->whole) {
        fputs(", virtual host ", stdout);
        topology_yaml_text(stdout, view->vhost, strlen(view->vhost));
    }
    putchar('\n');
    for (size_t i = 0; i < view->steps.count; i++)
        topology_print_step(&view->steps.steps[i]);
    if (view->wanted.exclusive > 0)
        printf("Not looked at: %zu exclusive queue%s, which only a running worker can have\n",
               view->wanted.exclusive, view->wanted.exclusive == 1 ? "" : "s");
    if (view->found.skipped > 0)
        printf("Not looked at: %zu of the broker's items, with a NUL in a text, or an argument "
               "without a name\n",
               view->found.skipped);
    if (!view->whole)
        print_unseen(view);
    print_counts(view);
}
