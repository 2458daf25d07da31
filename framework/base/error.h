/* error.h - fill in a struct warren_error. Thread: any. */
#ifndef WARREN_BASE_ERROR_H
#define WARREN_BASE_ERROR_H

#include <warren/status.h>

/**
 * Write @status and the text into @error, cut to fit; @error may be NULL.
 *
 * @return @status, so that a caller may write `return error_set(error, WARREN_EINVAL, ...)`
 */
enum warren_status error_set(struct warren_error *error, enum warren_status status,
                             const char *format, ...) __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__ /* sees one file at a time: here is what it cannot know */
#define error_set(error, status, ...) ((error_set)(error, status, __VA_ARGS__), (status))
#endif

#endif
