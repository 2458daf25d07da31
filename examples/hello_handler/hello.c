/* hello.c - a whole plugin: `hello.greet` logs each message, with a greeting from its options. */
#include <stdio.h>
#include <stdlib.h>

#include <warren/handler.h>

struct greeter {
    const char *greeting; /* lives as long as the options: from open to close */
};

static enum warren_status greet_open(const struct warren_subscription_info *info, void **state,
                                     struct warren_error *error)
{
    struct greeter *greeter = malloc(sizeof *greeter);

    if (!greeter) {
        snprintf(error->text, sizeof error->text, "no memory");
        return WARREN_ENOMEM;
    }
    greeter->greeting = warren_options_text(info->options, "greeting");
    *state = greeter;
    return WARREN_OK;
}

/* Runs on several threads at once; @state is only read here. */
static enum warren_outcome greet(struct warren_job *job, void *state)
{
    const struct greeter *greeter = state;
    struct warren_bytes body = warren_job_body(job);

    if (body.len == 0) {
        warren_job_fail(job, "there is nobody to greet");
        return WARREN_REJECT; /* it will never succeed: dead-letter it */
    }
    warren_job_log(job, WARREN_LOG_INFO, "%s, %.*s!", greeter->greeting, (int)body.len,
                   (const char *)body.data);
    return WARREN_ACK;
}

static void greet_close(void *state)
{
    free(state);
}

static const struct warren_option greet_options[] = {
    {.name = "greeting",
     .type = WARREN_OPTION_STRING,
     .fallback = "Hello",
     .help = "How to greet."},
    {0},
};

static const struct warren_handler handlers[] = {
    {.name = "greet",
     .help = "Log a greeting for each message.",
     .options = greet_options,
     .open = greet_open,
     .handle = greet,
     .close = greet_close},
    {0},
};

WARREN_PLUGIN(.name = "hello", .version = "1.0.0", .handlers = handlers)
