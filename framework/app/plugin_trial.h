/* plugin_trial.h - a plugin is loaded by a child process first. Loading runs its code:
 * constructors, warren_plugin_entry(), those of the libraries that it needs. What crashes there,
 * ends its process or never returns does so in the child, and a worker that was to load it while it
 * runs goes on.
 *
 *   plugin_try() > `warren try-plugin FILE` > plugin_trial_child() > a hash of the file, or why not
 *
 * The child is this process's program, executed anew, for a worker has threads, and what fork(2)
 * leaves of them must not load anything. So only `warren run` can; a program that has a worker
 * inside is another command. A plugin's `open` and `check` are not tried: they may do anything.
 * Thread: main. Elsewhere: children in general (observe/child.h), loading (plugin/loader.h).
 */
#ifndef WARREN_APP_PLUGIN_TRIAL_H
#define WARREN_APP_PLUGIN_TRIAL_H

#include <stdbool.h>

#include <warren/status.h>

#include "base/process_state.h"
#include "base/siphash.h"

/** The hidden command; its argument is the file. */
#define PLUGIN_TRIAL_COMMAND "try-plugin"
/** What loading a plugin may take, and those of one reload together. */
#define PLUGIN_TRIAL_MS  10000
#define PLUGIN_TRIALS_MS 30000
/** Of what a plugin wrote while it was loaded, in an error. */
#define PLUGIN_TRIAL_WORDS_MAX 200

struct plugin_trial {
    const struct process_state *begun; /* what the child begins with */
    int64_t until_ms;                  /* by clock_monotonic(): the end of all that are tried */
    /** A child is about to begin; it has ended, and what it left behind was killed. */
    void (*around)(void *user, bool begins);
    /** Called about 50 times a second meanwhile. @return false: the worker ends, so stop it */
    bool (*goes_on)(void *user);
    void *user;
};

/**
 * Load the plugin @path in a child.
 *
 * @content  a hash of what was loaded, as in struct plugin_file
 * @return   WARREN_OK; WARREN_EPLUGIN with @error: what is wrong with it; WARREN_EIO or
 *           WARREN_ENOMEM: there is no child; WARREN_ECLOSED: the worker ends
 */
enum warren_status plugin_try(const struct plugin_trial *trial, const char *path,
                              uint8_t content[SIPHASH_SIZE], struct warren_error *error);

/** The child's part: load @path, say what came of it on standard output, and end. */
_Noreturn void plugin_trial_child(const char *path);

#endif
