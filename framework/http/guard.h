/* guard.h - what keeps the pages of other sites, in the browser of somebody who may ask, from
 * asking in his name.
 *
 * The token is a header of our own page, never a cookie, so no other page has it; and no answer
 * allows another site to read it (CORS). Beyond that: a browser says where a request comes from,
 * and that must be here. Where there is no token, a name of another site that has come to mean this
 * address (DNS rebinding) would make its page one of ours; a number, or "localhost", cannot.
 * Thread: none of its own.
 */
#ifndef WARREN_HTTP_GUARD_H
#define WARREN_HTTP_GUARD_H

#include <stdbool.h>

#include "http/request.h"

/** Does the request come from our own page, or from no page at all? By Origin and Sec-Fetch-Site,
 * which browsers set and pages cannot; Origin must name the host that Host does. */
bool http_guard_origin(const struct http_request *request);

/** Is its Host an address, or "localhost"? */
bool http_guard_host(const struct http_request *request);

#endif
