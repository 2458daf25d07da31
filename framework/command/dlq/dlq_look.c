#include "command/dlq/dlq_look.h"

#include "command/dlq/dlq_print.h"

struct looking {
    const struct dlq_look *look;
    struct dlq_scan *scan;
    uint64_t matched;
    bool failed;
};

static bool on_begin(void *user, struct dlq_scan *scan, uint32_t depth)
{
    struct looking *l = user;

    (void)depth;
    l->scan = scan;
    return true;
}

static bool on_letter(void *user, const struct dlq_letter *letter, struct delivery *delivery)
{
    struct looking *l = user;
    const struct dlq_look *look = l->look;

    (void)delivery;
    if (l->failed || (look->max > 0 && l->matched == look->max) ||
        !dlq_filter_matches(look->filter, letter))
        return false;
    l->matched++;
    l->failed = look->each && !look->each(look->user, letter, l->matched);
    if (l->failed || l->matched == look->max)
        dlq_scan_stop(l->scan);
    return false;
}

static bool on_unreadable(void *user, struct warren_bytes id, struct delivery *delivery)
{
    struct looking *l = user;

    (void)id;
    (void)delivery;
    if (l->look->unreadable)
        l->matched++;
    return false;
}

static enum cli_status conclude(const struct cli *cli, const struct looking *l,
                                const struct dlq_scan_result *result)
{
    const struct dlq_look *look = l->look;
    enum cli_status status = CLI_OK;

    if (result->interrupted)
        return cli_failed(cli, "interrupted");
    if (l->failed)
        return CLI_FAILED;
    if (look->max == 0 || l->matched < look->max) {
        dlq_warn_of_rest(cli, look->queue, result);
        if (!look->unreadable && dlq_warn_of_unreadable(cli, look->queue, result))
            status = CLI_FAILED;
    }
    dlq_warn_of_order(cli, look->queue, result);
    dlq_warn_of_count(cli, look->queue, result);
    if (result->looked_at == 0 && result->depth > 0)
        return CLI_FAILED;
    if (l->matched == 0 &&
        dlq_nothing_matched(cli, look->queue, look->filter, result, false) != CLI_OK)
        status = CLI_FAILED;
    return status;
}

enum cli_status dlq_look(const struct cli *cli, const struct config *config,
                         const struct dlq_look *look, uint64_t *ret_matched)
{
    static const struct dlq_scan_events events = {
        .begin = on_begin, .letter = on_letter, .unreadable = on_unreadable};
    struct dlq_scan_options options = {.queue = look->queue->name,
                                       .leave_max = look->limit,
                                       .mind_limit = look->queue->mind_limit};
    struct looking looking = {.look = look};
    struct dlq_scan_result result = {0};
    struct dlq_session *session = NULL;
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status = dlq_session_new(config, "warren dlq", &session, &error);

    if (status == WARREN_OK)
        status = dlq_scan_run(session, &options, &events, &looking, &result, &error);
    dlq_session_free(session);
    *ret_matched = looking.matched;
    if (status != WARREN_OK)
        return dlq_failed(cli, look->queue, &error);
    return conclude(cli, &looking, &result);
}
