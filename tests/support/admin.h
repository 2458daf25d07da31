/* admin.h - asking the admin listener of a worker.
 * Thread: the test's.
 */
#ifndef TESTS_SUPPORT_ADMIN_H
#define TESTS_SUPPORT_ADMIN_H

#include "support/worker.h"

/** "127.0.0.1:PORT", as the last line of the log tells it; the caller frees. */
char *admin_address(struct worker *worker);

/**
 * GET http://@address@path.
 *
 * @token     NULL: none
 * @ret_body  freed by the caller; may be NULL
 * @return    the status; 0: no answer
 */
long admin_get(const char *address, const char *path, const char *token, char **ret_body);

#endif
