/* loader.c - see loader.h.
 *
 * The dynamic linker believes the headers of a file: it maps what is not there, and the process
 * ends by SIGBUS. So a file that is only half copied is found out before. What a whole file holds
 * is not looked at: to load a plugin is to trust it.
 */
#include "plugin/loader.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* Entries of the dynamic section that are read; a linker writes some thirty. */
#define DYNAMIC_MAX 1024
/* Three bytes a bit. */
#define DETOUR_SIZE 100

/* ---- what the headers of the file promise ---- */

struct image {
    int fd;
    uint64_t size;
    char *why;
    size_t why_size;
};

static bool wrong(const struct image *image, const char *why)
{
    snprintf(image->why, image->why_size, "%s", why);
    return false;
}

/* The end of the file is where something else should be. */
static bool cut_short(const struct image *image, uint64_t needed)
{
    snprintf(image->why, image->why_size,
             "it has %" PRIu64 " bytes, and its headers speak of %" PRIu64
             ": it was not copied completely (copy it beside its place, then rename it)",
             image->size, needed);
    return false;
}

/* Do @len bytes at @offset lie in the file? */
static bool holds(const struct image *image, uint64_t offset, uint64_t len)
{
    if (len > UINT64_MAX - offset)
        return wrong(image, "its headers are damaged: a part of it would end beyond all files");
    return offset + len <= image->size || cut_short(image, offset + len);
}

static bool read_at(const struct image *image, uint64_t offset, void *to, size_t len)
{
    if (!holds(image, offset, len))
        return false;
    return pread(image->fd, to, len, (off_t)offset) == (ssize_t)len ||
           wrong(image, "it cannot be read");
}

/* The headers of this very program: a plugin has to be for the same machine. */
static bool read_own(ElfW(Ehdr) * own)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool done = fd >= 0 && pread(fd, own, sizeof *own, 0) == (ssize_t)sizeof *own;

    if (fd >= 0)
        close(fd);
    return done;
}

static bool check_header(const struct image *image, const ElfW(Ehdr) * header)
{
    ElfW(Ehdr) own;

    if (read_own(&own) &&
        (header->e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
         header->e_ident[EI_DATA] != own.e_ident[EI_DATA] || header->e_machine != own.e_machine))
        return wrong(image, "it is built for another kind of machine");
    if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_phnum == 0 ||
        header->e_phnum == PN_XNUM || header->e_phentsize != sizeof(ElfW(Phdr)))
        return wrong(image, "its ELF header is damaged");
    return true;
}

/* What the dynamic linker looks up symbols in; a file that was made as long as it will be, and is
 * still to be filled, has zeros there. */
static bool check_dynamic(const struct image *image, const ElfW(Phdr) * segment)
{
    uint64_t count = segment->p_filesz / sizeof(ElfW(Dyn));
    bool symbols = false;
    bool names = false;
    bool hash = false;

    for (uint64_t i = 0; i < count && i < DYNAMIC_MAX; i++) {
        ElfW(Dyn) entry;

        if (!read_at(image, segment->p_offset + i * sizeof entry, &entry, sizeof entry))
            return false;
        if (entry.d_tag == DT_NULL)
            break;
        symbols |= entry.d_tag == DT_SYMTAB && entry.d_un.d_ptr != 0;
        names |= entry.d_tag == DT_STRTAB && entry.d_un.d_ptr != 0;
        hash |= (entry.d_tag == DT_HASH || entry.d_tag == DT_GNU_HASH) && entry.d_un.d_ptr != 0;
    }
    return (symbols && names && hash) ||
           wrong(image, "it says nothing about its symbols: it was not copied completely, or is no "
                        "shared object of a linker");
}

static bool check_segments(const struct image *image, const ElfW(Ehdr) * header)
{
    bool loads = false;
    bool dynamic = false;

    if (!holds(image, header->e_phoff, header->e_phnum * sizeof(ElfW(Phdr))))
        return false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;

        if (!read_at(image, header->e_phoff + i * sizeof segment, &segment, sizeof segment) ||
            !holds(image, segment.p_offset, segment.p_filesz))
            return false;
        if (segment.p_memsz < segment.p_filesz && segment.p_type == PT_LOAD)
            return wrong(image, "its headers are damaged: a segment is larger than its memory");
        loads |= segment.p_type == PT_LOAD;
        if (segment.p_type != PT_DYNAMIC)
            continue;
        dynamic = true;
        if (!check_dynamic(image, &segment))
            return false;
    }
    return (loads && dynamic) || wrong(image, "it has nothing that could be loaded");
}

/* Nothing of these is loaded; but they are the last that a linker writes, so they show whether the
 * file has its end. */
static bool check_sections(const struct image *image, const ElfW(Ehdr) * header)
{
    if (header->e_shoff == 0)
        return true;
    if (header->e_shentsize != sizeof(ElfW(Shdr)))
        return wrong(image, "its ELF header is damaged");
    if (!holds(image, header->e_shoff, header->e_shnum * sizeof(ElfW(Shdr))))
        return false;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        ElfW(Shdr) section;

        if (!read_at(image, header->e_shoff + i * sizeof section, &section, sizeof section))
            return false;
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
            !holds(image, section.sh_offset, section.sh_size))
            return false;
    }
    return true;
}

/*
 * Look at the regular file @fd, which has @size bytes.
 *
 * @why     of @why_size bytes: what is wrong, as one clause
 * @return  0: nothing; -1: it is no shared object at all; 1: see @why
 */
static int elf_check(int fd, off_t size, char *why, size_t why_size)
{
    const struct image image = {fd, (uint64_t)size, why, why_size};
    unsigned char head[EI_NIDENT + sizeof(uint16_t)];
    ElfW(Ehdr) header;
    uint16_t type;

    if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
        memcmp(head, ELFMAG, SELFMAG) != 0)
        return -1;
    memcpy(&type, head + EI_NIDENT, sizeof type);
    if (type != ET_DYN)
        return -1;
    return read_at(&image, 0, &header, sizeof header) && check_header(&image, &header) &&
                   check_sections(&image, &header) && check_segments(&image, &header)
               ? 0
               : 1;
}

/* ---- loading ---- */

typedef const struct warren_plugin *entry_fn(void);

/* @return a descriptor; -1 with @error */
static int open_file(const char *path, struct warren_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        error_set(error, WARREN_EPLUGIN, "%s: cannot open the plugin: %s", path,
                  strerrordesc_np(errno));
    return fd;
}

static bool hash_content(int fd, uint8_t ret[SIPHASH_SIZE])
{
    static const uint8_t key[SIPHASH_SIZE] = {0};
    char piece[16384];
    struct siphash hash;
    off_t at = 0;
    ssize_t got;

    siphash_begin(&hash, key);
    while ((got = pread(fd, piece, sizeof piece, at)) > 0) {
        siphash_add(&hash, piece, (size_t)got);
        at += got;
    }
    siphash_end(&hash, ret);
    return got == 0;
}

/* @return false: it cannot be read */
static bool read_identity(int fd, const struct stat *about, struct plugin_file *ret)
{
    *ret = (struct plugin_file){.device = about->st_dev,
                                .inode = about->st_ino,
                                .size = about->st_size,
                                .changed_ns = about->st_mtim.tv_sec * INT64_C(1000000000) +
                                              about->st_mtim.tv_nsec};
    return hash_content(fd, ret->content);
}

static bool is_same_file(const struct plugin_file *a, const struct plugin_file *b)
{
    return a->device == b->device && a->inode == b->inode;
}

enum warren_status plugin_file_look(const struct plugin *plugin, enum plugin_file_state *ret_state,
                                    struct warren_error *error)
{
    int fd = open_file(plugin->where, error);
    struct plugin_file now;
    struct stat about;
    bool read;

    if (fd < 0)
        return WARREN_EPLUGIN;
    read = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && read_identity(fd, &about, &now);
    close(fd);
    if (!read)
        return error_set(error, WARREN_EPLUGIN, "%s: the plugin cannot be read", plugin->where);
    if (memcmp(now.content, plugin->file.content, SIPHASH_SIZE) == 0)
        *ret_state = PLUGIN_FILE_SAME;
    else
        *ret_state =
            is_same_file(&now, &plugin->file) ? PLUGIN_FILE_OVERWRITTEN : PLUGIN_FILE_OTHER;
    return WARREN_OK;
}

static enum warren_status check_file(const char *path, struct plugin_file *ret_file,
                                     struct warren_error *error)
{
    enum warren_status status = WARREN_OK;
    struct stat about;
    char why[256];
    int found = -1;
    int fd = open_file(path, error);

    if (fd < 0)
        return WARREN_EPLUGIN;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode))
        found = elf_check(fd, about.st_size, why, sizeof why);
    if (found == 0 && !read_identity(fd, &about, ret_file)) {
        snprintf(why, sizeof why, "it cannot be read");
        found = 1;
    }
    if (found < 0) /* asked first, as dlerror(3) is terse about what is not */
        status = error_set(error, WARREN_EPLUGIN,
                           "%s: not a shared object: build the plugin with cc -fPIC -shared", path);
    else if (found > 0)
        status = error_set(error, WARREN_EPLUGIN, "%s: cannot load the plugin: %s", path, why);
    close(fd);
    return status;
}

/* The same path in other words, others for each number: "dir/.//plugin.so". The folder stays what
 * $ORIGIN is. */
static void spell(unsigned number, char detour[DETOUR_SIZE])
{
    size_t len = 0;

    *detour = '\0';
    for (; number > 0 && len < DETOUR_SIZE; number /= 2)
        len += (size_t)snprintf(detour + len, DETOUR_SIZE - len, number % 2 ? ".//" : "./");
}

/* A name without a slash would be searched for in the library folders. */
static enum warren_status open_library(const char *path, unsigned number, void **library,
                                       struct warren_error *error)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char detour[DETOUR_SIZE];
    char here[PATH_MAX];
    int len;

    spell(number, detour);
    len = snprintf(here, sizeof here, "%.*s%s%s%s", (int)(name - path), path, slash ? "" : "./",
                   detour, name);
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

enum warren_status plugin_load_anew(const char *path, unsigned number, const uint8_t *content,
                                    struct plugin **ret_plugin, struct warren_error *error)
{
    struct plugin_file file;
    enum warren_status status = check_file(path, &file, error);
    void *library = NULL;

    if (status == WARREN_OK && content && memcmp(file.content, content, SIPHASH_SIZE) != 0)
        status = error_set(error, WARREN_EPLUGIN,
                           "%s: the file changed while it was being loaded: once it is complete, "
                           "try again",
                           path);
    if (status == WARREN_OK)
        status = open_library(path, number, &library, error);
    if (status != WARREN_OK)
        return status;
    status = read_plugin(library, path, ret_plugin, error);
    if (status != WARREN_OK)
        dlclose(library);
    if (status != WARREN_OK)
        return status;
    (*ret_plugin)->library = library;
    (*ret_plugin)->file = file;
    return status;
}

enum warren_status plugin_load(const char *path, struct plugin **ret_plugin,
                               struct warren_error *error)
{
    return plugin_load_anew(path, 0, NULL, ret_plugin, error);
}
