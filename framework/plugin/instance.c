/* instance.c - see instance.h. */
#include "plugin/instance.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/suggest.h"

/* ---- who it was that ended the process ----
 *
 * A plugin's function that crashes while the process starts (a C++ exception that leaves `open`, a
 * wild pointer) is named on standard error; then the signal does what it would have done without
 * us. Mutable globals: the dispositions, for a process has but one of each. Thread: main.
 * Elsewhere: crashes of a handler at work (consume/crash/fault.h).
 */

static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
#define FATAL (sizeof fatal / sizeof *fatal)

static struct {
    char text[1024];
    size_t len;
    struct sigaction before[FATAL];
} blame;

static void on_fatal(int number, siginfo_t *info, void *context);

/* A signal that the function took for itself stays its own. */
static void give_back(void)
{
    for (size_t i = 0; i < FATAL; i++) {
        struct sigaction now;

        sigaction(fatal[i], NULL, &now);
        if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fatal)
            sigaction(fatal[i], &blame.before[i], NULL);
    }
}

/* What an instruction did it does again when it is repeated; the rest has to be sent again. */
static void on_fatal(int number, siginfo_t *info, void *context)
{
    ssize_t written = write(STDERR_FILENO, blame.text, blame.len);

    (void)written;
    (void)context;
    give_back();
    if (info->si_code <= 0)
        raise(number);
}

/* From now on it is @kind ("handler", "middleware") @name of @queue, in its @function. */
static void blame_begin(const char *kind, const char *name, const char *queue, const char *function)
{
    struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigemptyset(&action.sa_mask);
    snprintf(blame.text, sizeof blame.text, "warren: queue %s: %s %s crashed in its %s\n", queue,
             kind, name, function);
    blame.len = strlen(blame.text);
    for (size_t i = 0; i < FATAL; i++)
        sigaction(fatal[i], &action, &blame.before[i]);
}

static void blame_end(void)
{
    give_back();
    blame.len = 0;
}

/* ---- handlers ---- */

enum warren_status instance_open(struct instance *instance, const struct warren_handler *handler,
                                 const struct warren_subscription_info *info,
                                 struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = WARREN_OK;

    *instance = (struct instance){.handler = handler};
    if (handler->open) {
        blame_begin("handler", info->handler, info->queue, "open");
        status = handler->open(info, &instance->state, &why);
        blame_end();
    }
    if (status != WARREN_OK) {
        why.text[sizeof why.text - 1] = '\0';
        return error_set(error, WARREN_EPLUGIN, "queue %s: handler %s failed to open: %s",
                         info->queue, info->handler,
                         why.text[0] ? why.text : warren_status_name(status));
    }
    instance->is_open = true;
    return WARREN_OK;
}

void instance_close(struct instance *instance)
{
    if (instance->is_open && instance->handler->close)
        instance->handler->close(instance->state);
    instance->is_open = false;
}

void instance_reopen(const struct instance *instance)
{
    if (instance->is_open && instance->handler->reopen)
        instance->handler->reopen(instance->state);
}

/* ---- middlewares ---- */

/* Some say their own name, which stands before it already. */
static const char *without_name(const char *text, const char *name)
{
    size_t len = strlen(name);

    return strncmp(text, name, len) == 0 && strncmp(text + len, ": ", 2) == 0 ? text + len + 2
                                                                              : text;
}

static enum warren_status refused(const struct warren_middleware *middleware, const char *name,
                                  const char *queue, enum warren_status status,
                                  struct warren_error *why, struct warren_error *error)
{
    why->text[sizeof why->text - 1] = '\0';
    return error_set(error, status == WARREN_ECONFIG ? status : WARREN_EPLUGIN,
                     "queue %s: middleware %s: %s", queue, name,
                     why->text[0] ? without_name(why->text, middleware->name)
                                  : warren_status_name(status));
}

enum warren_status middleware_check(const struct warren_middleware *middleware, const char *name,
                                    const char *queue, const struct warren_options *options,
                                    struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status = WARREN_OK;

    if (middleware->check) {
        blame_begin("middleware", name, queue, "check");
        status = middleware->check(options, &why);
        blame_end();
    }
    if (status == WARREN_OK)
        return WARREN_OK;
    return refused(middleware, name, queue, WARREN_ECONFIG, &why, error);
}

enum warren_status middleware_open(struct middleware_instance *instance,
                                   const struct warren_middleware *middleware, const char *name,
                                   const struct warren_subscription_info *info,
                                   struct warren_error *error)
{
    struct warren_error why = {WARREN_OK, ""};
    enum warren_status status =
        middleware_check(middleware, name, info->queue, info->options, error);

    *instance = (struct middleware_instance){.middleware = middleware};
    if (status != WARREN_OK)
        return status;
    if (middleware->open) {
        blame_begin("middleware", name, info->queue, "open");
        status = middleware->open(info, &instance->state, &why);
        blame_end();
    }
    if (status != WARREN_OK)
        return refused(middleware, name, info->queue, status, &why, error);
    instance->is_open = true;
    return WARREN_OK;
}

void middleware_close(struct middleware_instance *instance)
{
    if (instance->is_open && instance->middleware->close)
        instance->middleware->close(instance->state);
    instance->is_open = false;
}

bool middleware_is_fixed(const struct warren_middleware *middleware, const char *option)
{
    return !middleware->reload ||
           (middleware->fixed && choices_find(middleware->fixed, option) >= 0);
}
