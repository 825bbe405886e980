/* What a part is of: refused unless we could have written it, and found by partner, place and name.
 */
#include "tree.h"

#include <cyphernet.h>

#include "home.h"
#include "journal.h"

enum { MIB = 1024 * 1024 };

static struct cn_home *home;
static struct cn_journals *journals;

static int setup(void **state)
{
    if (tree_setup(state) != 0 || cn_home_open(&home, at("home")) != CN_OK)
        return -1;
    return cn_journals_open(&journals, home) == CN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    cn_journals_close(journals);
    cn_journals_close(NULL);
    cn_home_close(home);
    return tree_teardown(state);
}

static struct cn_journal good(void)
{
    return (struct cn_journal) { .partner = "ann",
                                 .place = "/home/bob/in",
                                 .name = "d/large",
                                 .size = 3 * MIB + 5,
                                 .mtime_s = -1,
                                 .mtime_ns = 999999999,
                                 .identity = UINT64_MAX,
                                 .temporary = ".cyphernet-0123456789abcdef.part",
                                 .device = 1,
                                 .inode = 2,
                                 .written = 2 * MIB };
}

static uint8_t octets[CN_JOURNAL_SIZE_MAX];

static enum cn_err decoded(const struct cn_journal *journal)
{
    static struct cn_journal out;
    size_t size = cn_journal_encode(journal, octets);

    return cn_journal_decode(&out, octets, size);
}

static void every_prefix_is_refused(void **state)
{
    static struct cn_journal out, untouched;
    struct cn_journal journal = good();
    size_t size = cn_journal_encode(&journal, octets);

    (void)state;
    for (size_t i = 0; i < size; i++)
        assert_err(cn_journal_decode(&out, octets, i), CN_E_FORMAT);
    octets[size] = 0;
    assert_err(cn_journal_decode(&out, octets, size + 1), CN_E_FORMAT);
    octets[8] = 2;
    assert_err(cn_journal_decode(&out, octets, size), CN_E_VERSION);
    octets[0] = 'c';
    assert_err(cn_journal_decode(&out, octets, size), CN_E_FORMAT);
    assert_memory_equal(&out, &untouched, sizeof out);
}

static void what_we_never_write_is_refused(void **state)
{
    struct cn_journal j = good();

    (void)state;
    assert_err(decoded(&j), CN_OK);
#define REFUSED(change) \
    j = good(); \
    change; \
    assert_err(decoded(&j), CN_E_FORMAT)
    REFUSED(strcpy(j.partner, "../ann"));
    REFUSED(j.partner[0] = '\0');
    REFUSED(strcpy(j.place, "in"));
    REFUSED(strcpy(j.name, "../large"));
    REFUSED(strcpy(j.name, "/large"));
    REFUSED(j.name[0] = '\0');
    REFUSED(strcpy(j.temporary, "large"));
    REFUSED(strcpy(j.temporary, ".cyphernet-0123456789abc/ef.part"));
    REFUSED(j.size = (uint64_t)INT64_MAX + 1);
    REFUSED(j.mtime_ns = 1000000000);
    REFUSED(j.written = 4 * MIB);
    REFUSED(j.written = MIB + 1);
#undef REFUSED
}

static void a_text_with_a_nul_is_refused(void **state)
{
    static struct cn_journal out;
    struct cn_journal j = good();
    size_t size = cn_journal_encode(&j, octets);

    (void)state;
    octets[8 + 1 + 2 + 1] = '\0'; /* "a\0n" */
    assert_err(cn_journal_decode(&out, octets, size), CN_E_FORMAT);
}

static void visit(void *context, const struct cn_journal *journal)
{
    unsigned *count = context;

    assert_string_equal(journal->place, "/home/bob/in");
    ++*count;
}

static void each_is_found_by_its_three_names(void **state)
{
    struct cn_journal j = good();
    struct cn_journal other = j;
    unsigned count = 0;

    (void)state;
    assert_err(cn_journals_each(journals, visit, &count), CN_OK);
    assert_err(cn_journal_load(journals, &other), CN_E_ABSENT);
    assert_err(cn_journal_store(journals, &j), CN_OK);
    j.written = 3 * MIB;
    assert_err(cn_journal_store(journals, &j), CN_OK);
    strcpy(other.partner, "eve");
    assert_err(cn_journal_load(journals, &other), CN_E_ABSENT);
    other = j;
    strcpy(other.name, "d/larger");
    assert_err(cn_journal_load(journals, &other), CN_E_ABSENT);
    other = j;
    strcpy(other.place, "/home/bob/in2");
    assert_err(cn_journal_load(journals, &other), CN_E_ABSENT);
    other = good();
    assert_err(cn_journal_load(journals, &other), CN_OK);
    assert_int_equal(other.written, 3 * MIB);
    assert_err(cn_journals_each(journals, visit, &count), CN_OK);
    assert_int_equal(count, 1);
    cn_journal_remove(journals, &j);
    cn_journal_remove(journals, &j);
    assert_err(cn_journal_load(journals, &other), CN_E_ABSENT);
}

/* The file of the only journal, whatever it is called. */
static const char *journal_path(void)
{
    static char path[256];
    char command[128];
    FILE *list;

    snprintf(command, sizeof command, "ls -d '%s'/home/journals/*", top);
    list = popen(command, "r");
    assert_non_null(list);
    assert_non_null(fgets(path, sizeof path, list));
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
    return path;
}

static void what_is_in_the_way_is_no_journal(void **state)
{
    struct cn_journal j = good();
    char moved[PATH_MAX];
    unsigned count = 0;
    const char *path;

    (void)state;
    assert_err(cn_journal_store(journals, &j), CN_OK);
    path = journal_path();
    snprintf(moved, sizeof moved, "%s", path);
    moved[strlen(moved) - 1] ^= 1; /* where another would be */
    assert_int_equal(rename(path, moved), 0);
    assert_err(cn_journals_each(journals, visit, &count), CN_OK);
    assert_int_equal(count, 0);
    assert_int_equal(rename(moved, path), 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_err(cn_journal_load(journals, &j), CN_E_OPEN_MODE);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 20), 0);
    assert_err(cn_journal_load(journals, &j), CN_E_FORMAT);
    assert_int_equal(truncate(path, CN_JOURNAL_SIZE_MAX + 1), 0);
    assert_err(cn_journal_load(journals, &j), CN_E_FORMAT);
    assert_err(cn_journals_each(journals, visit, &count), CN_OK);
    assert_int_equal(count, 0);
    assert_err(cn_journal_store(journals, &j), CN_OK); /* which replaces it */
    assert_err(cn_journal_load(journals, &j), CN_OK);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(what_we_never_write_is_refused),
        cmocka_unit_test(a_text_with_a_nul_is_refused),
        test(each_is_found_by_its_three_names),
        test(what_is_in_the_way_is_no_journal),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
