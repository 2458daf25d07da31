/* choices.c - see choices.h. */
#include "base/choices.h"

#include <stdbool.h>
#include <string.h>

size_t choices_next(const char **choices, const char **ret_word)
{
    size_t len = strcspn(*choices, "|");

    *ret_word = *choices;
    *choices += len + ((*choices)[len] == '|');
    return len;
}

int choices_find(const char *choices, const char *word)
{
    const char *choice;
    size_t len;

    for (int place = 0; (len = choices_next(&choices, &choice)) > 0; place++) {
        bool begins = len > 3 && memcmp(choice + len - 3, "...", 3) == 0;

        if (begins ? strncmp(word, choice, len - 3) == 0
                   : strlen(word) == len && memcmp(word, choice, len) == 0)
            return place;
    }
    return -1;
}
