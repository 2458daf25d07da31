/* act.c - a handler that follows the script in its message, and a middleware that tells what came
 * of it.
 *
 *   act.script   the body has one word for each call, the last one for all further ones: an
 * outcome, or one with what is said, "reject:no such card"; "later" (RETRY after 5 ms), "forgiven"
 * (the same, not counted), "panic", "odd" (REJECT for a reason of its own), "publish" (to the queue
 * `nowhere`), "gated" (ACK once the file `gate` is there). Words are parted by commas. Its key is
 * the header `order`. act.witness  appends a line to `path`: message id, attempt, outcome, error;
 * parted by tabs
 *
 * How often a message came is counted in this process.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <warren/middleware.h>

#define IDS_MAX  64
#define ID_SIZE  64
#define WORD_MAX 128

/* ---- script ---- */

struct script {
    const char *gate;
    pthread_mutex_t mutex; /* guards all that follows */
    struct {
        char id[ID_SIZE];
        unsigned calls;
    } seen[IDS_MAX];
    size_t count;
};

static const struct warren_option script_options[] = {
    {"gate", WARREN_OPTION_PATH, "gate", 0, 0, NULL, "The file that `gated` waits for."}, {0}};

static enum warren_status script_open(const struct warren_subscription_info *info, void **state,
                                      struct warren_error *error)
{
    struct script *script = calloc(1, sizeof *script);

    (void)error;
    if (!script)
        return WARREN_ENOMEM;
    script->gate = warren_options_text(info->options, "gate");
    pthread_mutex_init(&script->mutex, NULL);
    *state = script;
    return WARREN_OK;
}

static void script_close(void *state)
{
    struct script *script = state;

    pthread_mutex_destroy(&script->mutex);
    free(script);
}

static unsigned calls_before(struct script *script, const char *id)
{
    unsigned calls = 0;
    size_t at = 0;

    pthread_mutex_lock(&script->mutex);
    while (at < script->count && strcmp(script->seen[at].id, id) != 0)
        at++;
    if (at == script->count && at < IDS_MAX)
        snprintf(script->seen[script->count++].id, ID_SIZE, "%s", id);
    if (at < IDS_MAX)
        calls = script->seen[at].calls++;
    pthread_mutex_unlock(&script->mutex);
    return calls;
}

static void find_word(struct warren_bytes body, unsigned number, char word[WORD_MAX])
{
    const char *at = body.data;
    const char *end = at + body.len;
    const char *comma;

    while (number-- > 0 && (comma = memchr(at, ',', (size_t)(end - at))))
        at = comma + 1;
    comma = memchr(at, ',', (size_t)(end - at));
    snprintf(word, WORD_MAX, "%.*s", (int)((comma ? comma : end) - at), at);
}

static enum warren_outcome obey(struct warren_job *job, const char *word)
{
    struct warren_message copy = {.body = warren_job_body(job)};

    if (strcmp(word, "panic") == 0)
        warren_panic(job, "it is too much");
    if (strcmp(word, "publish") == 0)
        return warren_job_publish(job, "", "nowhere", &copy) == WARREN_OK ? WARREN_ACK
                                                                          : WARREN_REJECT;
    if (strcmp(word, "odd") == 0) {
        warren_job_reason(job, "odd");
        return WARREN_REJECT;
    }
    if (strcmp(word, "forgiven") == 0)
        warren_job_forgive(job);
    if (strcmp(word, "forgiven") == 0 || strcmp(word, "later") == 0)
        warren_job_retry_after(job, 5);
    for (int i = WARREN_ACK; i <= WARREN_REQUEUE; i++)
        if (strcmp(word, warren_outcome_name((enum warren_outcome)i)) == 0)
            return (enum warren_outcome)i;
    return WARREN_RETRY;
}

static void await_gate(const char *gate)
{
    const struct timespec moment = {0, 1000000};

    while (access(gate, F_OK) != 0)
        nanosleep(&moment, NULL);
}

static struct warren_bytes script_key(struct warren_job *job, void *state)
{
    const struct warren_value *order = warren_job_header(job, "order");

    (void)state;
    return order && order->type == WARREN_STRING ? order->as.bytes : warren_text("");
}

static enum warren_outcome script_handle(struct warren_job *job, void *state)
{
    const char *id = warren_job_properties(job)->message_id;
    char word[WORD_MAX];
    char *words;

    find_word(warren_job_body(job), calls_before(state, id ? id : ""), word);
    words = strchr(word, ':');
    if (words) {
        *words = '\0';
        warren_job_fail(job, "%s", words + 1);
    }
    if (strcmp(word, "gated") != 0)
        return obey(job, word);
    await_gate(((const struct script *)state)->gate);
    return WARREN_ACK;
}

/* ---- witness ---- */

struct witness {
    int fd;
};

static const struct warren_option witness_options[] = {
    {"path", WARREN_OPTION_PATH, NULL, 0, 0, NULL, "Where the lines go."}, {0}};

static enum warren_status witness_open(const struct warren_subscription_info *info, void **state,
                                       struct warren_error *error)
{
    struct witness *witness = calloc(1, sizeof *witness);
    const char *path = warren_options_text(info->options, "path");

    if (!witness)
        return WARREN_ENOMEM;
    witness->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (witness->fd < 0) {
        snprintf(error->text, sizeof error->text, "cannot open %s", path);
        free(witness);
        return WARREN_EIO;
    }
    *state = witness;
    return WARREN_OK;
}

static enum warren_outcome witness_call(struct warren_job *job, const struct warren_link *next,
                                        void *state)
{
    const struct witness *witness = state;
    enum warren_outcome outcome = warren_next(job, next);
    const char *id = warren_job_properties(job)->message_id;
    const char *error = warren_job_error(job);
    char line[1024];
    int len = snprintf(line, sizeof line, "%s\t%" PRIu32 "\t%s\t%s\n", id ? id : "",
                       warren_job_attempt(job), warren_outcome_name(outcome), error ? error : "");

    return write(witness->fd, line, (size_t)len) == len ? outcome : WARREN_REQUEUE;
}

static void witness_close(void *state)
{
    struct witness *witness = state;

    close(witness->fd);
    free(witness);
}

static const struct warren_handler handlers[] = {{.name = "script",
                                                  .options = script_options,
                                                  .open = script_open,
                                                  .handle = script_handle,
                                                  .close = script_close,
                                                  .key = script_key},
                                                 {0}};

static const struct warren_middleware middlewares[] = {{.name = "witness",
                                                        .options = witness_options,
                                                        .open = witness_open,
                                                        .call = witness_call,
                                                        .close = witness_close,
                                                        .late_failures = true},
                                                       {0}};

WARREN_PLUGIN(.name = "act", .version = "1.0.0", .handlers = handlers,
              WARREN_MIDDLEWARES(middlewares))
