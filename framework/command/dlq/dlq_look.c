#include "command/dlq/dlq_look.h"

#include "command/dlq/dlq_report.h"

struct looking {
    const struct dlq_request *request;
    dlq_look_fn *each;
    void *user;
    bool unreadable; /* what cannot be read matches, too */
    uint64_t matched;
    bool failed;
};

static bool on_letter(void *user, struct dlq_scan *scan, const struct dlq_letter *letter,
                      struct delivery *delivery)
{
    struct looking *l = user;
    uint64_t max = l->request->max;

    (void)delivery;
    if (l->failed || (max > 0 && l->matched == max) ||
        !dlq_filter_matches(&l->request->filter, letter))
        return false;
    l->matched++;
    l->failed = l->each && !l->each(l->user, letter, l->matched);
    if (l->failed || l->matched == max)
        dlq_scan_stop(scan);
    return false;
}

static bool on_unreadable(void *user, struct dlq_scan *scan, struct warren_bytes id,
                          struct delivery *delivery)
{
    struct looking *l = user;

    (void)scan;
    (void)id;
    (void)delivery;
    l->matched += l->unreadable;
    return false;
}

enum cli_status dlq_look(const struct dlq_request *r, dlq_look_fn *each, void *user,
                         uint64_t *ret_matched)
{
    static const struct dlq_scan_events events = {.letter = on_letter, .unreadable = on_unreadable};
    struct dlq_scan_options options = dlq_request_scan(r);
    struct looking looking = {.request = r,
                              .each = each,
                              .user = user,
                              .unreadable = !each && dlq_filter_is_empty(&r->filter)};
    struct dlq_scan_result result = {0};
    struct dlq_session *session = NULL;
    struct warren_error error = {WARREN_OK, ""};
    enum warren_status status = dlq_session_new(r->config, "warren dlq", &session, &error);

    if (status == WARREN_OK)
        status = dlq_scan_run(session, &options, &events, &looking, &result, &error);
    dlq_session_free(session);
    *ret_matched = looking.matched;
    if (status != WARREN_OK)
        return dlq_failed(r, &error);
    if (looking.unreadable)
        result.unreadable = 0; /* they are among those that matched */
    if (looking.failed && !result.interrupted)
        return CLI_FAILED;
    return dlq_conclude(r, &result, looking.matched, false);
}
