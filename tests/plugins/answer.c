/* answer.c - a handler that answers requests.
 *
 *   answer.echo   replies `times` times with the body it got behind "re: ", as text/plain; it waits
 *                 first, while the file `gate` exists
 *   answer.mute   acks, and never replies
 */
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <warren/handler.h>

static const struct warren_option echo_options[] = {
    {"gate", WARREN_OPTION_STRING, "", 0, 0, NULL, "While this file exists, requests wait."},
    {"times", WARREN_OPTION_INT, "1", 1, 10, NULL, "How many replies."},
    {0}};

static enum warren_status echo_open(const struct warren_subscription_info *info, void **state,
                                    struct warren_error *error)
{
    (void)error;
    *state = (void *)(uintptr_t)info->options;
    return WARREN_OK;
}

static void wait_at(const char *gate, struct warren_job *job)
{
    const struct timespec rest = {.tv_nsec = 5000000};

    while (*gate && access(gate, F_OK) == 0 && !warren_job_cancelled(job))
        nanosleep(&rest, NULL);
}

static enum warren_outcome echo(struct warren_job *job, void *state)
{
    const struct warren_options *options = state;
    struct warren_bytes body = warren_job_body(job);
    struct warren_message reply = {.properties.content_type = "text/plain"};
    char *text = warren_job_alloc(job, body.len + 4);

    wait_at(warren_options_text(options, "gate"), job);
    if (!text)
        return WARREN_RETRY;
    memcpy(text, "re: ", 4);
    if (body.len > 0)
        memcpy(text + 4, body.data, body.len);
    reply.body = (struct warren_bytes){text, body.len + 4};
    for (int64_t i = 0; i < warren_options_int(options, "times"); i++)
        if (warren_job_reply(job, &reply) != WARREN_OK)
            return WARREN_REJECT;
    return WARREN_ACK;
}

static enum warren_outcome mute(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {
    {.name = "echo",
     .help = "Answers each request with its body.",
     .options = echo_options,
     .open = echo_open,
     .handle = echo},
    {.name = "mute", .help = "Never answers.", .handle = mute},
    {0}};

WARREN_PLUGIN(.name = "answer", .version = "1.0.0", .handlers = handlers)
