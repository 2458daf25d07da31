/* query.h - the parameters of a request: what stands behind the "?" of its path, as a form has it:
 * NAME=VALUE&NAME=VALUE, with %XX and + for a blank. Thread: none of its own.
 */
#ifndef WARREN_HTTP_QUERY_H
#define WARREN_HTTP_QUERY_H

#include <stddef.h>

#include "http/request.h"

enum http_query_found {
    HTTP_QUERY_FOUND,
    HTTP_QUERY_NONE, /* @text is "" */
    HTTP_QUERY_WRONG /* too long, an unfinished %XX, or a NUL */
};

/**
 * The value of the first parameter @name, decoded.
 *
 * @text  of @size bytes
 */
enum http_query_found http_query_get(const struct http_request *request, const char *name,
                                     char *text, size_t size);

#endif
