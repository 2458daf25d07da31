/* loader.c - see loader.h. */
#include "plugin/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "plugin/elf_check.h"

typedef const struct warren_plugin *entry_fn(void);

static enum warren_status check_file(const char *path, struct warren_error *error)
{
    enum warren_status status = WARREN_OK;
    struct stat about;
    char why[256];
    int found = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return error_set(error, WARREN_EPLUGIN, "%s: cannot open the plugin: %s", path,
                         strerrordesc_np(errno));
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode))
        found = elf_check(fd, about.st_size, why, sizeof why);
    if (found < 0) /* asked first, as dlerror(3) is terse about what is not */
        status = error_set(error, WARREN_EPLUGIN,
                           "%s: not a shared object: build the plugin with cc -fPIC -shared", path);
    else if (found > 0)
        status = error_set(error, WARREN_EPLUGIN, "%s: cannot load the plugin: %s", path, why);
    close(fd);
    return status;
}

/* A name without a slash would be searched for in the library folders. */
static enum warren_status open_library(const char *path, void **library, struct warren_error *error)
{
    char here[PATH_MAX];
    int len = snprintf(here, sizeof here, "%s%s", strchr(path, '/') ? "" : "./", path);

    if (len < 0 || (size_t)len >= sizeof here)
        return error_set(error, WARREN_EPLUGIN, "%.200s...: the file name is too long", path);
    *library = dlopen(here, RTLD_NOW | RTLD_LOCAL);
    if (!*library)
        return error_set(error, WARREN_EPLUGIN, "%s: cannot load the plugin: %s", path, dlerror());
    return WARREN_OK;
}

static enum warren_status read_plugin(void *library, const char *path, struct plugin **ret_plugin,
                                      struct warren_error *error)
{
    const struct warren_plugin *descriptor;
    entry_fn *entry = NULL;

    *(void **)&entry = dlsym(library, WARREN_PLUGIN_ENTRY); /* as POSIX says */
    if (!entry)
        return error_set(error, WARREN_EPLUGIN,
                         "%s: not a warren plugin: it exports no %s; define it with "
                         "WARREN_PLUGIN() of <warren/handler.h>",
                         path, WARREN_PLUGIN_ENTRY);
    descriptor = entry();
    if (!descriptor)
        return error_set(error, WARREN_EPLUGIN, "%s: %s() returned NULL", path,
                         WARREN_PLUGIN_ENTRY);
    return plugin_new(descriptor, path, ret_plugin, error);
}

enum warren_status plugin_load(const char *path, struct plugin **ret_plugin,
                               struct warren_error *error)
{
    enum warren_status status = check_file(path, error);
    void *library = NULL;

    if (status == WARREN_OK)
        status = open_library(path, &library, error);
    if (status != WARREN_OK)
        return status;
    status = read_plugin(library, path, ret_plugin, error);
    if (status != WARREN_OK)
        dlclose(library);
    else
        (*ret_plugin)->library = library;
    return status;
}
