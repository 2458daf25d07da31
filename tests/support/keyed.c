/* keyed.c - see keyed.h. */
#include "support/keyed.h"

#include "support/admin.h"

int keyed_setup(void **state)
{
    struct fixture *f;

    fixture_setup(state);
    f = *state;
    f->record = text("%s/record", f->directory);
    return 0;
}

/* ---- publishing ---- */

static void count_confirmed(const struct warren_receipt *receipt, void *user)
{
    struct keyed *keyed = user;

    if (receipt->result == WARREN_CONFIRMED)
        atomic_fetch_add(&keyed->confirmed, 1);
}

void keyed_publish(struct keyed *keyed, unsigned key, unsigned number,
                   const struct warren_value *value)
{
    char *name = text("k%u", key);
    char *id = text("k%u-%u", key, number);
    char *body = text("k%u %u", key, number);
    struct warren_field field = {.name = keyed->header,
                                 .value = {.type = WARREN_STRING, .as.bytes = warren_text(name)}};
    struct warren_message message = {.properties = {.headers = {.fields = &field, .count = 1},
                                                    .message_id = id,
                                                    .priority = 3,
                                                    .delivery_mode = 2},
                                     .body = warren_text(body)};
    const struct warren_publish what = {.message = &message,
                                        .exchange = keyed->exchange,
                                        .routing_key = keyed->exchange ? name : keyed->queue};

    if (value)
        field.value = *value;
    if (value && value->type == WARREN_VOID)
        message.properties.headers.count = 0;
    assert_int_equal(
        warren_publisher_publish(keyed->publisher, &what, count_confirmed, keyed, NULL), WARREN_OK);
    keyed->accepted++;
    free(name);
    free(id);
    free(body);
}

void keyed_begin(struct keyed *keyed, const struct fixture *f, const char *header)
{
    *keyed = (struct keyed){.queue = f->queue, .header = header};
    keyed->publisher = publisher_open(f->broker->uri, NULL);
}

void keyed_end(struct keyed *keyed)
{
    assert_true(WAIT_FOR(atomic_load(&keyed->confirmed) == keyed->accepted, PATIENCE_MS));
    warren_publisher_close(keyed->publisher, 0);
}

void keyed_publish_all(const struct fixture *f, const char *header, unsigned keys, unsigned each)
{
    struct keyed keyed;

    keyed_begin(&keyed, f, header);
    for (unsigned number = 0; number < each; number++)
        for (unsigned key = 0; key < keys; key++)
            keyed_publish(&keyed, key, number, NULL);
    keyed_end(&keyed);
}

void keyed_publish_odd(const struct fixture *f, const char *header)
{
    static char longest[100000];
    static const struct warren_value values[KEYED_ODD_WITHOUT + KEYED_ODD_WITH] = {
        {.type = WARREN_VOID}, /* the header is left out */
        {.type = WARREN_TABLE},
        {.type = WARREN_F64, .as.real = 1.5},
        {.type = WARREN_STRING, .as.bytes = {"", 0}},
        {.type = WARREN_I32, .as.integer = 7},
        {.type = WARREN_STRING, .as.bytes = {"a\0b", 3}},
        {.type = WARREN_STRING, .as.bytes = {longest, sizeof longest}},
    };
    struct keyed keyed;

    memset(longest, 'k', sizeof longest);
    keyed_begin(&keyed, f, header);
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
        keyed_publish(&keyed, i, 0, &values[i]);
    keyed_end(&keyed);
}

/* ---- what was handled ---- */

void keyed_play(const struct fixture *f, unsigned keys,
                void (*play)(void *user, const struct keyed_line *line), void *user)
{
    FILE *file = fopen(f->record, "r");
    char text[256];

    while (file && fgets(text, sizeof text, file) && strchr(text, '\n')) {
        struct keyed_line line;
        char what;

        assert_int_equal(
            sscanf(text, "%c %d k%u %u %31s", &what, &line.pid, &line.key, &line.number, line.what),
            5);
        assert_true(line.key < keys);
        line.begins = what == 'b';
        line.attempt = atoi(line.what);
        play(user, &line);
    }
    if (file)
        fclose(file);
}

void keyed_expect(const struct fixture *f, const char *queue, const char *family, const char *more,
                  double least, double most)
{
    char *series = text("%s{queue=\"%s\",handler=\"ordered.run\"%s}", family, queue, more);

    admin_expect_number(f->worker, series, least, most);
    free(series);
}
