/* symbols.c - see symbols.h. */
#include "base/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

/* A file in memory. Nothing in it is trusted. */
struct file {
    const uint8_t *data;
    size_t size;
};

static bool map(const char *path, struct file *file)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    void *data = MAP_FAILED;

    if (fd < 0)
        return false;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED)
        return false;
    *file = (struct file){data, (size_t)info.st_size};
    return true;
}

/* @count things of @each bytes at @offset, if they lie in the file and are aligned. */
static const void *part(const struct file *file, uint64_t offset, uint64_t count, size_t each)
{
    if (offset > file->size || count > (file->size - offset) / each || offset % sizeof(void *) != 0)
        return NULL;
    return file->data + offset;
}

static const ElfW(Shdr) * find_table(const ElfW(Shdr) * sections, unsigned count, uint32_t type)
{
    for (unsigned i = 0; i < count; i++)
        if (sections[i].sh_type == type && sections[i].sh_entsize == sizeof(ElfW(Sym)) &&
            sections[i].sh_link < count)
            return &sections[i];
    return NULL;
}

static bool covers(const ElfW(Sym) * symbol, uint64_t address)
{
    return (symbol->st_info & 0xf) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
           address >= symbol->st_value && address - symbol->st_value < symbol->st_size;
}

static void copy_name(const struct file *file, const ElfW(Shdr) * strings, uint32_t at,
                      struct symbol *symbol)
{
    size_t len = 0;

    if (strings->sh_offset > file->size || at >= strings->sh_size ||
        strings->sh_size > file->size - strings->sh_offset)
        return;
    while (len < sizeof symbol->name - 1 && len < strings->sh_size - at &&
           file->data[strings->sh_offset + at + len]) {
        symbol->name[len] = (char)file->data[strings->sh_offset + at + len];
        len++;
    }
    symbol->name[len] = '\0';
}

static bool find_in(const struct file *file, const ElfW(Ehdr) * header, uint32_t type,
                    uint64_t address, struct symbol *symbol)
{
    const ElfW(Shdr) *sections = part(file, header->e_shoff, header->e_shnum, sizeof *sections);
    const ElfW(Shdr) *table = sections ? find_table(sections, header->e_shnum, type) : NULL;
    const ElfW(Sym) * symbols;
    uint64_t count;

    if (!table)
        return false;
    count = table->sh_size / sizeof *symbols;
    symbols = part(file, table->sh_offset, count, sizeof *symbols);
    for (uint64_t i = 0; symbols && i < count; i++) {
        if (!covers(&symbols[i], address))
            continue;
        symbol->name[0] = '\0';
        symbol->offset = address - symbols[i].st_value;
        copy_name(file, &sections[table->sh_link], symbols[i].st_name, symbol);
        return *symbol->name;
    }
    return false;
}

bool symbols_find(const char *path, uint64_t address, struct symbol *symbol)
{
    const ElfW(Ehdr) * header;
    struct file file;
    bool found = false;

    if (!map(path, &file))
        return false;
    header = part(&file, 0, 1, sizeof *header);
    if (header && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
        header->e_ident[EI_CLASS] == OWN_CLASS && header->e_shentsize == sizeof(ElfW(Shdr)))
        found = find_in(&file, header, SHT_SYMTAB, address, symbol) ||
                find_in(&file, header, SHT_DYNSYM, address, symbol);
    munmap((void *)(uintptr_t)file.data, file.size);
    return found;
}
