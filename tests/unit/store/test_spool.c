/* test_spool.c - messages on disk: what goes in comes out, in its order; what is refused is kept
 * aside; the oldest go first; one owner at a time.
 */
#include "store_rig.h"

#include <signal.h>
#include <sys/wait.h>

#include "store/spool/spool.h"

static struct spool *open_spool(struct rig *rig)
{
    struct database_options options = {
        .path = rig->path, .synchronous = DATABASE_OFF, .busy_timeout_ms = 1};
    struct spool *spool = NULL;
    bool taken = true;

    if (spool_open(&options, &spool, &rig->error) != WARREN_OK ||
        spool_claim(spool, &taken, &rig->error) != WARREN_OK)
        fail_msg("%s", rig->error.text);
    assert_false(taken);
    return spool;
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != WARREN_OK)                                                                   \
            fail_msg("%s: %s", #call, rig->error.text);                                            \
    } while (0)

static enum warren_status remove_oldest(struct rig *rig, struct spool *spool,
                                        struct spool_removal removal, struct spool_removed *removed)
{
    return spool_remove_oldest(spool, &removal, removed, &rig->error);
}

static struct spool_message text_message(const char *key, const char *body)
{
    return (struct spool_message){.message_id = warren_text("id"),
                                  .routing_key = warren_text(key),
                                  .properties = {"\0\0", 2},
                                  .body = warren_text(body)};
}

static int64_t append(struct rig *rig, struct spool *spool, const char *key, const char *body)
{
    struct spool_message message = text_message(key, body);

    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_append(spool, &message, &rig->error));
    OK(database_commit(spool_database(spool), &rig->error));
    return message.id;
}

/* What spool_read() told: the bodies, one behind the other. */
struct told {
    char bodies[256];
    int stop_after; /* so many; 0: never */
    int count;
    int64_t last;
};

static bool tell(void *user, const struct spool_message *message)
{
    struct told *told = user;

    strncat(told->bodies, message->body.data, message->body.len);
    strcat(told->bodies, " ");
    told->last = message->id;
    told->count++;
    return told->count != told->stop_after;
}

static void assert_told(struct rig *rig, struct spool *spool, int64_t after, enum spool_which which,
                        const char *expected)
{
    struct told told = {.stop_after = 0};

    OK(spool_read(spool, after, which, true, tell, &told, &rig->error));
    assert_string_equal(told.bodies, expected);
}

static struct spool_totals totals_of(struct rig *rig, struct spool *spool)
{
    struct spool_totals totals;

    OK(spool_count(spool, &totals, &rig->error));
    return totals;
}

/* ---- in and out ---- */

static bool check_parts(void *user, const struct spool_message *message)
{
    int *count = user;

    (*count)++;
    assert_int_equal(message->message_id.len, 3);
    assert_memory_equal(message->message_id.data, "m-1", 3);
    assert_int_equal(message->exchange.len, 0);
    assert_memory_equal(message->routing_key.data, "gr\xc3\xbc\xc3\x9f", message->routing_key.len);
    assert_int_equal(message->flags, SPOOL_OPTIONAL | SPOOL_TO_QUEUE);
    assert_int_equal(message->delay_s, 77);
    assert_memory_equal(message->delay_to.data, "later", 5);
    assert_int_equal(message->properties.len, 4);
    assert_memory_equal(message->properties.data, "\0\1\xff\0", 4);
    assert_int_equal(message->body.len, 3);
    assert_memory_equal(message->body.data, "a\0b", 3);
    assert_null(message->refused);
    assert_true(message->at_ms > 0);
    return true;
}

static int64_t append_all_parts(struct rig *rig, struct spool *spool)
{
    struct spool_message message = {.message_id = warren_text("m-1"),
                                    .routing_key = warren_text("gr\xc3\xbc\xc3\x9f"),
                                    .flags = SPOOL_OPTIONAL | SPOOL_TO_QUEUE,
                                    .delay_s = 77,
                                    .delay_to = warren_text("later"),
                                    .properties = {"\0\1\xff\0", 4},
                                    .body = {"a\0b", 3}};

    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_append(spool, &message, &rig->error));
    OK(database_commit(spool_database(spool), &rig->error));
    return message.id;
}

/* Every part comes back byte for byte, also after the file was closed. */
static void all_parts_come_back(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    int count = 0;

    append_all_parts(rig, spool);
    spool_close(spool);
    spool = open_spool(rig);
    OK(spool_read(spool, 0, SPOOL_ALL, true, check_parts, &count, &rig->error));
    assert_int_equal(count, 1);
    spool_close(spool);
}

static bool check_lengths(void *user, const struct spool_message *message)
{
    (void)user;
    assert_int_equal(message->properties.len, 2);
    assert_int_equal(message->body.len, 5);
    assert_null(message->body.data);
    return true;
}

/* A list needs no bodies, but their lengths. */
static void bodies_may_be_left_out(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);

    append(rig, spool, "k", "12345");
    OK(spool_read(spool, 0, SPOOL_ALL, false, check_lengths, NULL, &rig->error));
    spool_close(spool);
}

/* Reading goes on where it stopped. */
static void reading_in_steps(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    struct told told = {.stop_after = 2};

    append(rig, spool, "k", "a");
    append(rig, spool, "k", "b");
    append(rig, spool, "k", "c");
    OK(spool_read(spool, 0, SPOOL_TO_SEND, true, tell, &told, &rig->error));
    assert_string_equal(told.bodies, "a b ");
    assert_told(rig, spool, told.last, SPOOL_TO_SEND, "c ");
    spool_close(spool);
}

/* A number is never used again, so that who reads above one misses nothing. */
static void numbers_only_grow(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    int64_t first = append(rig, spool, "k", "a");
    int64_t second;

    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_remove(spool, first, NULL, &rig->error));
    OK(database_commit(spool_database(spool), &rig->error));
    spool_close(spool);
    spool = open_spool(rig);
    second = append(rig, spool, "k", "b");
    assert_true(second > first);
    spool_close(spool);
}

/* What was not committed is not there. */
static void rolled_back_is_gone(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    struct spool_message message = text_message("k", "x");

    append(rig, spool, "k", "a");
    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_append(spool, &message, &rig->error));
    database_rollback(spool_database(spool));
    assert_told(rig, spool, 0, SPOOL_ALL, "a ");
    assert_int_equal(totals_of(rig, spool).messages, 1);
    spool_close(spool);
}

/* ---- bounds ---- */

/* Messages count with all their parts; refused ones count, too. */
static void totals_count_everything(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    struct spool_message message = text_message("k", "12345");
    struct spool_totals totals;
    int64_t id = append(rig, spool, "k", "12345");

    append(rig, spool, "k", "12345");
    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_refuse(spool, id, "312 NO_ROUTE", &rig->error));
    OK(database_commit(spool_database(spool), &rig->error));
    totals = totals_of(rig, spool);
    assert_int_equal(totals.messages, 1);
    assert_int_equal(totals.refused, 1);
    assert_int_equal(totals.bytes, 2 * spool_message_bytes(&message));
    assert_true(totals.oldest_ms > 0);
    spool_close(spool);
}

static bool add_id(void *user, const struct spool_message *message)
{
    char *ids = user;

    strncat(ids, message->message_id.data, 1);
    return true;
}

/* Each that is dropped or is too old is told, by the id of its message. */
static void what_is_removed_is_told(void **state)
{
    static const char *const names[] = {"1", "2", "3", "4"};
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    struct spool_message message = text_message("k", "a");
    struct spool_removed removed;
    char ids[16] = "";

    for (size_t i = 0; i < 4; i++) {
        message.message_id = warren_text(names[i]);
        OK(database_begin(spool_database(spool), &rig->error));
        OK(spool_append(spool, &message, &rig->error));
        OK(database_commit(spool_database(spool), &rig->error));
    }
    OK(database_begin(spool_database(spool), &rig->error));
    OK(remove_oldest(
        rig, spool,
        (struct spool_removal){0, spool_message_bytes(&message) + 1, INT64_MAX, add_id, ids},
        &removed));
    assert_string_equal(ids, "12");
    OK(remove_oldest(rig, spool, (struct spool_removal){0, INT64_MAX, INT64_MAX, add_id, ids},
                     &removed));
    assert_string_equal(ids, "1234");
    OK(database_commit(spool_database(spool), &rig->error));
    spool_close(spool);
}

static bool keep_names(void *user, const struct spool_message *message)
{
    struct warren_bytes *names = user;

    assert_int_equal(message->message_id.len, names[0].len);
    assert_memory_equal(message->message_id.data, names[0].data, names[0].len);
    if (message->at_ms == 0) /* it is removed: nothing else is told */
        return true;
    assert_int_equal(message->exchange.len, names[1].len);
    assert_memory_equal(message->exchange.data, names[1].data, names[1].len);
    assert_int_equal(message->routing_key.len, names[2].len);
    assert_memory_equal(message->routing_key.data, names[2].data, names[2].len);
    return true;
}

/* Names that hold a NUL are kept, copied and told to their ends. */
static void a_nul_ends_no_name(void **state)
{
    struct warren_bytes names[] = {{"dup\0A", 5}, {"\0", 1}, {"k\0", 2}};
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    struct spool_message message = text_message("", "a");
    struct spool_removed removed;
    bool done = false;

    message.message_id = names[0];
    message.exchange = names[1];
    message.routing_key = names[2];
    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_append(spool, &message, &rig->error));
    OK(spool_refuse(spool, message.id, "why", &rig->error));
    OK(spool_read(spool, 0, SPOOL_ALL, true, keep_names, names, &rig->error));
    OK(spool_unrefuse(spool, message.id, &done, &rig->error));
    assert_true(done);
    OK(spool_read(spool, 0, SPOOL_TO_SEND, false, keep_names, names, &rig->error));
    OK(remove_oldest(rig, spool, (struct spool_removal){0, INT64_MAX, INT64_MAX, keep_names, names},
                     &removed));
    assert_int_equal(removed.messages, 1);
    OK(database_commit(spool_database(spool), &rig->error));
    spool_close(spool);
}

/* The oldest go first, and only those that are not being sent. */
static void the_oldest_are_dropped(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    struct spool_message message = text_message("k", "a");
    int64_t size = spool_message_bytes(&message);
    struct spool_removed removed;
    int64_t sent = append(rig, spool, "k", "a");

    append(rig, spool, "k", "b");
    append(rig, spool, "k", "c");
    append(rig, spool, "k", "d");
    OK(database_begin(spool_database(spool), &rig->error));
    OK(remove_oldest(rig, spool, (struct spool_removal){sent, size + 1, INT64_MAX, NULL, NULL},
                     &removed));
    OK(database_commit(spool_database(spool), &rig->error));
    assert_int_equal(removed.messages, 2);
    assert_int_equal(removed.bytes, 2 * size);
    assert_told(rig, spool, 0, SPOOL_ALL, "a d ");
    OK(database_begin(spool_database(spool), &rig->error));
    OK(remove_oldest(rig, spool, (struct spool_removal){sent, 100 * size, INT64_MAX, NULL, NULL},
                     &removed));
    OK(database_commit(spool_database(spool), &rig->error));
    assert_int_equal(removed.messages, 1);
    assert_told(rig, spool, 0, SPOOL_ALL, "a ");
    spool_close(spool);
}

/* What is older than a moment goes; the rest stays. */
static void the_old_expire(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    struct spool_removed removed;
    struct database_options options = {.path = rig->path};
    struct database *other = NULL;

    append(rig, spool, "k", "a");
    append(rig, spool, "k", "b");
    append(rig, spool, "k", "c");
    OK(database_open(&options, &other, &rig->error));
    rig_run(rig, other, "UPDATE spool SET at = id * 1000");
    database_close(other);
    OK(database_begin(spool_database(spool), &rig->error));
    OK(remove_oldest(rig, spool, (struct spool_removal){0, INT64_MAX, 3000, NULL, NULL}, &removed));
    OK(database_commit(spool_database(spool), &rig->error));
    assert_int_equal(removed.messages, 2);
    assert_told(rig, spool, 0, SPOOL_ALL, "c ");
    spool_close(spool);
}

/* ---- refused ---- */

/* They are kept aside with the reason, until they are to be sent again. */
static void the_refused_are_kept_aside(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    int64_t id = append(rig, spool, "k", "a");

    append(rig, spool, "k", "b");
    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_refuse(spool, id, "312 NO_ROUTE", &rig->error));
    OK(database_commit(spool_database(spool), &rig->error));
    assert_told(rig, spool, 0, SPOOL_TO_SEND, "b ");
    assert_told(rig, spool, 0, SPOOL_REFUSED, "a ");
    spool_close(spool);
}

static void refuse(struct rig *rig, struct spool *spool, int64_t id)
{
    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_refuse(spool, id, "312 NO_ROUTE", &rig->error));
    OK(database_commit(spool_database(spool), &rig->error));
}

static bool unrefuse(struct rig *rig, struct spool *spool, int64_t id)
{
    bool done;

    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_unrefuse(spool, id, &done, &rig->error));
    OK(database_commit(spool_database(spool), &rig->error));
    return done;
}

static bool remove_one(struct rig *rig, struct spool *spool, int64_t id)
{
    bool done;

    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_remove(spool, id, &done, &rig->error));
    OK(database_commit(spool_database(spool), &rig->error));
    return done;
}

/* To be sent again, a message is behind all others, under a new id, and else what it was. */
static void unrefused_is_appended_anew(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    int64_t id = append_all_parts(rig, spool);
    int64_t bytes = totals_of(rig, spool).bytes;
    int64_t last = append(rig, spool, "k", "b");
    int count = 0;

    refuse(rig, spool, id);
    assert_true(unrefuse(rig, spool, id));
    assert_true(remove_one(rig, spool, last));
    assert_int_equal(totals_of(rig, spool).messages, 1);
    assert_int_equal(totals_of(rig, spool).refused, 0);
    assert_int_equal(totals_of(rig, spool).bytes, bytes);
    assert_int_equal(totals_of(rig, spool).last_id, last + 1);
    OK(spool_read(spool, last, SPOOL_TO_SEND, true, check_parts, &count, &rig->error));
    assert_int_equal(count, 1);
    spool_close(spool);
}

/* Only what is refused, and only once: what is being sent is not doubled. */
static void others_are_not_unrefused(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    int64_t id = append(rig, spool, "k", "a");

    assert_false(unrefuse(rig, spool, id));
    refuse(rig, spool, id);
    assert_true(unrefuse(rig, spool, id));
    assert_false(unrefuse(rig, spool, id));
    assert_false(remove_one(rig, spool, id));
    assert_told(rig, spool, 0, SPOOL_ALL, "a ");
    spool_close(spool);
}

/* ---- owners ---- */

/* A second publisher is refused, with the number of the first one; a reader is not. */
static void one_owner_at_a_time(void **state)
{
    struct rig *rig = *state;
    struct database_options options = {.path = rig->path};
    struct spool *spool = open_spool(rig);
    struct spool *second = NULL;
    char number[32];
    bool taken = false;

    append(rig, spool, "k", "a");
    OK(spool_open(&options, &second, &rig->error));
    assert_int_equal(spool_claim(second, &taken, &rig->error), WARREN_EIO);
    assert_true(taken);
    snprintf(number, sizeof number, "process %d sends", (int)getpid());
    assert_has(rig->error.text, number);
    spool_close(second);
    options.read_only = true;
    OK(spool_open(&options, &second, &rig->error));
    assert_told(rig, second, 0, SPOOL_ALL, "a ");
    spool_close(second);
    spool_close(spool);
    spool_close(open_spool(rig));
}

/* A link to the file is the same spool. */
static void a_link_has_the_same_owner(void **state)
{
    struct rig *rig = *state;
    struct database_options options = {.path = rig->path};
    struct spool *spool = open_spool(rig);
    struct spool *second = NULL;
    bool taken = false;

    rig_link(rig, "link.db");
    OK(spool_open(&options, &second, &rig->error));
    assert_int_equal(spool_claim(second, &taken, &rig->error), WARREN_EIO);
    assert_true(taken);
    assert_has(rig->error.text, rig->path);
    spool_close(second);
    spool_close(spool);
}

/* The lock ends with the process that held it, however that ended. */
static void a_killed_owner_leaves_no_lock(void **state)
{
    struct rig *rig = *state;
    int status;
    pid_t child = fork();

    if (child == 0) {
        append(rig, open_spool(rig), "k", "a");
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    spool_close(open_spool(rig));
}

/* ---- failures ---- */

/* No space: nothing of the group is there, and later there is room again. */
static void no_space_undoes_the_group(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    struct spool_message message = text_message("k", "b");
    static char large[1 << 20];
    enum warren_status status;

    append(rig, spool, "k", "a");
    rig_run(rig, spool_database(spool), "PRAGMA max_page_count = 64");
    OK(database_begin(spool_database(spool), &rig->error));
    OK(spool_append(spool, &message, &rig->error));
    message.body = (struct warren_bytes){large, sizeof large};
    status = spool_append(spool, &message, &rig->error);
    assert_int_equal(status, WARREN_EFULL);
    assert_has(rig->error.text, "no space left");
    database_rollback(spool_database(spool));
    assert_told(rig, spool, 0, SPOOL_ALL, "a ");
    append(rig, spool, "k", "c");
    assert_told(rig, spool, 0, SPOOL_ALL, "a c ");
    spool_close(spool);
}

/* ---- a file that is damaged, or was edited ---- */

static void edit(struct rig *rig, struct spool *spool, const char *sql)
{
    rig_run(rig, spool_database(spool), sql);
}

static bool count_gone(void *user, const struct spool_message *message)
{
    (void)message;
    return ++*(int *)user > 0;
}

/* The number of the first row, and of the leaf's cells the first byte of the third one's, whose
 * number is then above those behind it: it cannot be found, and is not removed. */
static void damage_a_rowid(struct rig *rig)
{
    static uint8_t page[4096];
    struct spool *spool = open_spool(rig);
    int64_t root;
    unsigned cell;
    int fd;

    for (int i = 0; i < 5; i++)
        append(rig, spool, "k", "a");
    OK(database_number(spool_database(spool),
                       "SELECT rootpage FROM sqlite_master WHERE name = 'spool'", &root,
                       &rig->error));
    edit(rig, spool, "PRAGMA wal_checkpoint(TRUNCATE)");
    spool_close(spool);
    fd = open(rig->path, O_RDWR);
    assert_int_equal(pread(fd, page, sizeof page, (root - 1) * 4096), 4096);
    assert_int_equal(page[0], 13); /* a leaf of a table */
    cell = (unsigned)page[8 + 2 * 2] << 8 | page[8 + 2 * 2 + 1];
    assert_int_equal(page[cell + 1], 3); /* behind its length */
    page[cell + 1] = 100;
    assert_int_equal(pwrite(fd, page, sizeof page, (root - 1) * 4096), 4096);
    close(fd);
}

/* What cannot be found by its number is passed over, and counts as still there. */
static void a_damaged_rowid_is_passed_over(void **state)
{
    struct rig *rig = *state;
    struct spool_removed removed;
    struct spool *spool;
    int gone = 0;

    damage_a_rowid(rig);
    spool = open_spool(rig);
    OK(database_begin(spool_database(spool), &rig->error));
    OK(remove_oldest(
        rig, spool,
        (struct spool_removal){
            .bytes = INT64_MAX, .before_ms = INT64_MAX - 1, .each = count_gone, .user = &gone},
        &removed));
    assert_in_range(gone, 2, 4);
    assert_int_equal(removed.messages, gone);
    database_rollback(spool_database(spool));
    spool_close(spool);
}

struct faults {
    int count;
    const char *of[16]; /* by id; NULL: sound */
};

static bool take_fault(void *user, const struct spool_message *message)
{
    struct faults *faults = user;

    faults->of[faults->count++] = message->unsound;
    return true;
}

static const char *fault_after(struct rig *rig, const char *sql)
{
    struct spool *spool = open_spool(rig);
    struct faults faults = {0};

    edit(rig, spool, "DELETE FROM spool");
    append(rig, spool, "k", "a");
    edit(rig, spool, sql);
    OK(spool_read(spool, INT64_MIN, SPOOL_TO_SEND, true, take_fault, &faults, &rig->error));
    assert_int_equal(faults.count, 1);
    spool_close(spool);
    return faults.of[0];
}

/* Each column that says more than a message can is told of when the row is read. */
static void an_edited_row_is_unsound(void **state)
{
    static const struct {
        const char *sql;
        const char *fault;
    } edits[] = {
        {"UPDATE spool SET at = at", NULL},
        {"UPDATE spool SET delay = 536870911, delay_to = 'q'", NULL},
        {"UPDATE spool SET message_id = printf('%.*c', 255, 'x')", NULL},
        {"UPDATE spool SET id = -1", "number"},
        {"UPDATE spool SET id = 1000000", "number"},
        {"UPDATE spool SET at = 9223372036854775807", "time"},
        {"UPDATE spool SET at = -9223372036854775807 - 1", "time"},
        {"UPDATE spool SET message_id = printf('%.*c', 256, 'x')", "255"},
        {"UPDATE spool SET exchange = printf('%.*c', 256, 'x')", "255"},
        {"UPDATE spool SET routing_key = printf('%.*c', 256, 'x')", "255"},
        {"UPDATE spool SET delay_to = printf('%.*c', 4000, 'x')", "255"},
        {"UPDATE spool SET flags = 4", "flags"},
        {"UPDATE spool SET flags = 4294967296", "flags"},
        {"UPDATE spool SET delay = 536870912, delay_to = 'q'", "delay"},
        {"UPDATE spool SET delay = -1, delay_to = 'q'", "delay"},
        {"UPDATE spool SET delay = 4294967297, delay_to = 'q'", "delay"},
        {"UPDATE spool SET delay = 1", "nowhere"},
        {"UPDATE spool SET delay = 1, delay_to = CAST(x'610062' AS TEXT)", "nowhere"},
    };

    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const char *fault = fault_after(*state, edits[i].sql);

        if (!fault != !edits[i].fault)
            fail_msg("%s: %s", edits[i].sql, fault ? fault : "sound");
        if (fault)
            assert_has(fault, edits[i].fault);
    }
}

/* Numbers of one row are not those of all: neither of how much there is, nor of what is too old. */
static void an_edited_row_holds_up_no_other(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = open_spool(rig);
    struct spool_removed removed;

    for (int i = 0; i < 4; i++)
        append(rig, spool, "k", "a");
    edit(rig, spool, "UPDATE spool SET bytes = 9223372036854775807 WHERE id < 3");
    edit(rig, spool, "UPDATE spool SET bytes = -9223372036854775807 WHERE id = 3");
    edit(rig, spool, "UPDATE spool SET at = 9223372036854775807 WHERE id = 2");
    assert_in_range(totals_of(rig, spool).bytes, 4, 4 * 1300);
    OK(database_begin(spool_database(spool), &rig->error));
    OK(remove_oldest(rig, spool,
                     (struct spool_removal){.bytes = INT64_MAX, .before_ms = INT64_MAX - 1},
                     &removed));
    OK(database_commit(spool_database(spool), &rig->error));
    assert_int_equal(removed.messages, 3);
    assert_in_range(removed.bytes, 3, 3 * 1300);
    assert_int_equal(totals_of(rig, spool).messages, 1);
    OK(remove_oldest(rig, spool, (struct spool_removal){.bytes = 1, .before_ms = INT64_MAX},
                     &removed));
    assert_int_equal(totals_of(rig, spool).messages, 0);
    spool_close(spool);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_parts_come_back),        TEST(bodies_may_be_left_out),
        TEST(reading_in_steps),           TEST(numbers_only_grow),
        TEST(rolled_back_is_gone),        TEST(totals_count_everything),
        TEST(what_is_removed_is_told),    TEST(a_nul_ends_no_name),
        TEST(the_oldest_are_dropped),     TEST(the_old_expire),
        TEST(the_refused_are_kept_aside), TEST(unrefused_is_appended_anew),
        TEST(others_are_not_unrefused),   TEST(one_owner_at_a_time),
        TEST(a_link_has_the_same_owner),  TEST(a_killed_owner_leaves_no_lock),
        TEST(no_space_undoes_the_group),  TEST(a_damaged_rowid_is_passed_over),
        TEST(an_edited_row_is_unsound),   TEST(an_edited_row_holds_up_no_other),
    };

    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
