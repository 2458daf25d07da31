/* elf_check.c - see elf_check.h. */
#include "plugin/elf_check.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Entries of the dynamic section that are read; a linker writes some thirty. */
#define DYNAMIC_MAX 1024

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

int elf_check(int fd, off_t size, char *why, size_t why_size)
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
