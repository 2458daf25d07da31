/* letters.c - see letters.h. */
#include "observe/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log_event.h"
#include "http/query.h"

#define VALUE_MAX 1024 /* of a parameter */
#define LATER_MS  (LETTERS_TIMEOUT_MS + 2 * CHILD_GRACE_MS)
#define SAID_MAX  ((size_t)16 * 1024)
#define WORDS_MAX 16 /* of a command line, without the sets */

static const char told_late[] = "it was ended after 60 s; what is done is done: ask again\n";

static const struct {
    const char *name;
    const char *command;
    const char *further; /* an option */
    bool lines;          /* its result is an object a line */
} actions[] = {
    [LETTERS_GROUPS] = {"groups", "list", NULL, false},
    [LETTERS_MESSAGES] = {"messages", "show", "--whole", true},
    [LETTERS_REPLAY] = {"replay", "replay", NULL, false},
    [LETTERS_EDIT] = {"edit", "edit-and-replay", "--file=/proc/self/fd/0", false},
    [LETTERS_DISCARD] = {"discard", "discard", "--yes", false},
};

/* What a request asks for, as words of a command line. */
struct wish {
    char queue[VALUE_MAX];
    char id[VALUE_MAX];          /* "": none */
    char id_word[VALUE_MAX + 8]; /* "--id=ID" */
    char group_word[VALUE_MAX + 8];
    char max_word[32];
    bool all;
    bool has_id;
    bool has_group;
};

void letters_init(struct letters *l, const struct config *config)
{
    *l = (struct letters){.config = config};
}

void letters_done(struct letters *l)
{
    child_done(&l->child); /* whoever waits is gone, with the server */
    l->later = NULL;
}

void letters_own(struct letters *l, const char *file, char *const *sets, size_t set_count,
                 const struct process_state *start)
{
    l->sets = (const char *const *)sets;
    l->set_count = set_count;
    l->start = start;
    atomic_store(&l->file, file);
}

/* ---- the answer ---- */

static int http_status_of(int exit_status, bool late)
{
    if (late)
        return 503;
    return exit_status == 0 ? 200 : exit_status == 2 ? 400 : exit_status < 0 ? 500 : 409;
}

/* Lines of the log, one for each message that was moved, go to our own log; what is said to who
 * asked goes into @said. */
static void sort_errors(const struct letters *l, char *text, struct buffer *said)
{
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "time=", 5) == 0 || *line == '{') {
            log_event(WARREN_LOG_INFO, "admin: dead letters",
                      LOG_TEXT("action", actions[l->action].name), LOG_TEXT("line", line));
            continue;
        }
        if (buffer_append(said, line, strlen(line)) != WARREN_OK)
            continue; /* it is long enough */
        buffer_append(said, "\n", 1);
    }
}

/* An object a line becomes a list. */
static void make_list(char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++)
        if (text[i] == '\n')
            text[i] = ',';
}

static void write_result(const struct letters *l, struct json_writer *json, struct buffer *output)
{
    bool lines = actions[l->action].lines;
    char *text = (char *)buffer_front(output);
    size_t len = buffer_len(output);

    while (len > 0 && text[len - 1] == '\n')
        len--;
    if (lines) {
        make_list(text, len);
        json_writer_begin(json, "result", '[');
        if (len > 0)
            json_writer_raw(json, NULL, text, len);
        json_writer_end(json, ']');
    } else if (len > 0) {
        json_writer_raw(json, "result", text, len);
    } else {
        json_writer_text(json, "result", NULL);
    }
}

static enum warren_status write_answer(const struct letters *l, struct child *child, int status,
                                       const char *said, struct buffer *buffer)
{
    struct json_writer json;

    json_writer_init(&json, buffer);
    json_writer_begin(&json, NULL, '{');
    json_writer_int(&json, "exit", status);
    json_writer_text(&json, "said", said);
    write_result(l, &json, &child->texts[0]);
    json_writer_end(&json, '}');
    return json.status;
}

static void answer(struct letters *l, struct child *child, int status, const char *said)
{
    struct http_later *later = l->later;
    struct buffer buffer;

    l->later = NULL;
    buffer_init(&buffer, 2 * LETTERS_OUTPUT_MAX);
    if (child->too_long)
        http_later_error(later, 500,
                         "the messages are too large to be shown at once: ask for fewer");
    else if (write_answer(l, child, status, said, &buffer) != WARREN_OK)
        http_later_answer(later, 500, HTTP_TYPE_JSON, NULL, 0);
    else
        http_later_answer(later, http_status_of(status, child->late), HTTP_TYPE_JSON,
                          strndup((const char *)buffer_front(&buffer), buffer_len(&buffer)),
                          buffer_len(&buffer));
    buffer_done(&buffer);
}

static void ended(void *user, struct child *child, int status)
{
    struct letters *l = user;
    struct buffer said;

    buffer_init(&said, SAID_MAX);
    if (child->late)
        buffer_append(&said, told_late, sizeof told_late - 1);
    if (buffer_append(&child->texts[1], "", 1) == WARREN_OK)
        sort_errors(l, (char *)buffer_front(&child->texts[1]), &said);
    log_event(WARREN_LOG_INFO, "admin: dead letters", LOG_TEXT("action", actions[l->action].name),
              LOG_TEXT("queue", l->queue), LOG_TEXT("from", l->peer), LOG_INT("status", status));
    buffer_append(&said, "", 1);
    answer(l, child, status, buffer_len(&said) > 0 ? (char *)buffer_front(&said) : "");
    buffer_done(&said);
    child_done(child);
}

/* ---- the wish ---- */

static bool is_dead_queue(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->subscription_count; i++) {
        const struct config_subscription *subscription = &config->subscriptions[i];

        if (subscription->dead_exchange && strcmp(subscription->dead_queue, name) == 0)
            return true;
    }
    return false;
}

/* @return false: a parameter is no text */
static bool read_wish(const struct http_request *request, struct wish *wish)
{
    char text[VALUE_MAX];
    enum http_query_found queue = http_query_get(request, "queue", wish->queue, sizeof wish->queue);
    enum http_query_found id = http_query_get(request, "id", wish->id, sizeof wish->id);
    enum http_query_found group = http_query_get(request, "group", text, sizeof text);
    enum http_query_found all, max;

    snprintf(wish->id_word, sizeof wish->id_word, "--id=%s", wish->id);
    snprintf(wish->group_word, sizeof wish->group_word, "--group=%s", text);
    all = http_query_get(request, "all", text, sizeof text);
    wish->all = strcmp(text, "yes") == 0;
    max = http_query_get(request, "max", text, sizeof text);
    snprintf(wish->max_word, sizeof wish->max_word, "--max=%ld",
             *text ? strtol(text, NULL, 10) : 50L);
    wish->has_id = id == HTTP_QUERY_FOUND;
    wish->has_group = group == HTTP_QUERY_FOUND;
    return queue != HTTP_QUERY_WRONG && id != HTTP_QUERY_WRONG && group != HTTP_QUERY_WRONG &&
           all != HTTP_QUERY_WRONG && max != HTTP_QUERY_WRONG;
}

static bool max_is_right(const struct wish *wish)
{
    long max = strtol(wish->max_word + strlen("--max="), NULL, 10);

    return max > 0 && max <= LETTERS_SHOWN_MAX;
}

/* @return what is wrong with it; NULL: nothing */
static const char *fault_of(const struct wish *wish, enum letters_action action)
{
    int which = wish->has_id + wish->has_group + wish->all;

    if (action == LETTERS_GROUPS)
        return which == 0 ? NULL : "groups are those of the whole queue";
    if (action == LETTERS_MESSAGES)
        return max_is_right(wish) ? NULL : "max is a number from 1 to 500";
    if (action == LETTERS_EDIT)
        return wish->has_id && *wish->id && which == 1 ? NULL : "which message? Give its id";
    return which == 1 ? NULL : "which messages? Give one of id, group, and all=yes";
}

/* ---- the command ---- */

/* Words that come from the request stand behind "=" or "--", so none is taken for an option. */
static void write_words(const struct letters *l, const struct wish *wish,
                        enum letters_action action, const char **words)
{
    *words++ = "warren";
    *words++ = "dlq";
    *words++ = actions[action].command;
    *words++ = "--json";
    if (actions[action].further)
        *words++ = actions[action].further;
    if (action == LETTERS_MESSAGES)
        *words++ = wish->max_word;
    if (wish->has_id && action != LETTERS_EDIT)
        *words++ = wish->id_word;
    if (wish->has_group)
        *words++ = wish->group_word;
    *words++ = "--config";
    *words++ = atomic_load(&l->file);
    for (size_t i = 0; i < l->set_count; i++) {
        *words++ = "--set";
        *words++ = l->sets[i];
    }
    *words++ = "--";
    *words++ = wish->queue;
    if (action == LETTERS_EDIT)
        *words++ = wish->id;
    else if (action == LETTERS_REPLAY && wish->all)
        *words++ = "all";
    *words = NULL;
}

static enum warren_status start(struct letters *l, const struct wish *wish,
                                enum letters_action action, struct loop *loop,
                                struct warren_bytes input, struct warren_error *error)
{
    const char **words = calloc(WORDS_MAX + 2 * l->set_count, sizeof *words);
    const struct child_options options = {.arguments = words,
                                          .start = l->start,
                                          .input = input,
                                          .output_max = LETTERS_OUTPUT_MAX,
                                          .timeout_ms = LETTERS_TIMEOUT_MS};
    enum warren_status status;

    if (!words)
        return error_set(error, WARREN_ENOMEM, "there is no memory");
    write_words(l, wish, action, words);
    l->action = action;
    snprintf(l->queue, sizeof l->queue, "%.255s", wish->queue);
    status = child_start(&l->child, loop, &options, ended, l, error);
    free((void *)words);
    return status;
}

void letters_ask(struct letters *l, enum letters_action action, struct loop *loop,
                 struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request(exchange);
    struct warren_error error = {WARREN_OK, ""};
    struct wish wish;
    const char *fault;

    if (!atomic_load(&l->file)) {
        http_answer_error(
            exchange, 501,
            "only `warren run` can: a program has this worker inside. Use `warren dlq`");
    } else if (!read_wish(request, &wish)) {
        http_answer_error(
            exchange, 400,
            "a parameter is longer than 1023 bytes, holds a NUL, or a % without two digits");
    } else if (!is_dead_queue(atomic_load(&l->config), wish.queue)) {
        http_answer_error(exchange, 404,
                          "no subscription of this worker has that dead-letter queue");
    } else if ((fault = fault_of(&wish, action))) {
        http_answer_error(exchange, 400, fault);
    } else if (l->later) {
        http_answer_error(exchange, 409,
                          "something is being done with dead letters already: ask again");
    } else if (start(l, &wish, action, loop, request->body, &error) != WARREN_OK) {
        http_answer_error(exchange, 500, error.text);
    } else {
        http_exchange_peer(exchange, l->peer);
        l->later = http_answer_later(exchange, LATER_MS);
        if (!l->later)
            child_done(&l->child); /* and there is no answer */
    }
}
