/* comma_locale.h - a locale in which a number has a comma, as a plugin may set it. */
#ifndef TESTS_UNIT_COMMA_LOCALE_H
#define TESTS_UNIT_COMMA_LOCALE_H

#include <locale.h>
#include <stdbool.h>

#include "support/test.h"

/* One of those that are installed, else a new one. @return false: there are no sources for it */
static inline bool set_comma_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "pt_BR.UTF-8", "ru_RU.UTF-8"};
    char folder[] = "/tmp/warren-locale-XXXXXX";
    char command[200];
    bool made;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_ALL, names[i]))
            return true;
    if (!mkdtemp(folder))
        return false;
    snprintf(command, sizeof command,
             "localedef -i de_DE -f UTF-8 --no-archive %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
    made = system(command) == 0;
    setenv("LOCPATH", folder, 1);
    made = made && setlocale(LC_ALL, "de_DE.UTF-8");
    unsetenv("LOCPATH");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 && made;
}

/* For a test that cannot go on without. */
#define TAKE_COMMA_LOCALE()                                                                        \
    do {                                                                                           \
        if (!set_comma_locale())                                                                   \
            skip();                                                                                \
    } while (0)

#endif
