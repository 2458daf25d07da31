/* no_plugin.c - a shared object that is no plugin at all. */
#include <warren/version.h>

WARREN_API int no_plugin_answer(void);

int no_plugin_answer(void)
{
    return 42;
}
