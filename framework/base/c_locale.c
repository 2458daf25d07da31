/* c_locale.c - see c_locale.h. */
#include "base/c_locale.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

/* It is there as long as the process is: of "C" a libc has but one. */
static void make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

locale_t c_locale_begin(void)
{
    pthread_once(&once, make);
    return uselocale(c_locale); /* 0, if there was no memory, changes nothing */
}

void c_locale_end(locale_t before)
{
    uselocale(before);
}

double c_strtod(const char *text, char **ret_end)
{
    locale_t before = c_locale_begin();
    double real = strtod(text, ret_end);

    c_locale_end(before);
    return real;
}

int c_snprintf(char *text, size_t size, const char *format, ...)
{
    locale_t before = c_locale_begin();
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    c_locale_end(before);
    return len;
}

int c_fprintf(FILE *out, const char *format, ...)
{
    locale_t before = c_locale_begin();
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vfprintf(out, format, arguments);
    va_end(arguments);
    c_locale_end(before);
    return len;
}
