#include "undelivered_book.h"

#include <stdlib.h>
#include <string.h>

#include "reader.h"

/* --- lines ---------------------------------------------------------------------------------- */

void cn_undelivered_book_init(struct cn_undelivered_book *book)
{
    memset(book, 0, sizeof *book);
    book->last_next = &book->first;
}

void cn_undelivered_book_drop(struct cn_undelivered_book *book)
{
    struct cn_undelivered_line *line = book->first;

    book->first = line->next;
    if (!book->first)
        book->last_next = &book->first;
    book->count--;
    book->size -= line->size + CN_UNDELIVERED_OVERHEAD_SIZE;
    book->delivered++;
    cn_wipe(line, sizeof *line + line->size);
    free(line);
}

void cn_undelivered_book_wipe(struct cn_undelivered_book *book)
{
    while (book->first)
        cn_undelivered_book_drop(book);
    cn_undelivered_book_init(book);
}

void cn_undelivered_book_series(struct cn_undelivered_book *book,
                                const struct cn_series_place *place)
{
    book->has_series = true;
    book->next = *place;
}

enum cn_err cn_undelivered_book_add(struct cn_undelivered_book *book, const char *text, size_t size)
{
    struct cn_undelivered_line *line;

    if (!book->has_series)
        return CN_E_FORMAT;
    if (size > CN_TALK_TEXT_SIZE_MAX ||
        book->size + size + CN_UNDELIVERED_OVERHEAD_SIZE > CN_UNDELIVERED_SIZE_MAX)
        return CN_E_LIMIT;
    line = malloc(sizeof *line + size);
    if (!line)
        return CN_E_MEMORY;
    *line = (struct cn_undelivered_line) { .place = book->next, .size = size };
    if (size > 0)
        memcpy(line->text, text, size);
    *book->last_next = line;
    book->last_next = &line->next;
    book->count++;
    book->size += size + CN_UNDELIVERED_OVERHEAD_SIZE;
    book->next.number++;
    return CN_OK;
}

/* --- of the partner's ----------------------------------------------------------------------- */

static bool is_same_series(const struct cn_series_place *a, const struct cn_series_place *b)
{
    return memcmp(a->id, b->id, sizeof a->id) == 0;
}

/* Its index; heard_count: it is none of them. */
static size_t series_find(const struct cn_undelivered_book *book,
                          const struct cn_series_place *place)
{
    size_t i = 0;

    while (i < book->heard_count && !is_same_series(&book->heard[i], place))
        i++;
    return i;
}

void cn_undelivered_book_hear(struct cn_undelivered_book *book, const struct cn_series_place *place)
{
    size_t at = series_find(book, place);

    if (at == book->heard_count && at < CN_UNDELIVERED_HEARD_MAX)
        book->heard_count++;
    else if (at == book->heard_count)
        at = 0; /* the oldest goes */
    memmove(book->heard + at, book->heard + at + 1,
            (book->heard_count - at - 1) * sizeof book->heard[0]);
    book->heard[book->heard_count - 1] = *place;
}

bool cn_undelivered_book_has_heard(const struct cn_undelivered_book *book,
                                   const struct cn_series_place *place)
{
    size_t at = series_find(book, place);

    return at < book->heard_count && place->number <= book->heard[at].number;
}

/* --- records -------------------------------------------------------------------------------- */

static enum cn_err begin_take(struct cn_undelivered_book *book,
                              const struct cn_transcript_record *record)
{
    char name[sizeof book->contact] = "";

    if (record->text_size == 0 || record->text_size >= sizeof name)
        return CN_E_FORMAT;
    memcpy(name, record->text, record->text_size);
    if (!cn_name_valid(name))
        return CN_E_FORMAT;
    memcpy(book->contact, name, sizeof name);
    return CN_OK;
}

static enum cn_err place_take(struct cn_undelivered_book *book,
                              const struct cn_transcript_record *record)
{
    struct cn_series_place place;
    enum cn_err err = cn_series_place_decode(&place, record->text, record->text_size);

    if (err == CN_OK && (int)record->kind == CN_UNDELIVERED_SERIES)
        cn_undelivered_book_series(book, &place);
    else if (err == CN_OK)
        cn_undelivered_book_hear(book, &place);
    return err;
}

static enum cn_err delivered_take(struct cn_undelivered_book *book,
                                  const struct cn_transcript_record *record)
{
    struct cn_reader r = { .at = (const uint8_t *)record->text, .left = record->text_size };
    uint64_t delivered = cn_reader_u64be(&r);

    if (!cn_reader_done(&r) || delivered < book->delivered ||
        delivered - book->delivered > book->count)
        return CN_E_FORMAT;
    while (book->delivered < delivered)
        cn_undelivered_book_drop(book);
    return CN_OK;
}

enum cn_err cn_undelivered_book_take(struct cn_undelivered_book *book,
                                     const struct cn_transcript_record *record)
{
    switch ((int)record->kind) {
    case CN_UNDELIVERED_BEGIN:
        return begin_take(book, record);
    case CN_UNDELIVERED_LINE:
        return cn_undelivered_book_add(book, record->text, record->text_size);
    case CN_UNDELIVERED_SERIES:
    case CN_UNDELIVERED_HEARD:
        return place_take(book, record);
    case CN_UNDELIVERED_DELIVERED:
        return delivered_take(book, record);
    default:
        return CN_E_FORMAT;
    }
}
