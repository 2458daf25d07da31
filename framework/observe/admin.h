/* admin.h - the admin listener of a worker: who asks by HTTP is told what it does and how it is.
 *
 * It answers from before the worker consumes until after it has drained, on a thread of its own
 * (http/server.h), and touches no message's way: what it tells it reads, or asks the loops for.
 * A path that is added is a row of the table in admin.c.
 * Thread: main. Elsewhere: health (health.h), what is counted (base/metrics.h).
 */
#ifndef WARREN_OBSERVE_ADMIN_H
#define WARREN_OBSERVE_ADMIN_H

#include <warren/worker.h>

#include "base/json_writer.h"
#include "base/process_state.h"
#include "config/config.h"
#include "observe/health.h"

struct admin;

/**
 * Check the section `admin` as far as that is possible without listening: the address, the token's
 * file, the certificates.
 *
 * @return WARREN_OK; WARREN_ECONFIG or WARREN_ENOMEM with @error
 */
enum warren_status admin_check(const struct config *config, struct warren_error *error);

/**
 * Listen, if @config says so.
 *
 * @config     borrowed until admin_close(), as is
 * @health     what /healthz and /readyz tell
 * @ret_admin  NULL: there is to be none, which is fine for all functions below
 * @return     WARREN_OK; WARREN_ECONFIG: the section is wrong, or the address cannot be had;
 *             WARREN_ENOMEM, WARREN_EIO. With @error
 */
enum warren_status admin_open(const struct config *config, struct health *health,
                              struct admin **ret_admin, struct warren_error *error);

/** The process is `warren run`, with this file, these options, and what it found at its @start: so
 * `warren dlq` can be run beside it. All borrowed. */
void admin_own(struct admin *admin, const char *file, char *const *sets, size_t set_count,
               const struct process_state *start);
/**
 * Who reads the configuration again when POST /api/reload asks for it. @reload writes the answer
 * and returns its status; it is called on a thread of its own, one call at a time, and returns
 * within ADMIN_RELOAD_MS, or when the worker ends, which is before admin_close().
 */
void admin_reloads(struct admin *admin, int (*reload)(void *user, struct json_writer *json),
                   void *user);
#define ADMIN_RELOAD_MS 60000

/** @config is in force now: which dead-letter queues there are. Borrowed as that of admin_open().
 */
void admin_config(struct admin *admin, const struct config *config);
/** SIGHUP: read token and certificates again. */
void admin_reload(struct admin *admin);

/** @abandoned: threads of the worker remain, and what they may still touch stays, too. */
void admin_close(struct admin *admin, bool abandoned);

#endif
