#include "sending.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "home.h"

static void report(void *context, const char *path, enum cn_walk_problem problem, int error)
{
    cn_sending_problem_of(context, path,
                          problem == CN_WALK_UNREADABLE ? CN_TRANSFER_REASON_SYSTEM
                          : problem == CN_WALK_SPECIAL  ? CN_TRANSFER_REASON_SPECIAL
                                                        : CN_TRANSFER_REASON_NAME,
                          error);
}

static void item_add(struct cn_sending *s, enum cn_entry_type type, const char *name,
                     uint32_t file_count, uint64_t size)
{
    if (s->offer.item_count < CN_MESSAGE_ITEM_COUNT_MAX) {
        struct cn_message_item *item = &s->items[s->offer.item_count];

        *item = (struct cn_message_item) { .type = type, .file_count = file_count, .size = size };
        strncpy(item->name, name, sizeof item->name - 1);
    }
    s->offer.item_count++;
}

/* Count entries of the walk from first on, which are all of one item. */
static void item_count(struct cn_sending *s, uint32_t first)
{
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];
    struct cn_entry entry;
    uint32_t file_count = 0;
    uint64_t size = 0;

    if (cn_walk_count(s->walk) == first) /* all of it is left out */
        return;
    for (uint32_t i = first; i < cn_walk_count(s->walk); i++) {
        cn_walk_entry(s->walk, i, &entry, name);
        file_count += entry.type == CN_ENTRY_FILE;
        s->offer.directory_count += entry.type == CN_ENTRY_DIRECTORY;
        s->offer.link_count += entry.type == CN_ENTRY_LINK;
        size += entry.size;
    }
    s->offer.file_count += file_count;
    s->offer.size += size;
    cn_walk_entry(s->walk, first, &entry, name);
    item_add(s, entry.type, name, file_count, size);
}

/* What went wrong, for the owner's thread to tell the home of. */
static enum cn_err fail(struct cn_sending *s, enum cn_err err, int system_error, const char *about)
{
    s->listing.system_error = system_error;
    s->listing.about = about;
    return err;
}

static enum cn_err path_add(struct cn_sending *s, const char *path)
{
    uint32_t first = cn_walk_count(s->walk);
    enum cn_err err = CN_E_USAGE;

    if (strcmp(path, "-") == 0) {
        if (!s->input_name) {
            s->input_name = s->listing.options.input_name ? s->listing.options.input_name : "stdin";
            err = cn_entry_name_valid(s->input_name, strlen(s->input_name)) &&
                          !strchr(s->input_name, '/')
                      ? CN_OK
                      : CN_E_NAME;
        }
        return err == CN_OK ? CN_OK : fail(s, err, 0, path);
    }
    errno = 0;
    err = cn_walk_add(s->walk, path);
    if (err != CN_OK)
        return fail(s, err, err == CN_E_SYSTEM ? errno : 0, path);
    item_count(s, first);
    return CN_OK;
}

static bool name_is_taken(const struct cn_sending *s, const char *wanted)
{
    char name[CN_ENTRY_NAME_SIZE_MAX + 1];

    for (uint32_t i = 0; i < cn_walk_count(s->walk); i++) {
        struct cn_entry entry;

        cn_walk_entry(s->walk, i, &entry, name);
        if (strcmp(name, wanted) == 0)
            return true;
    }
    return false;
}

static enum cn_err input_add(struct cn_sending *s)
{
    s->count = cn_walk_count(s->walk);
    if (!s->input_name)
        return CN_OK;
    if (name_is_taken(s, s->input_name))
        return fail(s, CN_E_EXISTS, 0, s->input_name);
    if (pipe2(s->cancel, O_CLOEXEC) != 0)
        return fail(s, CN_E_SYSTEM, errno, "pipe");
    item_add(s, CN_ENTRY_FILE, s->input_name, 1, CN_MESSAGE_SIZE_UNKNOWN);
    s->offer.file_count++;
    s->count++;
    return CN_OK;
}

static enum cn_err filter_make(struct cn_sending *s)
{
    const struct cn_sending_options *options = &s->listing.options;
    enum cn_err err = cn_filter_create(&s->filter);

    for (size_t i = 0; err == CN_OK && i < options->exclude_count; i++) {
        err = cn_filter_exclude(s->filter, options->excludes[i]);
        if (err == CN_E_NAME)
            err = fail(s, CN_E_CONFIG, 0, options->excludes[i]);
    }
    if (err == CN_OK && options->gitignore)
        cn_filter_use_gitignore(s->filter);
    return err;
}

static enum cn_err list(struct cn_sending *s)
{
    const struct cn_sending_options *options = &s->listing.options;
    enum cn_err err = filter_make(s);

    if (err == CN_OK)
        err = cn_walk_create(&s->walk, s->filter, report, s);
    if (err == CN_OK)
        cn_walk_set_cancelled(s->walk, &s->listing.cancelled);
    for (size_t i = 0; err == CN_OK && i < options->path_count; i++)
        err = path_add(s, options->paths[i]);
    if (err == CN_OK)
        err = input_add(s);
    if (err == CN_OK && (s->count == 0 || s->happenings.lost))
        err = fail(s, s->count == 0 ? CN_E_ABSENT : CN_E_MEMORY, 0, NULL);
    return err;
}

static void run(struct cn_job *job)
{
    struct cn_listing *listing = (struct cn_listing *)job;

    listing->err = list(listing->sending);
}

static enum cn_err result(struct cn_sending *s)
{
    const struct cn_listing *l = &s->listing;

    return l->err == CN_OK ? CN_OK : cn_home_fail(s->home, l->err, l->system_error, l->about);
}

enum cn_err cn_listing_run(struct cn_sending *s)
{
    run(&s->listing.job);
    return result(s);
}

void cn_listing_begin(struct cn_sending *s)
{
    s->listing.job.run = run;
    cn_jobs_submit(s->jobs, &s->listing.job);
}

enum cn_err cn_sending_listed(struct cn_sending *sending)
{
    cn_jobs_reap(sending->jobs);
    return sending->listing.job.is_done ? result(sending) : CN_E_MORE;
}
