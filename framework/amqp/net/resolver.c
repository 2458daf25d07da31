/* resolver.c - see resolver.h.
 *
 * A look-up has two holders, the loop's side and the thread; who lets go last frees it. The
 * thread touches the loop only under the lock and only while nobody abandoned the look-up, so
 * that the loop may be freed while getaddrinfo() still hangs.
 */
#include "amqp/net/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/metrics.h"
#include "base/thread.h"

#define PORT_TEXT_MAX 6

struct resolver_lookup {
    struct loop *loop;
    struct loop_task done_task;
    resolver_done_fn *done;
    void *user;
    char *host;
    char port[PORT_TEXT_MAX];

    pthread_mutex_t lock; /* guards what follows */
    unsigned holders;
    bool abandoned;
    bool finished;
    struct addrinfo *addresses;
    int code;         /* EAI_* */
    int system_error; /* errno, where @code is EAI_SYSTEM */
};

/* Threads that hang in look-ups which nobody waits for. Threads belong to the process, so their
 * bound does, too. */
static atomic_uint hanging;
static struct warren_series *hanging_series;
static struct warren_series *refused_series;

static void open_series(void)
{
    hanging_series = metric_series(METRIC_LOOKUPS_HANGING);
    refused_series = metric_series(METRIC_LOOKUPS_REFUSED);
}

/* Both change together, so that the last one to change shows what there is. */
static void change_hanging(int by)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    atomic_fetch_add(&hanging, (unsigned)by);
    warren_set(hanging_series, atomic_load(&hanging));
    pthread_mutex_unlock(&lock);
}

static void lookup_free(struct resolver_lookup *lookup)
{
    if (lookup->addresses)
        freeaddrinfo(lookup->addresses);
    pthread_mutex_destroy(&lookup->lock);
    free(lookup->host);
    free(lookup);
}

/* With the lock held, which is released. */
static void let_go(struct resolver_lookup *lookup)
{
    bool last = --lookup->holders == 0;

    pthread_mutex_unlock(&lookup->lock);
    if (last)
        lookup_free(lookup);
}

static void resolve(const struct resolver_lookup *lookup, int flags, struct addrinfo **addresses,
                    int *code, int *system_error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    hints.ai_flags = AI_NUMERICSERV | flags;
    *addresses = NULL;
    *code = getaddrinfo(lookup->host, lookup->port, &hints, addresses);
    *system_error = errno;
}

static void *run_thread(void *arg)
{
    struct resolver_lookup *lookup = arg;
    struct addrinfo *addresses;
    int code, system_error;

    resolve(lookup, 0, &addresses, &code, &system_error);

    pthread_mutex_lock(&lookup->lock);
    lookup->addresses = code == 0 ? addresses : NULL;
    lookup->code = code;
    lookup->system_error = system_error;
    lookup->finished = true;
    if (lookup->abandoned)
        change_hanging(-1);
    else
        loop_post(lookup->loop, &lookup->done_task);
    let_go(lookup);
    return NULL;
}

static const char *reason(const struct resolver_lookup *lookup)
{
    return lookup->code == EAI_SYSTEM ? strerrordesc_np(lookup->system_error)
                                      : gai_strerror(lookup->code);
}

/* On the loop: the result is there. */
static void on_done(void *arg)
{
    struct resolver_lookup *lookup = arg;
    resolver_done_fn *done = lookup->done;
    void *user = lookup->user;
    struct warren_error error = {0};
    struct addrinfo *addresses;

    pthread_mutex_lock(&lookup->lock);
    addresses = lookup->addresses;
    lookup->addresses = NULL;
    if (!addresses)
        error_set(&error, WARREN_EIO, "cannot resolve host \"%s\": %s", lookup->host,
                  reason(lookup));
    let_go(lookup);
    done(user, addresses, &error);
}

static enum warren_status start_thread(struct resolver_lookup *lookup)
{
    pthread_t thread;
    enum warren_status status;

    lookup->holders++;
    status = thread_start(&thread, "warren-resolve", run_thread, lookup, NULL);
    if (status == WARREN_OK)
        pthread_detach(thread);
    else
        lookup->holders--;
    return status;
}

static struct resolver_lookup *lookup_new(struct loop *loop, const char *host, uint16_t port)
{
    struct resolver_lookup *lookup = calloc(1, sizeof *lookup);

    if (!lookup)
        return NULL;
    lookup->host = strdup(host);
    if (!lookup->host) {
        free(lookup);
        return NULL;
    }
    snprintf(lookup->port, sizeof lookup->port, "%u", port);
    lookup->loop = loop;
    lookup->holders = 1;
    pthread_mutex_init(&lookup->lock, NULL);
    loop_task_init(&lookup->done_task, on_done, lookup);
    return lookup;
}

enum warren_status resolver_lookup(struct loop *loop, const char *host, uint16_t port,
                                   resolver_done_fn *done, void *user,
                                   struct resolver_lookup **ret_lookup)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct resolver_lookup *lookup = lookup_new(loop, host, port);
    enum warren_status status = WARREN_OK;

    pthread_once(&once, open_series);
    if (!lookup)
        return WARREN_ENOMEM;
    lookup->done = done;
    lookup->user = user;
    resolve(lookup, AI_NUMERICHOST, &lookup->addresses, &lookup->code, &lookup->system_error);
    if (lookup->code == 0) {
        lookup->finished = true;
        loop_post(loop, &lookup->done_task);
    } else {
        status = atomic_load(&hanging) < RESOLVER_HANGING_MAX ? start_thread(lookup) : WARREN_EFULL;
    }
    if (status == WARREN_EFULL)
        warren_count(refused_series, 1);
    if (status != WARREN_OK) {
        lookup_free(lookup);
        return status;
    }
    *ret_lookup = lookup;
    return WARREN_OK;
}

void resolver_abandon(struct resolver_lookup *lookup)
{
    if (!lookup)
        return;
    pthread_mutex_lock(&lookup->lock);
    lookup->abandoned = true;
    if (!lookup->finished)
        change_hanging(1);
    pthread_mutex_unlock(&lookup->lock);
    /* it was posted before, or will never be */
    loop_cancel(lookup->loop, &lookup->done_task);
    pthread_mutex_lock(&lookup->lock);
    let_go(lookup);
}
