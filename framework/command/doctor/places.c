/* places.c - folders in which a worker keeps something, and the disks under them: see judge.h.
 * Elsewhere: the facts (place_facts.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command/doctor/doctor.h"
#include "command/doctor/judge.h"

#define MIB ((uint64_t)1 << 20)

/* Bytes of a remembered key in the store's file, with what the file loses. */
#define KEY_FILE_BYTES 64

/* A flush that takes longer holds up every commit; one that is faster than any disk does nothing.
 */
#define SYNC_SLOW_US    100000
#define SYNC_NO_DISK_US 5

#define INODES_LEAST 64

enum place_kind place_kind_of(uint64_t type, const char **ret_name)
{
    static const struct {
        uint64_t type;
        const char *name;
        enum place_kind kind;
    } known[] = {
        {0x01021994, "tmpfs", PLACE_MEMORY},   {0x858458f6, "ramfs", PLACE_MEMORY},
        {0x794c7630, "overlay", PLACE_LAYER},  {0x61756673, "aufs", PLACE_LAYER},
        {0x6969, "NFS", PLACE_NETWORK},        {0xff534d42, "CIFS", PLACE_NETWORK},
        {0xfe534d42, "SMB", PLACE_NETWORK},    {0x517b, "SMB", PLACE_NETWORK},
        {0x01021997, "9P", PLACE_NETWORK},     {0x00c36400, "Ceph", PLACE_NETWORK},
        {0x0bd00bd0, "Lustre", PLACE_NETWORK}, {0x5346414f, "AFS", PLACE_NETWORK},
        {0x65735546, "FUSE", PLACE_UNKNOWN},   {0xef53, "ext4", PLACE_DISK},
        {0x58465342, "XFS", PLACE_DISK},       {0x9123683e, "Btrfs", PLACE_DISK},
        {0x2fc12fc1, "ZFS", PLACE_DISK},       {0xf2f52010, "F2FS", PLACE_DISK},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].type == type) {
            *ret_name = known[i].name;
            return known[i].kind;
        }
    }
    *ret_name = "another file system";
    return PLACE_DISK;
}

/* ---- state-folder ---- */

static bool is_usable(const struct place *place)
{
    const struct place_facts *facts = &place->facts;

    return facts->end == WITHIN_DONE && facts->exists && !facts->write_error;
}

/* @return whether there was nothing to say */
static bool judge_access(struct findings *findings, const struct place *place)
{
    const struct place_facts *facts = &place->facts;
    const char *name = "state-folder";

    if (facts->end == WITHIN_LATE)
        findings_fail(findings, name, "look at the file server, or put it on a local disk",
                      "%s %s: the file system does not answer within %d s", place->what,
                      place->path, PLACE_PATIENCE_MS / 1000);
    else if (facts->end != WITHIN_DONE)
        findings_fail(findings, name, "look at /proc/sys/kernel/pid_max and ulimit -u",
                      "%s %s: no process could be started to look at it", place->what, place->path);
    else if (!facts->exists && facts->can_make)
        findings_ok(findings, name, "%s %s: is not there yet; the worker will make it", place->what,
                    place->path);
    else if (!facts->exists)
        findings_fail(findings, name, "make the folder, and give it to the user of the worker",
                      "%s %s: %s", place->what, place->path, strerrordesc_np(facts->error));
    else if (facts->write_error)
        findings_fail(
            findings, name,
            facts->write_error == EROFS
                ? "mount something that can be written there: a volume"
                : "give the folder to the user of the worker; run the doctor as that user",
            "%s %s: no file can be made in its folder: %s", place->what, place->path,
            strerrordesc_np(facts->write_error));
    else if (facts->file_error)
        findings_fail(findings, name, "give the file to the user of the worker", "%s %s: %s",
                      place->what, place->path, strerrordesc_np(facts->file_error));
    else
        return true;
    return false;
}

static void judge_kind(struct findings *findings, const struct place *place)
{
    const char *name;
    enum place_kind kind = place_kind_of(place->facts.type, &name);

    if (kind == PLACE_MEMORY)
        findings_warn(findings, "state-folder", "put it on a disk, in a container on a volume",
                      "%s %s: is in memory (%s): what it keeps is gone when the machine or the "
                      "container starts anew",
                      place->what, place->path, name);
    else if (kind == PLACE_LAYER)
        findings_warn(findings, "state-folder", "mount a volume there",
                      "%s %s: is in the container's own layer (%s): it goes with the container",
                      place->what, place->path, name);
    else if (kind == PLACE_NETWORK && place->database)
        findings_fail(findings, "state-folder", "put it on a local disk",
                      "%s %s: is on a network (%s): SQLite's log needs memory that all processes "
                      "share, and locks that hold",
                      place->what, place->path, name);
    else if (kind == PLACE_NETWORK || kind == PLACE_UNKNOWN)
        findings_warn(
            findings, "state-folder", "put it on a local disk",
            "%s %s: is on %s: a server that hangs stops the worker, and locks may not hold",
            place->what, place->path, name);
    else
        findings_ok(findings, "state-folder", "%s %s: can be written, on %s", place->what,
                    place->path, name);
}

void judge_state_folder(struct findings *findings, const struct place *place)
{
    const struct place_facts *facts = &place->facts;

    if (!judge_access(findings, place))
        return;
    if (facts->lock_error || facts->map_error)
        findings_fail(findings, "state-folder", "put it on a local disk",
                      "%s %s: its file system does not %s files: %s", place->what, place->path,
                      facts->lock_error ? "lock" : "map",
                      strerrordesc_np(facts->lock_error ? facts->lock_error : facts->map_error));
    else
        judge_kind(findings, place);
}

/* ---- fsync ---- */

void judge_fsync(struct findings *findings, const struct place *place)
{
    const struct place_facts *facts = &place->facts;
    const char *name;

    if (!is_usable(place))
        return;
    if (facts->sync_error)
        findings_fail(findings, "fsync", "look at the disk, and at the kernel's log",
                      "%s %s: writing to the disk fails: %s", place->what, place->path,
                      strerrordesc_np(facts->sync_error));
    else if (place->synced && facts->sync_us < SYNC_NO_DISK_US)
        findings_warn(findings, "fsync",
                      "a loss of power loses what was confirmed: take a disk, and no eatmydata",
                      "%s %s: fdatasync() takes %" PRId64 " us, which no disk does: nothing is "
                      "written (%s)",
                      place->what, place->path, facts->sync_us,
                      place_kind_of(facts->type, &name) == PLACE_MEMORY ? name : "is it memory?");
    else if (facts->sync_us > SYNC_SLOW_US)
        findings_warn(
            findings, "fsync",
            "a faster disk, or one for it alone; see synchronous in docs/configuration.md",
            "%s %s: fdatasync() takes up to %" PRId64 " ms, and each commit waits for it",
            place->what, place->path, facts->sync_us / 1000);
    else
        findings_ok(findings, "fsync", "%s %s: fdatasync() takes %" PRId64 " to %" PRId64 " us",
                    place->what, place->path, facts->sync_least_us, facts->sync_us);
}

/* ---- disk-space ---- */

static uint64_t left_to_grow(const struct place *place)
{
    uint64_t left = place->grows > place->facts.has ? place->grows - place->facts.has : 0;

    return left > PLACE_LEAST ? left : PLACE_LEAST;
}

static void judge_one_disk(struct findings *findings, const struct place *first, uint64_t need,
                           unsigned count)
{
    const struct place_facts *facts = &first->facts;
    char others[32] = "";

    if (count > 1)
        snprintf(others, sizeof others, " and %u more", count - 1);
    if (facts->free < PLACE_LEAST)
        findings_fail(findings, "disk-space", "make room",
                      "%s%s: the disk of %s has only %" PRIu64 " MiB left", first->what, others,
                      first->path, facts->free / MIB);
    else if (facts->inodes < INODES_LEAST)
        findings_fail(findings, "disk-space", "remove files: their number is what is bounded",
                      "%s%s: the file system of %s has room for only %" PRIu64 " files more",
                      first->what, others, first->path, facts->inodes);
    else if (facts->free < need)
        findings_warn(
            findings, "disk-space", "make room, or lower spool.max_bytes or store.keys_max",
            "%s%s: the disk of %s has %" PRIu64 " MiB left, and what is kept there may grow "
            "by %" PRIu64 " MiB",
            first->what, others, first->path, facts->free / MIB, need / MIB);
    else
        findings_ok(findings, "disk-space",
                    "%s%s: the disk of %s has %" PRIu64 " MiB left; what is kept there may grow by "
                    "%" PRIu64 " MiB",
                    first->what, others, first->path, facts->free / MIB, need / MIB);
}

void judge_disk_space(struct findings *findings, const struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t need = 0;
        unsigned on_it = 0;
        bool judged = false;

        if (!is_usable(&places[i]))
            continue;
        for (size_t k = 0; k < count; k++) {
            if (!is_usable(&places[k]) || places[k].facts.device != places[i].facts.device)
                continue;
            judged = judged || k < i;
            need += left_to_grow(&places[k]);
            on_it++;
        }
        if (!judged)
            judge_one_disk(findings, &places[i], need, on_it);
    }
}

/* ---- the checks ---- */

static size_t list(const struct config *config, struct place places[DOCTOR_PLACES_MAX])
{
    size_t count = 0;

    if (config->state_dir)
        places[count++] =
            (struct place){.what = "state_dir", .path = config->state_dir, .is_folder = true};
    if (config->store.path)
        places[count++] =
            (struct place){.what = "store.path",
                           .path = config->store.path,
                           .database = true,
                           .synced = strcmp(config->store.synchronous, "off") != 0,
                           .grows = (uint64_t)config->store.keys_max * KEY_FILE_BYTES};
    if (config->spool.path)
        places[count++] = (struct place){.what = "spool.path",
                                         .path = config->spool.path,
                                         .database = true,
                                         .synced = true,
                                         .grows = (uint64_t)config->spool.max_bytes +
                                                  (uint64_t)config->spool.max_bytes / 10};
    return count;
}

/* Once: a file system that does not answer is waited for once. */
static void gather(struct doctor *doctor)
{
    if (doctor->placed)
        return;
    doctor->placed = true;
    doctor->place_count = list(doctor->config, doctor->places);
    for (size_t i = 0; i < doctor->place_count; i++)
        place_gather(&doctor->places[i], doctor_waits, doctor);
}

void check_state_folder(struct doctor *doctor)
{
    gather(doctor);
    for (size_t i = 0; i < doctor->place_count; i++)
        judge_state_folder(&doctor->findings, &doctor->places[i]);
    if (!doctor->config->state_dir && doctor->file)
        findings_ok(
            &doctor->findings, "state-folder",
            "there is no state_dir: after SIGKILL nobody knows which messages handlers had");
}

void check_fsync(struct doctor *doctor)
{
    gather(doctor);
    for (size_t i = 0; i < doctor->place_count; i++)
        judge_fsync(&doctor->findings, &doctor->places[i]);
}

void check_disk_space(struct doctor *doctor)
{
    gather(doctor);
    judge_disk_space(&doctor->findings, doctor->places, doctor->place_count);
}
