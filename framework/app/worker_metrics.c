#include "app/worker_metrics.h"

#include <warren/handler.h>
#include <warren/version.h>

#include "amqp/connection/connection.h"
#include "amqp/net/transport.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "observe/process_metrics.h"
#include "store/db/database.h"

#define TEXT(number)   #number
#define NUMBER(number) TEXT(number)

void worker_metrics_init(struct worker_metrics *m)
{
    process_metrics_begin();
    m->build_info = metric_series(METRIC_BUILD_INFO, warren_version(), NUMBER(WARREN_PLUGIN_ABI),
                                  connection_codec_version(), loop_library_version(),
                                  database_library_version(), transport_tls_version());
    warren_set(m->build_info, 1);
    for (int i = 0; i < RELOAD_RESULTS; i++)
        m->reloads[i] = metric_series(METRIC_RELOADS, reload_result_name((enum reload_result)i));
    m->reloaded_at = metric_series(METRIC_RELOADED_AT);
    m->generation = metric_series(METRIC_CONFIG_GENERATION);
    m->restart_needed = metric_series(METRIC_RESTART_NEEDED);
    warren_set(m->generation, 1);
}

void worker_metrics_done(struct worker_metrics *m)
{
    metric_release(m->build_info);
    for (int i = 0; i < RELOAD_RESULTS; i++)
        metric_release(m->reloads[i]);
    metric_release(m->reloaded_at);
    metric_release(m->generation);
    metric_release(m->restart_needed);
}

void worker_metrics_reloaded(struct worker_metrics *m, const struct reload_report *report)
{
    int64_t now_s = clock_wall_ms() / 1000;

    warren_count(m->reloads[report->result], 1);
    warren_set(m->reloaded_at, (double)now_s);
    if (report->result == RELOAD_REFUSED)
        return;
    warren_set(m->generation, (double)report->generation);
    warren_set(m->restart_needed, (double)report->fixed.count);
}
