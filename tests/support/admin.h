/* admin.h - asking the admin listener of a worker: requests by HTTP, written out.
 * Thread: the test's. Elsewhere: who asks as a program does (http/client.h).
 */
#ifndef TESTS_SUPPORT_ADMIN_H
#define TESTS_SUPPORT_ADMIN_H

#include "support/worker.h"

/** The port that its log told last. */
uint16_t admin_port(struct worker *worker);
/** "127.0.0.1:PORT" of it; the caller frees. */
char *admin_address(struct worker *worker);

/** A connection on which @request was sent; -1: nobody takes it. */
int admin_send(uint16_t port, const char *request);
/** What comes until the peer closes, or @until has come (NULL: nothing does). The caller frees. */
char *admin_hear(int fd, const char *until);

/**
 * One request. @head: further lines, each with its end; @body may be NULL.
 *
 * @ret_body  freed by the caller; NULL: nobody wants it
 * @return    the status; 0: no answer, and the body is ""
 */
int admin_ask(uint16_t port, const char *method, const char *path, const char *head,
              const char *body, char **ret_body);
/** The same, a GET of @address (see above), with @token; NULL: without. */
int admin_get(const char *address, const char *path, const char *token, char **ret_body);

/** What /metrics says of @series, such as name{label="value"}; -1: nothing. */
double admin_number(const char *address, const char *series);
/** It comes to be in that range. */
void admin_expect_number(struct worker *worker, const char *series, double least, double most);

#endif
