/* warren.h - everything that is public, in C. Plugins need only <warren/handler.h>; those in C++
 * have <warren/warren.hpp>. */
#ifndef WARREN_WARREN_H
#define WARREN_WARREN_H

#include <warren/batch.h>
#include <warren/group.h>
#include <warren/handler.h>
#include <warren/message.h>
#include <warren/metrics.h>
#include <warren/middleware.h>
#include <warren/publisher.h>
#include <warren/sqlite.h>
#include <warren/status.h>
#include <warren/testing.h>
#include <warren/version.h>
#include <warren/worker.h>

#endif
