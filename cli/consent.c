/* consent.c - the receiver's user says what of an offer shall come. */
#include "transferring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { ANSWER_SIZE_MAX = 1024, ITEM_TEXT_SIZE = 1280 };

void cn_consent_say_json(struct cn_transferring *t, const struct cn_transfer_offer *offer)
{
    char extra[160];

    snprintf(extra, sizeof extra,
             ",\"files\":%llu,\"directories\":%llu,\"links\":%llu,\"size\":%llu",
             (unsigned long long)offer->file_count, (unsigned long long)offer->directory_count,
             (unsigned long long)offer->link_count, (unsigned long long)offer->size);
    cn_dial_event(t->cli, &t->dial, "offer", extra);
}

/* "  1  notes/  3 files, 12.3 kB", safe to be shown. */
static void item_text(const struct cn_transferring *t, size_t index, char *out, size_t out_size)
{
    struct cn_transfer_item item;
    char name[1100], size[32], count[CN_COUNT_TEXT_SIZE], files[CN_COUNT_TEXT_SIZE + 2] = "";

    cn_receiving_item(t->receiving, index, &item);
    cn_printable(name, sizeof name, item.name, strlen(item.name));
    if (item.kind == CN_TRANSFER_DIRECTORY)
        snprintf(files, sizeof files, "%s, ", cn_count_text(count, item.file_count, "file"));
    snprintf(out, out_size, "  %3zu  %s%s  %s%s", index + 1, name,
             item.kind == CN_TRANSFER_DIRECTORY ? "/" : "", files,
             item.kind == CN_TRANSFER_LINK ? "a link"
             : item.size == UINT64_MAX     ? "size unknown"
                                           : cn_size_text(size, (double)item.size));
}

void cn_consent_items_tell(const struct cn_transferring *t, const struct cn_transfer_offer *offer)
{
    char text[ITEM_TEXT_SIZE];

    for (size_t i = 0; i < offer->told_count; i++) {
        item_text(t, i, text, sizeof text);
        cn_tell("%s", text);
    }
    if (offer->item_count > offer->told_count)
        cn_tell("       and %zu more", offer->item_count - offer->told_count);
}

static void question(const struct cn_transferring *t)
{
    (void)t;
    fputs("Take all of it? [y]es, [n]o, or the numbers of what you want (as 1 3-5): ", stderr);
    fflush(stderr);
}

static void show(struct cn_transferring *t, const struct cn_transfer_offer *offer)
{
    char size[32], files[CN_COUNT_TEXT_SIZE];

    cn_say(t->cli, "%s offers %s, %s", t->dial.name,
           cn_count_text(files, offer->file_count, "file"),
           cn_size_text(size, (double)offer->size));
    if (!t->asks)
        return;
    for (size_t i = 0; i < offer->told_count; i++) {
        char text[ITEM_TEXT_SIZE];

        item_text(t, i, text, sizeof text);
        fprintf(stderr, "%s\n", text);
    }
    if (offer->item_count > offer->told_count)
        fprintf(stderr, "       and %zu more\n", offer->item_count - offer->told_count);
}

void cn_consent_ask(struct cn_transferring *t)
{
    struct cn_transfer_offer offer;

    if (!cn_receiving_offer(t->receiving, &offer))
        return;
    cn_consent_say_json(t, &offer);
    if (t->asks)
        (void)tcflush(STDIN_FILENO, TCIFLUSH); /* what was typed before is no answer */
    show(t, &offer);
    if (!t->asks)
        return;
    t->is_asking = true;
    question(t);
}

/* "3" or "3-5". */
static bool range_read(const char *text, unsigned long *from, unsigned long *to)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *from = *to = strtoul(text, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        *to = strtoul(end + 1, &end, 10);
    return *end == '\0';
}

/* Numbers of items with blanks or commas between. */
bool cn_consent_picks_read(char *text, size_t count, bool wanted[CN_CONSENT_ITEM_COUNT_MAX])
{
    bool any = false;
    char *rest = NULL;

    for (char *word = strtok_r(text, " ,\t", &rest); word; word = strtok_r(NULL, " ,\t", &rest)) {
        unsigned long from, to;

        if (!range_read(word, &from, &to) || from < 1 || to > count || from > to)
            return false;
        for (unsigned long i = from; i <= to; i++)
            wanted[i - 1] = true;
        any = true;
    }
    return any;
}

static void refuse(struct cn_transferring *t)
{
    const bool none[1] = { false };

    t->is_asking = false;
    t->code = CN_EXIT_REFUSED;
    cn_say(t->cli, "refused");
    cn_receiving_decide(t->receiving, none, 1);
}

static void answer(struct cn_transferring *t, char *text)
{
    struct cn_transfer_offer offer;
    bool wanted[CN_CONSENT_ITEM_COUNT_MAX] = { false };

    if (!cn_receiving_offer(t->receiving, &offer))
        return;
    if (strcmp(text, "n") == 0 || strcmp(text, "no") == 0) {
        refuse(t);
        return;
    }
    if (strcmp(text, "y") == 0 || strcmp(text, "yes") == 0) {
        cn_receiving_decide(t->receiving, NULL, 0);
    } else if (cn_consent_picks_read(text, offer.told_count, wanted)) {
        cn_receiving_decide(t->receiving, wanted, offer.told_count);
    } else {
        question(t);
        return;
    }
    t->is_asking = false;
}

void cn_consent_take(struct cn_transferring *t)
{
    char text[ANSWER_SIZE_MAX];
    ssize_t got = read(STDIN_FILENO, text, sizeof text - 1);

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0) { /* no answer is no consent */
        refuse(t);
        return;
    }
    text[got] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    answer(t, text);
}
