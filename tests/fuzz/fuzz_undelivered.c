/* What is kept of undelivered lines, as records that are all well sealed: the book that they make
 * is bounded and whole, whatever they say. A record: kind (u8), size of its text (u16), text. */
#include "fuzz.h"

#include "reader.h"
#include "talk/undelivered_book.h"

static struct cn_undelivered_book book;

static void check(void)
{
    uint64_t count = 0, size = 0;

    for (const struct cn_undelivered_line *l = book.first; l; l = l->next) {
        count++;
        size += l->size + CN_UNDELIVERED_OVERHEAD_SIZE;
        must(l->size <= CN_TALK_TEXT_SIZE_MAX && l->place.number > 0);
    }
    must(count == book.count && size == book.size && size <= CN_UNDELIVERED_SIZE_MAX);
    must(*book.last_next == NULL && book.heard_count <= CN_UNDELIVERED_HEARD_MAX);
    for (size_t i = 0; i < book.heard_count; i++)
        must(cn_undelivered_book_has_heard(&book, &book.heard[i]));
    must(!book.contact[0] || cn_name_valid(book.contact));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_reader r = { .at = in, .left = in_size };

    cn_undelivered_book_init(&book);
    while (r.left > 0) {
        struct cn_transcript_record record = { .kind = (enum cn_transcript_kind)cn_reader_u8(&r) };

        record.text_size = cn_reader_u16be(&r);
        record.text = (const char *)cn_reader_take(&r, record.text_size);
        if (!cn_reader_ok(&r) || cn_undelivered_book_take(&book, &record) != CN_OK)
            break;
        check();
    }
    check();
    cn_undelivered_book_wipe(&book);
    must(book.count == 0 && book.size == 0 && !book.first);
    return 0;
}
