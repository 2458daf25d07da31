/* admin.c - see admin.h. */
#include "support/admin.h"

#include "http/client.h"
#include "support/test.h"
#include "support/wait.h"

char *admin_address(struct worker *worker)
{
    const char *at = NULL;
    const char *found;

    assert_true(WAIT_FOR(worker_logged(worker, "admin: listening", NULL) > 0, PATIENCE_MS));
    found = proc_stderr(worker->proc);
    while ((found = strstr(found, "admin: listening")))
        at = found++;
    at = strstr(at, "address=") + strlen("address=");
    return strndup(at, strcspn(at, " \n"));
}

long admin_get(const char *address, const char *path, const char *token, char **ret_body)
{
    const struct http_client_options options = {.direct = true};
    struct http_client_response response;
    struct http_client *client;
    struct warren_error error;
    char url[1024];
    const struct http_client_request request = {
        .url = url, .token = token, .timeout_ms = (uint32_t)PATIENCE_MS, .response_max = 16 << 20};
    long status;

    snprintf(url, sizeof url, "http://%s%s", address, path);
    assert_int_equal(http_client_new(&options, &client, &error), WARREN_OK);
    http_client_send(client, &request, &response, &error);
    status = response.status;
    if (ret_body) {
        *ret_body = response.body ? response.body : strdup("");
        response.body = NULL;
    }
    http_client_response_done(&response);
    http_client_free(client);
    return status;
}
