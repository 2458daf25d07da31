/* envelope.c - see envelope.h. Sizes are those of the wire: AMQP 0-9-1, section 4.2. */
#include "consume/relay/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"

/* What publishing gives to a message that has none: NOTE_COPY with 36 characters, delivery mode. */
#define GIVEN_SIZE (1 + sizeof NOTE_COPY - 1 + 1 + 4 + 36 + 1)
/* Notes besides the message's own headers; see add_notes(). */
#define NOTES_MAX 24
/* Of the note that names what was left out. */
#define LEFT_OUT_MAX 512
/* A text that keeps less says nothing. */
#define TEXT_MIN 16

#define CUT_MARK " [cut]"

struct draft {
    struct arena *arena; /* of the copy, and of the original: it knows lengths */
    struct warren_field *fields;
    size_t count;
    size_t own;                          /* of these, the message's own: they come first */
    size_t size;                         /* encoded */
    size_t max;                          /* of that */
    const struct warren_value *left_out; /* names of what the message has lost before; or NULL */
};

/* The property list without headers. */
static size_t base_size(const struct warren_properties *properties, const struct arena *texts)
{
    size_t size = 2 + 1 + 1 + 8 + GIVEN_SIZE; /* flags, mode, priority, timestamp */

    return size + properties_texts_size(properties, texts);
}

/* ---- drafting ---- */

static void add(struct draft *draft, const struct warren_field *field)
{
    draft->fields[draft->count++] = *field;
    draft->size += field_size(field, draft->arena);
}

static void add_text(struct draft *draft, const char *name, const char *text)
{
    struct warren_field field = {.name = name, .value.type = WARREN_STRING};

    if (!text)
        return;
    field.value.as.bytes = arena_bytes(draft->arena, text);
    add(draft, &field);
}

static void add_time(struct draft *draft, const char *name, uint64_t seconds)
{
    struct warren_field field = {.name = name,
                                 .value = {.type = WARREN_TIMESTAMP, .as = {.timestamp = seconds}}};

    if (seconds > 0)
        add(draft, &field);
}

static void add_value(struct draft *draft, const char *name, const struct warren_value *value)
{
    struct warren_field field = {.name = name};

    if (!value)
        return;
    field.value = *value;
    add(draft, &field);
}

static bool is_own(struct warren_bytes name)
{
    return !annotation_is_warrens(name) && !annotation_is_brokers(name) &&
           !annotation_is(name, "CC");
}

/* What an earlier copy has put aside; NULL: nothing, or nothing that one can have. */
static const struct warren_value *aside(const struct draft *draft,
                                        const struct warren_properties *original,
                                        const struct envelope_facts *facts, const char *name)
{
    const struct warren_value *value =
        facts->copied ? table_get(&original->headers, name, draft->arena) : NULL;

    return value && notes_is_aside(warren_text(name), value) ? value : NULL;
}

/* That, or what this one has to. */
static void add_aside(struct draft *draft, const struct warren_properties *original,
                      const struct envelope_facts *facts, const char *name, const char *property)
{
    if (property)
        add_text(draft, name, property);
    else
        add_value(draft, name, aside(draft, original, facts, name));
}

/* The message's own headers, CC among them. */
static void add_own(struct draft *draft, const struct warren_properties *original,
                    const struct envelope_facts *facts)
{
    const struct warren_table *headers = &original->headers;
    const struct warren_value *cc = table_get(headers, "CC", draft->arena);

    for (size_t i = 0; i < headers->count; i++)
        if (is_own(arena_bytes(draft->arena, headers->fields[i].name)))
            add(draft, &headers->fields[i]);
    add_value(draft, NOTE_CC, cc ? cc : aside(draft, original, facts, NOTE_CC));
    draft->own = draft->count;
    draft->left_out = aside(draft, original, facts, NOTE_LEFT_OUT);
}

static void add_notes(struct draft *draft, const struct warren_properties *original,
                      const struct envelope_facts *facts)
{
    struct warren_field attempts = warren_field_i64(NOTE_ATTEMPTS, (int64_t)facts->attempts);
    struct warren_field replays = warren_field_i64(NOTE_REPLAYS, (int64_t)facts->replays);

    if (facts->replays > 0)
        add(draft, &replays);
    add_aside(draft, original, facts, NOTE_EXPIRATION, original->expiration);
    add_aside(draft, original, facts, NOTE_USER_ID, original->user_id);
    add_aside(draft, original, facts, NOTE_TRACE, facts->trace);
    add_text(draft, NOTE_QUEUE, facts->queue);
    add_text(draft, NOTE_EXCHANGE, facts->exchange);
    add_text(draft, NOTE_ROUTING_KEY, facts->routing_key);
    add(draft, &attempts);
    add_time(draft, NOTE_FIRST_FAILURE, facts->first_failure_s);
    add_text(draft, NOTE_REASON, facts->reason);
    add_text(draft, NOTE_HANDLER, facts->handler);
    add_text(draft, NOTE_SIGNAL, facts->signal);
    add_time(draft, NOTE_LAST_FAILURE, facts->last_failure_s);
    add_text(draft, NOTE_HOST, facts->host);
    add_text(draft, NOTE_VERSION, facts->version);
}

/* ---- cutting ---- */

/* One of the message's own headers. */
struct own {
    size_t size;
    size_t at;
};

/* The largest first; of equal ones the first. */
static int compare_own(const void *a, const void *b)
{
    const struct own *left = a;
    const struct own *right = b;

    if (left->size != right->size)
        return left->size > right->size ? -1 : 1;
    return left->at < right->at ? -1 : left->at > right->at;
}

/* Take out those of @own that are marked by a size of 0. */
static void compact(struct draft *draft, const struct own *own)
{
    size_t kept = 0;

    for (size_t i = 0; i < draft->own; i++)
        draft->fields[own[i].at].name = own[i].size ? draft->fields[own[i].at].name : NULL;
    for (size_t i = 0; i < draft->count; i++)
        if (draft->fields[i].name)
            draft->fields[kept++] = draft->fields[i];
    draft->own -= draft->count - kept;
    draft->count = kept;
}

/* Of headers that are left out; as many as fit into LEFT_OUT_MAX. */
struct names {
    char *text;
    size_t len;
};

static void append(struct names *names, struct warren_bytes name)
{
    size_t room = LEFT_OUT_MAX - names->len;
    size_t len = name.len < room ? name.len : room;

    memcpy(names->text + names->len, name.data, len);
    names->len += len;
}

/* Leave the largest of the message's own headers out until the rest has room, and note the names.
 * A hostile message may have a hundred thousand: each is looked at once. */
static enum warren_status leave_out(struct draft *draft, size_t max)
{
    struct own *own = arena_alloc(draft->arena, draft->own * sizeof *own);
    struct names names = {arena_alloc(draft->arena, LEFT_OUT_MAX), 0};
    struct warren_field note = {.name = NOTE_LEFT_OUT, .value.type = WARREN_STRING};

    if (!own || !names.text)
        return WARREN_ENOMEM;
    if (draft->left_out)
        append(&names, draft->left_out->as.bytes);
    for (size_t i = 0; i < draft->own; i++)
        own[i] = (struct own){field_size(&draft->fields[i], draft->arena), i};
    qsort(own, draft->own, sizeof *own, compare_own);
    for (size_t i = 0; i < draft->own && draft->size > max; i++) {
        if (names.len > 0)
            append(&names, (struct warren_bytes){", ", 2});
        append(&names, arena_bytes(draft->arena, draft->fields[own[i].at].name));
        draft->size -= own[i].size;
        own[i].size = 0;
    }
    compact(draft, own);
    note.value.as.bytes = (struct warren_bytes){names.text, names.len};
    if (draft->size <= max)
        add(draft, &note);
    return WARREN_OK;
}

/* A copy that is attempted again is the message, or there is none. */
static enum warren_status make_room(struct draft *draft, bool dead)
{
    size_t note = 1 + strlen(NOTE_LEFT_OUT) + 1 + 4;
    size_t before = draft->left_out ? note + draft->left_out->as.bytes.len : 0;
    enum warren_status status = WARREN_OK;

    note += LEFT_OUT_MAX;
    if (draft->size + before <= draft->max) {
        add_value(draft, NOTE_LEFT_OUT, draft->left_out);
        return WARREN_OK;
    }
    if (!dead)
        return WARREN_ETOOBIG;
    if (draft->own > 0 && note < draft->max)
        status = leave_out(draft, draft->max - note);
    if (status != WARREN_OK)
        return status;
    return draft->size <= draft->max ? WARREN_OK : WARREN_ETOOBIG;
}

/* Not within a character of UTF-8. */
static size_t cut_at(const char *text, size_t len)
{
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    return len;
}

/* Of @text as much as fits into @room bytes, the note itself included. */
static enum warren_status add_cut(struct draft *draft, const char *name, const char *text,
                                  size_t room)
{
    size_t overhead = 1 + strlen(name) + 1 + 4;
    size_t len = text ? strlen(text) : 0;
    size_t most = room > overhead ? room - overhead : 0;
    char *copy;

    if (most > ENVELOPE_TEXT_MAX)
        most = ENVELOPE_TEXT_MAX;
    if (len <= most) {
        if (len > 0)
            add_text(draft, name, text);
        return WARREN_OK;
    }
    if (most < TEXT_MIN)
        return WARREN_OK;
    len = cut_at(text, most - strlen(CUT_MARK));
    copy = arena_alloc(draft->arena, len + sizeof CUT_MARK);
    if (!copy)
        return WARREN_ENOMEM;
    memcpy(copy, text, len);
    memcpy(copy + len, CUT_MARK, sizeof CUT_MARK);
    add_text(draft, name, copy);
    return WARREN_OK;
}

static enum warren_status add_texts(struct draft *draft, const struct envelope_facts *facts)
{
    size_t room = draft->max - draft->size;
    enum warren_status status;

    /* The error text may take all that the backtrace leaves, and half in any case. */
    if (facts->backtrace) {
        size_t wanted = 1 + strlen(NOTE_BACKTRACE) + 1 + 4 + strlen(facts->backtrace);

        room = wanted < room / 2 ? room - wanted : room / 2;
    }
    status = add_cut(draft, NOTE_ERROR, facts->error, room);
    if (status != WARREN_OK)
        return status;
    return add_cut(draft, NOTE_BACKTRACE, facts->backtrace, draft->max - draft->size);
}

enum warren_status envelope_make(const struct warren_properties *original,
                                 const struct envelope_facts *facts, size_t max,
                                 struct arena *arena, struct warren_properties *ret_properties)
{
    const struct warren_table *headers = &original->headers;
    struct draft draft = {.arena = arena, .size = 4};
    enum warren_status status;

    *ret_properties = *original;
    ret_properties->expiration = NULL;
    ret_properties->user_id = NULL;
    draft.fields = arena_alloc(arena, (headers->count + NOTES_MAX) * sizeof *draft.fields);
    if (!draft.fields)
        return WARREN_ENOMEM;
    if (max <= base_size(ret_properties, arena) + draft.size)
        return WARREN_ETOOBIG;
    draft.max = max - base_size(ret_properties, arena);
    add_own(&draft, original, facts);
    add_notes(&draft, original, facts);
    status = make_room(&draft, facts->reason != NULL);
    if (status == WARREN_OK)
        status = add_texts(&draft, facts);
    ret_properties->headers = (struct warren_table){draft.fields, draft.count};
    return status;
}
