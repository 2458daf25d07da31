/* symbols.h - the function that an address of a module belongs to, from the symbol table of the
 * module's ELF file, static functions included. No allocation, no lock: fit for signal handlers.
 */
#ifndef WARREN_BASE_SYMBOLS_H
#define WARREN_BASE_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#define SYMBOL_NAME_SIZE 128

struct symbol {
    char name[SYMBOL_NAME_SIZE]; /* cut to fit */
    uint64_t offset;             /* of the address, from the function's begin */
};

/**
 * @path     of the file, as it was loaded
 * @address  in the module, without the address that it was loaded at
 * @return   false: the file is gone, is no ELF file of this machine, or names no such function
 */
bool symbols_find(const char *path, uint64_t address, struct symbol *symbol);

#endif
