/* backtrace.c - see backtrace.h. */
#include "base/backtrace.h"

#include <execinfo.h>
#include <link.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/symbols.h"

/* Frames of the signal's handler, above those that are asked for. */
#define HANDLER_CALLS 16
#define LINE_SIZE     512
#define PATH_SIZE     1024

void backtrace_prepare(void)
{
    void *calls[4];

    backtrace(calls, 4);
}

/* ---- taking ---- */

/* Where the signal came in. NULL: this machine is not known, so the handler's calls stay in. */
static void *interrupted_at(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (void *)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (void *)context->uc_mcontext.pc;
#else
    (void)context;
    return NULL;
#endif
}

/* Where a function that has no frame yet would return to: who jumps to a NULL pointer is nowhere
 * else to be found. */
static void *frameless_caller(const ucontext_t *context)
{
    void *caller = NULL;

#if defined(__x86_64__)
    memcpy(&caller, (const void *)context->uc_mcontext.gregs[REG_RSP], sizeof caller);
#elif defined(__aarch64__)
    caller = (void *)context->uc_mcontext.regs[30];
#else
    (void)context;
#endif
    return caller;
}

static size_t calls_from(void *const *all, size_t count, const void *pc, void **calls)
{
    size_t skip = 0;

    while (skip < count && all[skip] != pc)
        skip++;
    count -= skip;
    if (count > BACKTRACE_CALLS)
        count = BACKTRACE_CALLS;
    memcpy(calls, all + skip, count * sizeof *calls);
    return count;
}

static bool is_code(const void *pc);

size_t backtrace_take(void *context, void **calls)
{
    void *all[BACKTRACE_CALLS + HANDLER_CALLS];
    size_t count = (size_t)backtrace(all, BACKTRACE_CALLS + HANDLER_CALLS);
    void *pc = context ? interrupted_at(context) : NULL;

    if (context && !is_code(pc) && (calls[1] = frameless_caller(context))) {
        calls[0] = pc;
        return 2;
    }
    if (!pc)
        return calls_from(all, count, count > 0 ? all[0] : NULL, calls);
    count = calls_from(all, count, pc, calls);
    if (count == 0)
        calls[count++] = pc;
    return count;
}

/* ---- modules ---- */

struct module {
    uintptr_t pc;
    uintptr_t base;
    char path[PATH_SIZE];
    bool found;
};

static int look_at_module(struct dl_phdr_info *info, size_t size, void *user)
{
    struct module *module = user;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + segment->p_vaddr;

        if (segment->p_type != PT_LOAD || module->pc < begin ||
            module->pc - begin >= segment->p_memsz)
            continue;
        module->base = info->dlpi_addr;
        module->found = true;
        strncpy(module->path, info->dlpi_name, sizeof module->path - 1);
        return 1;
    }
    return 0;
}

/* The program itself has no name there. */
static void name_program(struct module *module)
{
    ssize_t len = readlink("/proc/self/exe", module->path, sizeof module->path - 1);

    module->path[len > 0 ? len : 0] = '\0';
}

static bool find_module(const void *pc, struct module *module)
{
    memset(module, 0, sizeof *module);
    module->pc = (uintptr_t)pc;
    dl_iterate_phdr(look_at_module, module);
    if (module->found && !*module->path)
        name_program(module);
    return module->found;
}

static bool is_code(const void *pc)
{
    struct module module;

    return find_module(pc, &module);
}

/* ---- writing ---- */

void backtrace_add(struct backtrace_text *text, const char *words)
{
    size_t len = strlen(words);

    if (text->left == 0)
        return;
    if (len > text->left - 1)
        len = text->left - 1;
    memcpy(text->at, words, len);
    text->at += len;
    text->left -= len;
    *text->at = '\0';
}

static void add_number(struct backtrace_text *text, uint64_t number, unsigned base)
{
    char digits[24];
    char *at = digits + sizeof digits - 1;

    *at = '\0';
    do {
        *--at = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    backtrace_add(text, at);
}

void backtrace_add_hex(struct backtrace_text *text, uint64_t number)
{
    backtrace_add(text, "0x");
    add_number(text, number, 16);
}

void backtrace_add_int(struct backtrace_text *text, int64_t number)
{
    if (number < 0)
        backtrace_add(text, "-");
    add_number(text, number < 0 ? -(uint64_t)number : (uint64_t)number, 10);
}

void backtrace_name(const void *pc, bool innermost, char *name, size_t size)
{
    uintptr_t at = (uintptr_t)pc - (innermost || !pc ? 0 : 1);
    struct backtrace_text text = {name, size};
    struct module module;
    struct symbol symbol;
    const char *slash;

    if (!find_module((const void *)at, &module)) {
        backtrace_add_hex(&text, (uintptr_t)pc);
        return;
    }
    if (symbols_find(module.path, at - module.base, &symbol)) {
        backtrace_add(&text, symbol.name);
    } else {
        slash = strrchr(module.path, '/');
        backtrace_add(&text, slash ? slash + 1 : module.path);
        backtrace_add(&text, "+");
        backtrace_add_hex(&text, (uintptr_t)pc - module.base);
    }
    for (char *c = name; *c; c++)
        if (*c == ';' || *c == '\n')
            *c = '_';
}

/* All but the innermost call are addresses to return to, perhaps of the next function. */
static void write_call(struct backtrace_text *line, const void *pc, bool innermost)
{
    uintptr_t at = (uintptr_t)pc - (innermost || !pc ? 0 : 1);
    struct module module;
    struct symbol symbol;
    const char *slash;

    backtrace_add_hex(line, (uintptr_t)pc);
    if (!find_module((const void *)at, &module))
        return;
    if (symbols_find(module.path, at - module.base, &symbol)) {
        backtrace_add(line, " ");
        backtrace_add(line, symbol.name);
        backtrace_add(line, "+");
        backtrace_add_hex(line, symbol.offset + (uintptr_t)pc - at);
    }
    slash = strrchr(module.path, '/');
    backtrace_add(line, " (");
    backtrace_add(line, slash ? slash + 1 : module.path);
    backtrace_add(line, "+");
    backtrace_add_hex(line, (uintptr_t)pc - module.base);
    backtrace_add(line, ")");
}

size_t backtrace_write(void *const *calls, size_t count, char *text, size_t size)
{
    size_t len = 0;

    if (size > 0)
        text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char room[LINE_SIZE];
        struct backtrace_text line = {room, sizeof room};
        size_t line_len;

        backtrace_add(&line, "#");
        backtrace_add_int(&line, (int64_t)i);
        backtrace_add(&line, " ");
        write_call(&line, calls[i], i == 0);
        backtrace_add(&line, "\n");
        line_len = (size_t)(line.at - room);
        if (len + line_len >= size)
            break;
        memcpy(text + len, room, line_len + 1);
        len += line_len;
    }
    return len;
}
