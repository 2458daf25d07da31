/* proc.h - run a program, such as `warren`, and look at what it says and how it ends.
 * Thread: the test's.
 */
#ifndef TESTS_SUPPORT_PROC_H
#define TESTS_SUPPORT_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc;

/** What proc_wait() returns while the program still runs. */
#define PROC_RUNNING (-1)
/** Added to the signal's number when a signal ended the program. */
#define PROC_SIGNAL 1000

/**
 * Start a program. Its standard output and error go to memory.
 *
 * @argv   NULL-terminated; the first is looked up in PATH
 * @input  what it reads on standard input; NULL: nothing
 * @env    NULL-terminated "NAME=value" list added to ours; may be NULL
 * @return never NULL: a program that cannot be started ends with 127
 */
struct proc *proc_start(const char *const *argv, const char *input, const char *const *env);

/** Start `warren` with these arguments, a NULL-terminated list. */
struct proc *warren_start(const char *const *arguments, const char *input);

/** WARREN("run", "-c", file): the same, shorter. */
#define WARREN(...) warren_start((const char *const[]){__VA_ARGS__, NULL}, NULL)

/** Exit status, PROC_SIGNAL + number, or PROC_RUNNING if it did not end within @ms. */
int proc_wait(struct proc *proc, int64_t ms);

void proc_signal(struct proc *proc, int number);
pid_t proc_pid(const struct proc *proc);
/** Whether all of its threads sleep: none has been stopped in the middle of something. */
bool proc_sleeps(const struct proc *proc);

/** What it wrote so far. Valid until the next call for the same stream, or proc_free(). */
const char *proc_stdout(struct proc *proc);
const char *proc_stderr(struct proc *proc);

/** Whether signal @number does not simply end it: it is caught, blocked or ignored; or it is gone.
 */
bool proc_takes(const struct proc *proc, int number);

/** Resident memory in KiB, or -1 if it has ended. */
long proc_rss_kib(const struct proc *proc);

/** How many processes, also dead ones, have the parent @pid. */
int proc_children(pid_t pid);

/** Ends the program by SIGKILL if it still runs. NULL is fine. */
void proc_free(struct proc *proc);

#endif
