#include "command/dlq_change/dlq_audit.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log_event.h"

#define OPERATOR_SIZE 320

/* "alice@build-3": the user of this process and the host. */
static const char *operator_text(void)
{
    static char text[OPERATOR_SIZE];
    char host[256] = "";
    const struct passwd *user;

    if (*text)
        return text;
    user = getpwuid(geteuid());
    gethostname(host, sizeof host - 1);
    if (user)
        snprintf(text, sizeof text, "%.60s@%s", user->pw_name, host);
    else
        snprintf(text, sizeof text, "%u@%s", (unsigned)geteuid(), host);
    return text;
}

void dlq_audit(const struct dlq_audit *audit)
{
    enum warren_log_level level = audit->why ? WARREN_LOG_WARN : WARREN_LOG_INFO;
    struct warren_bytes id = {audit->id.len > 0 ? audit->id.data : NULL, audit->id.len};

    if (log_enabled(level) && isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    log_event(level, audit->action, LOG_TEXT("queue", audit->queue), LOG_BYTES("message_id", id),
              LOG_TEXT("target", audit->target),
              LOG_INT_IF(audit->replays > 0, "replays", audit->replays),
              LOG_TEXT("error", audit->why), LOG_TEXT("by", operator_text()));
}
