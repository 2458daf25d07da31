#include "support/tally.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/peer.h"
#include "support/wait.h"

#define LINE_SIZE 512
#define RESERVE   400 /* messages that a queue under load is never without for long */

#define SEEN_ACKED 1u
#define SEEN_FRESH 2u /* as not redelivered */

struct tally *tally_new(const char *path, const char *prefix, unsigned count)
{
    struct tally *tally = calloc(1, sizeof *tally);

    if (!tally)
        abort();
    tally->path = text("%s", path);
    tally->prefix = text("%s", prefix);
    tally->count = count;
    tally->seen = calloc(count + 1, 1);
    tally->changed_ms = now_ms();
    if (!tally->seen)
        abort();
    return tally;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    if (tally->file)
        fclose(tally->file);
    free(tally->path);
    free(tally->prefix);
    free(tally->seen);
    free(tally);
}

static uint32_t fnv1a(const char *bytes)
{
    uint32_t hash = 2166136261u;

    for (; *bytes; bytes++)
        hash = (hash ^ (unsigned char)*bytes) * 16777619u;
    return hash;
}

/* The number of one of ours, or -1. */
static long number_of(const struct tally *tally, const char *id, size_t length, uint32_t hash)
{
    size_t prefix = strlen(tally->prefix);
    char *end;
    unsigned long number;

    if (strncmp(id, tally->prefix, prefix) != 0 || id[prefix] != '-')
        return -1;
    number = strtoul(id + prefix + 1, &end, 10);
    if (*end || number >= tally->count || length != strlen(id) || hash != fnv1a(id))
        return -1;
    return (long)number;
}

static void take_line(struct tally *tally, const char *line)
{
    char id[256], outcome[16];
    int redelivered;
    size_t length;
    uint32_t hash;
    long number = -1;

    tally->lines++;
    if (sscanf(line, "%255[^\t]\t%*u\t%d\t%zu\t%" SCNx32 "\t%15s", id, &redelivered, &length, &hash,
               outcome) == 5)
        number = number_of(tally, id, length, hash);
    if (number < 0) {
        tally->unexpected++;
        return;
    }
    if (!redelivered) {
        tally->unmarked += (tally->seen[number] & SEEN_FRESH) != 0;
        tally->seen[number] |= SEEN_FRESH;
    }
    tally->duplicates += tally->seen[number] & SEEN_ACKED;
    if (strcmp(outcome, "ack") == 0 && !(tally->seen[number] & SEEN_ACKED)) {
        tally->seen[number] |= SEEN_ACKED;
        tally->ok++;
    }
}

unsigned tally_update(struct tally *tally)
{
    char line[LINE_SIZE];
    unsigned before = tally->lines;
    int64_t now = now_ms();

    if (!tally->file)
        tally->file = fopen(tally->path, "re");
    if (!tally->file)
        return 0;
    clearerr(tally->file);
    while (fgets(line, sizeof line, tally->file)) {
        if (!strchr(line, '\n')) { /* the rest is being written */
            fseek(tally->file, -(long)strlen(line), SEEK_CUR);
            break;
        }
        take_line(tally, line);
    }
    if (now - tally->changed_ms > tally->stall_ms)
        tally->stall_ms = now - tally->changed_ms;
    if (tally->lines > before)
        tally->changed_ms = now;
    return tally->ok;
}

bool tally_wait(struct tally *tally, unsigned ok, int64_t ms)
{
    return WAIT_FOR(tally_update(tally) >= ok, ms);
}

static void feed(struct tally *tally, const struct broker *broker, const char *queue)
{
    struct peer *peer = peer_new(broker->uri);

    tally->seen = realloc(tally->seen, tally->count + RESERVE);
    if (!tally->seen)
        abort();
    memset(tally->seen + tally->count, 0, RESERVE);
    tally->count += RESERVE;
    peer_publish_more(peer, queue, tally->prefix, tally->count - RESERVE, RESERVE);
    peer_free(peer);
}

static bool reached(struct tally *tally, const struct broker *broker, const char *queue,
                    unsigned ok)
{
    if (tally_update(tally) + RESERVE > tally->count)
        feed(tally, broker, queue);
    return tally->ok >= ok;
}

bool tally_wait_fed(struct tally *tally, const struct broker *broker, const char *queue,
                    unsigned ok, int64_t ms)
{
    return WAIT_FOR(reached(tally, broker, queue, ok), ms);
}

void tally_print(const struct tally *tally, const struct broker *broker, const char *kind,
                 int recovered, const char *faults)
{
    char *version = broker_eval(broker, "list_to_atom(rabbit_misc:version()).");
    const char *bare = version + strspn(version, "'");

    printf("broker %.*s, %s, seed %d: attempts %u; acknowledged %u; ok %u; lost %u; unexpected %u; "
           "duplicate deliveries %u; recovered %d; faults: %s; longest stall %.1f s\n",
           (int)strcspn(bare, "'"), bare, kind, TALLY_SEED, tally->lines, tally->count, tally->ok,
           tally->count - tally->ok, tally->unexpected, tally->duplicates, recovered, faults,
           (double)tally->stall_ms / 1000);
    fflush(stdout);
    free(version);
}
