/* tree_list [--exclude PATTERN]... [--gitignore] PATH...: what cn_walk lists, each name with a NUL
 * after it; problems go to stderr. */
#include <stdio.h>
#include <string.h>

#include "walk.h"

static void report(void *context, const char *path, enum cn_walk_problem problem, int error)
{
    (void)context;
    fprintf(stderr, "%s: %d: %s\n", path, (int)problem, strerror(error));
}

static enum cn_err argument_take(struct cn_walk *walk, struct cn_filter *filter, char ***argument)
{
    const char *text = *(*argument)++;

    if (strcmp(text, "--gitignore") == 0) {
        cn_filter_use_gitignore(filter);
        return CN_OK;
    }
    if (strcmp(text, "--exclude") == 0)
        return cn_filter_exclude(filter, *(*argument)++);
    return cn_walk_add(walk, text);
}

int main(int argc, char **argv)
{
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];
    struct cn_filter *filter = NULL;
    struct cn_walk *walk = NULL;
    enum cn_err err = cn_filter_create(&filter);

    (void)argc;
    if (err == CN_OK)
        err = cn_walk_create(&walk, filter, report, NULL);
    for (argv++; err == CN_OK && *argv;)
        err = argument_take(walk, filter, &argv);
    for (uint32_t i = 0; err == CN_OK && i < cn_walk_count(walk); i++) {
        struct cn_entry entry;

        cn_walk_entry(walk, i, &entry, name);
        fwrite(name, 1, entry.name_size + 1, stdout);
    }
    if (err != CN_OK)
        fprintf(stderr, "%s\n", cn_err_text(err));
    cn_walk_free(walk);
    cn_filter_free(filter);
    return err == CN_OK ? 0 : 1;
}
