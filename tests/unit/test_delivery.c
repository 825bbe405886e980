/* What is queued, as text and in its files. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "queue.h"

static char directory[] = "/tmp/cyphernet-queue-XXXXXX";
static struct cn_home *home;

static int setup(void **state)
{
    return crypto_setup(state) == 0 && mkdtemp(directory) && cn_home_open(&home, directory) == CN_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    char command[128];

    cn_home_close(home);
    (void)crypto_teardown(state);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static const char *const paths[] = { "/a", "/b c\n\x1b\xff=" };
static const char *const excludes[] = { "*.o" };

static struct cn_delivery sample(void)
{
    return (struct cn_delivery) { .contact = "bob",
                                  .when_s = 1800000000,
                                  .gitignore = true,
                                  .paths = paths,
                                  .path_count = COUNT(paths),
                                  .excludes = excludes,
                                  .exclude_count = COUNT(excludes) };
}

static void check(const struct cn_delivery *d)
{
    assert_string_equal(d->contact, "bob");
    assert_int_equal(d->when_s, 1800000000);
    assert_true(d->gitignore);
    assert_false(d->compress);
    assert_int_equal(d->path_count, 2);
    assert_string_equal(d->paths[0], paths[0]);
    assert_string_equal(d->paths[1], paths[1]);
    assert_int_equal(d->exclude_count, 1);
    assert_string_equal(d->excludes[0], "*.o");
}

static void what_is_encoded_is_decoded(void **state)
{
    struct cn_delivery d = sample();
    char *text;
    size_t size;

    (void)state;
    assert_err(cn_delivery_encode(&d, &text, &size), CN_OK);
    assert_err(cn_delivery_decode(&d, text, size), CN_OK);
    check(&d);
    cn_delivery_wipe(&d);
}

static void no_part_of_it_is_taken_for_all(void **state)
{
    struct cn_delivery d = sample();
    struct cn_delivery none = { 0 };
    char *text;
    size_t size;

    (void)state;
    assert_err(cn_delivery_encode(&d, &text, &size), CN_OK);
    for (size_t i = 0; i < size; i++) {
        char *part = malloc(i + 1);
        enum cn_err err;

        memcpy(part, text, i);
        err = cn_delivery_decode(&none, part, i);
        if (err == CN_OK) { /* whole fields, of which one was a path */
            assert_int_equal(text[i - 1], '\0');
            cn_delivery_wipe(&none);
        } else {
            free(part);
        }
    }
    free(text);
}

static void refuses(const char *text, size_t size, enum cn_err expected)
{
    struct cn_delivery d = { 0 };
    char *copy = malloc(size + 1);

    memcpy(copy, text, size);
    assert_int_equal(cn_delivery_decode(&d, copy, size), expected);
    assert_null(d.text);
    free(copy);
}

#define REFUSES(text, expected) refuses(text, sizeof text - 1, expected)

static void anything_else_is_refused(void **state)
{
    (void)state;
    REFUSES("", CN_E_FORMAT);
    REFUSES("cyphernet delivery 2\ncontact=bob\0path=/a\0", CN_E_VERSION);
    REFUSES("cyphernet delivery 1\n", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\ncontact=bob\0", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\npath=/a\0", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\ncontact=bob\0path=a\0", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\ncontact=../bob\0path=/a\0", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\ncontact=bob\0contact=ann\0path=/a\0", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\ncontact=bob\0path=/a\0what=1\0", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\ncontact=bob\0path=/a\0when=x\0", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\ncontact=bob\0path=/a\0compress=yes\0", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\ncontact=bob\0path=/a\0\0", CN_E_FORMAT);
    REFUSES("cyphernet delivery 1\ncontact=bob\0path=/a", CN_E_FORMAT);
}

static void ids_are_names_of_nothing_else(void **state)
{
    (void)state;
    assert_true(cn_delivery_id_valid("abc234"));
    assert_false(cn_delivery_id_valid(""));
    assert_false(cn_delivery_id_valid("abc23"));
    assert_false(cn_delivery_id_valid("abc2345"));
    assert_false(cn_delivery_id_valid("../abc"));
    assert_false(cn_delivery_id_valid("ABC234"));
    assert_false(cn_delivery_id_valid(".bc234"));
}

static void it_is_put_there_changed_and_taken_away(void **state)
{
    struct cn_delivery d = sample();
    struct cn_delivery *list;
    struct stat st;
    char path[128];
    size_t count;

    (void)state;
    assert_err(cn_queue_list(home, &list, &count), CN_OK);
    assert_int_equal(count, 0);
    assert_err(cn_queue_add(home, &d), CN_OK);
    snprintf(path, sizeof path, "%s/queue/%s", directory, d.id);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(d.failed, sizeof d.failed, "refused");
    assert_err(cn_queue_replace(home, &d), CN_OK);
    assert_err(cn_queue_list(home, &list, &count), CN_OK);
    assert_int_equal(count, 1);
    check(&list[0]);
    assert_string_equal(list[0].id, d.id);
    assert_string_equal(list[0].failed, "refused");
    cn_queue_free(list, count);
    assert_err(cn_queue_remove(home, d.id), CN_OK);
    assert_err(cn_queue_remove(home, d.id), CN_E_ABSENT);
    assert_err(cn_queue_replace(home, &d), CN_E_ABSENT);
}

static void the_oldest_comes_first(void **state)
{
    struct cn_delivery *list;
    size_t count;

    (void)state;
    for (uint64_t when_s = 30; when_s > 0; when_s -= 10) {
        struct cn_delivery d = sample();

        d.when_s = when_s;
        assert_err(cn_queue_add(home, &d), CN_OK);
    }
    assert_err(cn_queue_list(home, &list, &count), CN_OK);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list[i].when_s, 10 * (i + 1));
        assert_err(cn_queue_remove(home, list[i].id), CN_OK);
    }
    cn_queue_free(list, count);
}

static void one_that_is_damaged_is_shown_and_hides_no_other(void **state)
{
    struct cn_delivery d = sample();
    struct cn_delivery *list;
    char path[128];
    size_t count;
    FILE *file;

    (void)state;
    assert_err(cn_queue_add(home, &d), CN_OK);
    snprintf(path, sizeof path, "%s/queue/abc234", directory);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("nonsense", file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    assert_err(cn_queue_list(home, &list, &count), CN_OK);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].id, "abc234");
    assert_string_not_equal(list[0].failed, "");
    check(&list[1]);
    cn_queue_free(list, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(no_part_of_it_is_taken_for_all),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(ids_are_names_of_nothing_else),
        cmocka_unit_test(it_is_put_there_changed_and_taken_away),
        cmocka_unit_test(the_oldest_comes_first),
        cmocka_unit_test(one_that_is_damaged_is_shown_and_hides_no_other),
    };

    return cmocka_run_group_tests_name("delivery", tests, setup, teardown);
}
