#include "command/dlq_change/dlq_audit.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

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
    struct log_line line;
    enum warren_log_level level = audit->why ? WARREN_LOG_WARN : WARREN_LOG_INFO;

    if (!log_enabled(level))
        return;
    log_begin(&line, level, audit->action);
    log_text(&line, "queue", audit->queue);
    if (audit->id.len > 0)
        log_bytes(&line, "message_id", audit->id);
    log_text(&line, "target", audit->target);
    if (audit->replays > 0)
        log_int(&line, "replays", audit->replays);
    log_text(&line, "error", audit->why);
    log_text(&line, "by", operator_text());
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    log_end(&line);
}
