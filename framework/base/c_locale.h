/* c_locale.h - numbers as in the locale "C", whatever setlocale(3) a plugin or an embedding program
 * has called: a comma for a point would be another number, or none. Thread: any; a change is the
 * thread's own. Elsewhere: letters and digits (ascii.h).
 */
#ifndef WARREN_BASE_C_LOCALE_H
#define WARREN_BASE_C_LOCALE_H

#include <locale.h>
#include <stdio.h>

/** From now on until c_locale_end(), for what formats or parses by itself, such as jansson. */
locale_t c_locale_begin(void);
/** @before  what c_locale_begin() returned */
void c_locale_end(locale_t before);

/** As the functions of stdio.h and stdlib.h. */
double c_strtod(const char *text, char **ret_end);
int c_snprintf(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int c_fprintf(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
