/* test_list.c - base/list.h */
#include "base/list.h"
#include "support/test.h"

struct item {
    int number;
    struct list link;
};

static struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};

static void push_items(struct list *list, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        list_push(list, &items[i].link);
}

static void assert_pops(struct list *list, const int *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct list *link = list_pop(list);

        assert_non_null(link);
        assert_int_equal(list_entry(link, struct item, link)->number, numbers[i]);
    }
    assert_null(list_pop(list));
    assert_true(list_empty(list));
}

/* Pushed at the end and popped at the front is first in, first out; push_front overtakes. */
static void order_is_kept(void **state)
{
    struct list list;

    (void)state;
    list_init(&list);
    push_items(&list, 0, 3);
    list_push_front(&list, &items[3].link);
    assert_pops(&list, (const int[]){3, 0, 1, 2}, 4);
}

/* An element leaves the middle without disturbing the rest, and may leave twice. */
static void remove_can_be_repeated(void **state)
{
    struct list list;

    (void)state;
    list_init(&list);
    push_items(&list, 0, 4);
    list_remove(&items[2].link);
    list_remove(&items[2].link);
    assert_pops(&list, (const int[]){0, 1, 3}, 3);
}

/* Splicing appends in order, leaves the source empty, and takes an empty source. */
static void splice_appends_everything(void **state)
{
    struct list to;
    struct list from;

    (void)state;
    list_init(&to);
    list_init(&from);
    push_items(&to, 0, 2);
    push_items(&from, 2, 4);
    list_splice(&to, &from);
    assert_true(list_empty(&from));
    list_splice(&to, &from);
    assert_pops(&to, (const int[]){0, 1, 2, 3}, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(remove_can_be_repeated),
        cmocka_unit_test(splice_appends_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
