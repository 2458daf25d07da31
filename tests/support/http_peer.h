/* http_peer.h - requests by HTTP, written out, to the admin listener of a worker.
 * Thread: the test's. Elsewhere: who asks as a program does (http/client.h).
 */
#ifndef TESTS_SUPPORT_HTTP_PEER_H
#define TESTS_SUPPORT_HTTP_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/test.h"
#include "support/wait.h"
#include "support/worker.h"

/** The port that its log told last. */
static inline uint16_t admin_port(struct worker *worker)
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

/** A connection on which @request was sent. */
static inline int http_send(uint16_t port, const char *request)
{
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    return fd;
}

/** What comes until the peer closes, or @until has come (NULL: nothing does). The caller frees. */
static inline char *http_hear(int fd, const char *until)
{
    size_t size = (size_t)1 << 20;
    char *text = calloc(1, size);
    size_t len = 0;

    while (len < size - 1 && !(until && strstr(text, until))) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&ready, 1, (int)PATIENCE_MS) == 0)
            fail_msg("no more than: %s", text);
        got = recv(fd, text + len, size - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    return text;
}

/**
 * One request. @head: further lines, each with its end; @body may be NULL.
 *
 * @ret_body  the caller frees; NULL: nobody wants it
 * @return    the status
 */
static inline int http_ask(uint16_t port, const char *method, const char *path, const char *head,
                           const char *body, char **ret_body)
{
    char *request = text("%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n%s%s\r\n%s",
                         method, path, body ? strlen(body) : 0, head,
                         strstr(head, "Host:") ? "" : "Host: 127.0.0.1\r\n", body ? body : "");
    int fd = http_send(port, request);
    char *answer = http_hear(fd, NULL);
    char *found = strstr(answer, "\r\n\r\n");
    int status = 0;

    assert_non_null(found);
    sscanf(answer, "HTTP/1.1 %d", &status);
    if (ret_body)
        *ret_body = strdup(found + 4);
    close(fd);
    free(answer);
    free(request);
    return status;
}

#endif
