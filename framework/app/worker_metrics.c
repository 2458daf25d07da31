#include "app/worker_metrics.h"

#include <warren/handler.h>
#include <warren/version.h>

#include "amqp/connection/connection.h"
#include "amqp/net/transport.h"
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
}

void worker_metrics_done(struct worker_metrics *m)
{
    metric_release(m->build_info);
}
