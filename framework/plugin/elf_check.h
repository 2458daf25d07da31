/* elf_check.h - whether a file holds what its ELF headers promise. The dynamic linker believes
 * them: it maps what is not there, and the process ends by SIGBUS. So a file that is only half
 * copied is to be found out before. What a whole file holds is not looked at: to load a plugin is
 * to trust it.
 */
#ifndef WARREN_PLUGIN_ELF_CHECK_H
#define WARREN_PLUGIN_ELF_CHECK_H

#include <stddef.h>
#include <sys/types.h>

/**
 * Look at the regular file @fd, which has @size bytes.
 *
 * @why     of @why_size bytes: what is wrong, as one clause
 * @return  0: nothing; -1: it is no shared object at all; 1: see @why
 */
int elf_check(int fd, off_t size, char *why, size_t why_size);

#endif
