/* test_otlp_hang.c - an exporter whose request never ends, whatever it is told. The client is the
 * test's, in place of that of http/: the linker takes the first.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "http/client.h"
#include "observe/otlp.h"
#include "support/test.h"

static sem_t sending; /* a request has begun */
static sem_t go_on;   /* and may end */
static sem_t sent;
static int cancelled;
static int freed;
static bool has_token; /* when it ended */

enum warren_status http_client_new(const struct http_client_options *options,
                                   struct http_client **ret_client, struct warren_error *error)
{
    static int client;

    (void)options;
    (void)error;
    *ret_client = (struct http_client *)(void *)&client;
    return WARREN_OK;
}

enum warren_status http_client_send(struct http_client *client,
                                    const struct http_client_request *request,
                                    struct http_client_response *ret_response,
                                    struct warren_error *error)
{
    const char *token = request->headers[1]; /* borrowed from who has started the exporter */

    (void)client;
    (void)error;
    (void)ret_response;
    sem_post(&sending);
    while (sem_wait(&go_on) != 0)
        continue;
    has_token = strcmp(token, "X-Token: secret") == 0;
    sem_post(&sent);
    return WARREN_ECLOSED;
}

void http_client_response_done(struct http_client_response *response)
{
    (void)response;
}

void http_client_cancel(struct http_client *client)
{
    (void)client;
    cancelled++;
}

void http_client_free(struct http_client *client)
{
    (void)client;
    freed++;
}

/* Step by step; the number of the one that failed, or 0. */
static int leave_alone(void)
{
    static const char *const headers[] = {"X-Token: secret"};
    const struct otlp_options options = {
        .url = "http://collector", .headers = headers, .header_count = 1, .ratio = 1};
    struct warren_error error = {WARREN_OK, ""};
    struct otlp *otlp;

    log_set(WARREN_LOG_ERROR, LOG_LOGFMT);
    sem_init(&sending, 0, 0);
    sem_init(&go_on, 0, 0);
    sem_init(&sent, 0, 0);
    if (otlp_start(&options, &otlp, &error) != WARREN_OK)
        return 1;
    for (int i = 0; i < SPAN_BATCH; i++)
        span_end(otlp_tracer(otlp), span_begin(otlp_tracer(otlp), SPAN_ACK, SPAN_CLIENT));
    while (sem_wait(&sending) != 0)
        continue;
    otlp_stop(otlp, 0);
    if (cancelled != 1)
        return 2;
    if (otlp_free(otlp) || freed != 0)
        return 3;
    span_end(otlp_tracer(otlp), span_begin(otlp_tracer(otlp), SPAN_ACK, SPAN_CLIENT));
    sem_post(&go_on);
    while (sem_wait(&sent) != 0)
        continue;
    return has_token ? 0 : 4;
}

/* It is cancelled, then left alone, with all that it may still use. In a process of its own, whose
 * end no sanitizer looks at: a thread and its memory are left on purpose. */
static void a_thread_that_hangs_is_left_alone(void **state)
{
    pid_t child = fork();
    int status = -1;

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        syscall(SYS_exit_group, leave_alone());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_hangs_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
