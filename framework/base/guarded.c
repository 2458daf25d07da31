/* guarded.c - see guarded.h. */
#include "base/guarded.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t whole_pages(size_t size)
{
    size_t page = page_size();

    return (size + page - 1) / page * page;
}

void *guarded_alloc(size_t size)
{
    size_t page = page_size();
    size_t inner = whole_pages(size);
    char *all;

    if (size == 0 || size > SIZE_MAX - 3 * page)
        return NULL;
    all = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    if (mprotect(all + page, inner, PROT_READ | PROT_WRITE) != 0) {
        munmap(all, inner + 2 * page);
        return NULL;
    }
    return all + page;
}

void guarded_seal(void *memory, size_t size)
{
    mprotect(memory, whole_pages(size), PROT_READ);
}

void guarded_free(void *memory, size_t size)
{
    size_t page = page_size();

    if (memory)
        munmap((char *)memory - page, whole_pages(size) + 2 * page);
}
