/* test_publish_tally.c - the sums of `warren publish`, above all those with a spool, where a
 * message is told of twice: as spooled, and how it ended.
 */
#include "command/message/publish_tally.h"

#include "command_rig.h"

static void tell(struct publish_tally *tally, warren_receipt_fn *told, enum warren_result result)
{
    const struct warren_receipt receipt = {.result = result, .message_id = "m", .reply_text = ""};

    told(&receipt, tally);
}

/* Without a spool only confirmed messages are fine. */
static void confirmed_alone_is_clean(void **state)
{
    struct publish_tally tally = {.published = 2};

    (void)state;
    tell(&tally, publish_tally_receipt, WARREN_CONFIRMED);
    assert_false(publish_tally_is_clean(&tally));
    tell(&tally, publish_tally_receipt, WARREN_CONFIRMED);
    assert_true(publish_tally_is_clean(&tally));
    assert_int_equal(publish_tally_ended(&tally), 2);
}

/* With one, spooled messages are fine as well, and are listed. */
static void spooled_is_clean(void **state)
{
    struct publish_tally tally = {.published = 1, .has_spool = true};
    FILE *file = tmpfile();

    (void)state;
    tell(&tally, publish_tally_receipt, WARREN_SPOOLED);
    assert_true(publish_tally_is_clean(&tally));
    assert_int_equal(publish_tally_ended(&tally), 1);
    assert_int_equal(publish_tally_settled(&tally), 0);
    publish_tally_write_json(&tally, 1, file);
    read_back(file, out);
    assert_string_equal(out, "{\"published\":1,\"confirmed\":0,\"returned\":0,\"nacked\":0,"
                             "\"spooled\":1,\"timeout\":0,\"seconds\":1.000}\n");
}

/* What was spooled and ends is counted once, as what it ended with. */
static void a_spooled_one_ends(void **state)
{
    struct publish_tally tally = {.published = 2, .has_spool = true};

    (void)state;
    tally.explained = true; /* not of interest here */
    tell(&tally, publish_tally_receipt, WARREN_SPOOLED);
    tell(&tally, publish_tally_receipt, WARREN_SPOOLED);
    tell(&tally, publish_tally_end, WARREN_CONFIRMED);
    assert_int_equal(tally.results[WARREN_CONFIRMED], 1);
    assert_int_equal(tally.results[WARREN_SPOOLED], 1);
    assert_true(publish_tally_is_clean(&tally));
    tell(&tally, publish_tally_end, WARREN_RETURNED);
    assert_int_equal(tally.results[WARREN_SPOOLED], 0);
    assert_int_equal(publish_tally_ended(&tally), 2);
    assert_int_equal(publish_tally_settled(&tally), 2);
    assert_false(publish_tally_is_clean(&tally));
}

/* The first ends are of messages that lay in the spool before. */
static void earlier_messages_do_not_count(void **state)
{
    struct publish_tally tally = {.published = 1, .has_spool = true, .earlier = 2};

    (void)state;
    tell(&tally, publish_tally_receipt, WARREN_SPOOLED);
    tell(&tally, publish_tally_end, WARREN_CONFIRMED);
    tell(&tally, publish_tally_end, WARREN_CONFIRMED);
    assert_int_equal(tally.results[WARREN_CONFIRMED], 0);
    tell(&tally, publish_tally_end, WARREN_CONFIRMED);
    assert_int_equal(tally.results[WARREN_CONFIRMED], 1);
    assert_int_equal(publish_tally_ended(&tally), 1);
}

/* What of these is not confirmed is told, counted apart, and no success; a refused one that was too
 * old is none of the first. */
static void earlier_messages_that_are_lost_are_told(void **state)
{
    const struct warren_receipt refused = {
        .result = WARREN_EXPIRED, .message_id = "r", .reply_text = "312 NO_ROUTE"};
    struct publish_tally tally = {.published = 1, .has_spool = true, .earlier = 2};
    FILE *file = tmpfile();

    (void)state;
    tally.earlier_explained = true; /* not of interest here */
    tell(&tally, publish_tally_receipt, WARREN_SPOOLED);
    tell(&tally, publish_tally_end, WARREN_EXPIRED);
    publish_tally_end(&refused, &tally);
    tell(&tally, publish_tally_end, WARREN_CONFIRMED);
    assert_false(publish_tally_is_clean(&tally));
    tell(&tally, publish_tally_end, WARREN_CONFIRMED);
    assert_int_equal(tally.results[WARREN_CONFIRMED], 1);
    assert_int_equal(publish_tally_earlier(&tally), 3);
    publish_tally_write(&tally, 1, file);
    publish_tally_write_json(&tally, 1, file);
    read_back(file, out);
    assert_string_equal(out, "published 1, confirmed 1 in 1.000 s (1/s)\n"
                             "in the spool from earlier: confirmed 1, expired 2\n"
                             "{\"published\":1,\"confirmed\":1,\"returned\":0,\"nacked\":0,"
                             "\"spooled\":0,\"timeout\":0,\"seconds\":1.000,"
                             "\"earlier\":{\"confirmed\":1,\"returned\":0,\"timeout\":2}}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confirmed_alone_is_clean),
        cmocka_unit_test(spooled_is_clean),
        cmocka_unit_test(a_spooled_one_ends),
        cmocka_unit_test(earlier_messages_do_not_count),
        cmocka_unit_test(earlier_messages_that_are_lost_are_told),
    };

    return cmocka_run_group_tests_name("publish_tally", tests, NULL, NULL);
}
