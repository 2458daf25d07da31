/* lock_holders.h - which processes have locks (fcntl(2)) on a file, as the kernel lists them: for
 * reports. Nothing is opened but the list: to close a file ends the locks that this process
 * has on it.
 * Thread: any.
 */
#ifndef WARREN_STORE_LOCK_HOLDERS_H
#define WARREN_STORE_LOCK_HOLDERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * @inode  of the file. File systems disagree with the list about the device, so it is not compared
 * @first  to @last: a lock that has one of these bytes counts
 * @return how many different processes were written to @pids, @max at most; none that this one
 *         cannot see, such as those of other containers
 */
size_t lock_holders(ino_t inode, int64_t first, int64_t last, pid_t *pids, size_t max);

#endif
