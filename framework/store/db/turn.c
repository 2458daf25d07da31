/* turn.c - see turn.h. Tickets: who holds the number that is being served has the turn. */
#include "store/db/turn.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/condition.h"

struct turn {
    struct turn *next; /* of all */
    dev_t device;
    ino_t inode;
    _Atomic int64_t log_told;
    atomic_bool spoiled;
    unsigned users;
    pthread_mutex_t mutex; /* guards the three below */
    uint64_t served;
    uint64_t tickets;
    bool broken;
    struct condition changed;
};

static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct turn *all;

static struct turn *turn_new(dev_t device, ino_t inode)
{
    struct turn *turn = calloc(1, sizeof *turn);

    if (!turn)
        return NULL;
    turn->device = device;
    turn->inode = inode;
    pthread_mutex_init(&turn->mutex, NULL);
    condition_init(&turn->changed);
    turn->next = all;
    all = turn;
    return turn;
}

struct turn *turn_of(dev_t device, ino_t inode)
{
    struct turn *turn;

    pthread_mutex_lock(&all_mutex);
    turn = all;
    while (turn && (turn->device != device || turn->inode != inode))
        turn = turn->next;
    if (!turn)
        turn = turn_new(device, inode);
    if (turn)
        turn->users++;
    pthread_mutex_unlock(&all_mutex);
    return turn;
}

static void remove_turn(struct turn *turn)
{
    struct turn **place = &all;

    while (*place != turn)
        place = &(*place)->next;
    *place = turn->next;
    condition_done(&turn->changed);
    pthread_mutex_destroy(&turn->mutex);
    free(turn);
}

void turn_put(struct turn *turn)
{
    if (!turn)
        return;
    pthread_mutex_lock(&all_mutex);
    if (--turn->users == 0)
        remove_turn(turn);
    pthread_mutex_unlock(&all_mutex);
}

bool turn_take(struct turn *turn)
{
    uint64_t mine;
    bool is_mine;

    pthread_mutex_lock(&turn->mutex);
    mine = turn->tickets++;
    while (turn->served != mine && !turn->broken)
        condition_wait(&turn->changed, &turn->mutex);
    is_mine = !turn->broken;
    pthread_mutex_unlock(&turn->mutex);
    return is_mine;
}

void turn_break(struct turn *turn)
{
    pthread_mutex_lock(&turn->mutex);
    turn->broken = true;
    pthread_mutex_unlock(&turn->mutex);
    condition_broadcast(&turn->changed);
}

void turn_give(struct turn *turn)
{
    bool wanted;

    pthread_mutex_lock(&turn->mutex);
    turn->served++;
    wanted = turn->tickets > turn->served;
    pthread_mutex_unlock(&turn->mutex);
    if (wanted)
        condition_broadcast(&turn->changed);
}

int64_t turn_log_told(struct turn *turn)
{
    return atomic_load(&turn->log_told);
}

int64_t turn_tell_log(struct turn *turn, int64_t bytes)
{
    return atomic_exchange(&turn->log_told, bytes);
}

void turn_spoil(struct turn *turn)
{
    atomic_store(&turn->spoiled, true);
}

bool turn_is_spoiled(const struct turn *turn)
{
    return atomic_load(&turn->spoiled);
}

bool turn_is_wanted(struct turn *turn)
{
    bool wanted;

    pthread_mutex_lock(&turn->mutex);
    wanted = turn->tickets > turn->served + 1;
    pthread_mutex_unlock(&turn->mutex);
    return wanted;
}
