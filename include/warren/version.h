/* version.h - the version of warren that a program was compiled against.
 * Elsewhere: the ABI number of plugins (handler.h).
 */
#ifndef WARREN_VERSION_H
#define WARREN_VERSION_H

#define WARREN_VERSION_MAJOR 0
#define WARREN_VERSION_MINOR 1
#define WARREN_VERSION_PATCH 0
#define WARREN_VERSION       "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what libwarren.so exports; everything else is hidden. */
#define WARREN_API __attribute__((visibility("default")))

/**
 * The version of the library that is loaded, "MAJOR.MINOR.PATCH".
 *
 * Thread: any. Ownership: static storage. Since: 0.1.
 */
WARREN_API const char *warren_version(void);

#ifdef __cplusplus
}
#endif
#endif
