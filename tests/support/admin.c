/* admin.c - see admin.h. */
#include "support/admin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/test.h"
#include "support/wait.h"

#define ANSWER_SIZE ((size_t)16 << 20)

uint16_t admin_port(struct worker *worker)
{
    const char *at = NULL;

    assert_true(WAIT_FOR(worker_logged(worker, "admin: listening", NULL) > 0, PATIENCE_MS));
    for (const char *found = proc_stderr(worker->proc); (found = strstr(found, "admin: listening"));
         found++)
        at = found;
    at = strstr(at, "address=127.0.0.1:");
    assert_non_null(at);
    return (uint16_t)strtoul(at + strlen("address=127.0.0.1:"), NULL, 10);
}

char *admin_address(struct worker *worker)
{
    return text("127.0.0.1:%u", admin_port(worker));
}

int admin_send(uint16_t port, const char *request)
{
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
        send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request))
        return fd;
    close(fd);
    return -1;
}

char *admin_hear(int fd, const char *until)
{
    char *text = calloc(1, ANSWER_SIZE);
    size_t len = 0;

    assert_non_null(text);
    while (len < ANSWER_SIZE - 1 && !(until && strstr(text, until))) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&ready, 1, (int)PATIENCE_MS) == 0)
            fail_msg("no more than: %s", text);
        got = recv(fd, text + len, ANSWER_SIZE - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    return text;
}

int admin_ask(uint16_t port, const char *method, const char *path, const char *head,
              const char *body, char **ret_body)
{
    char *request = text("%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n%s%s\r\n%s",
                         method, path, body ? strlen(body) : 0, head,
                         strstr(head, "Host:") ? "" : "Host: 127.0.0.1\r\n", body ? body : "");
    int fd = admin_send(port, request);
    char *answer = fd >= 0 ? admin_hear(fd, NULL) : strdup("");
    char *found = strstr(answer, "\r\n\r\n");
    int status = 0;

    if (found)
        sscanf(answer, "HTTP/1.1 %d", &status);
    if (ret_body)
        *ret_body = strdup(found ? found + 4 : "");
    if (fd >= 0)
        close(fd);
    free(answer);
    free(request);
    return status;
}

int admin_get(const char *address, const char *path, const char *token, char **ret_body)
{
    char *head = token ? text("Authorization: Bearer %s\r\n", token) : strdup("");
    uint16_t port = (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
    int status = admin_ask(port, "GET", path, head, NULL, ret_body);

    free(head);
    return status;
}

double admin_number(const char *address, const char *series)
{
    char *begin = text("\n%s ", series);
    char *body = NULL;
    const char *at;
    double number;

    admin_get(address, "/metrics", NULL, &body);
    at = strstr(body, begin);
    number = at ? atof(at + strlen(begin)) : -1;
    free(body);
    free(begin);
    return number;
}

void admin_expect_number(struct worker *worker, const char *series, double least, double most)
{
    char *address = admin_address(worker);
    double number = -1;

    if (!WAIT_FOR((number = admin_number(address, series)) >= least && number <= most, PATIENCE_MS))
        fail_msg("%s is %g", series, number);
    free(address);
}
