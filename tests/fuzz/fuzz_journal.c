/* A journal that is accepted names nothing outside its directory, and says it in one way only. */
#include "fuzz.h"

#include "journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct cn_journal journal;
    static uint8_t out[CN_JOURNAL_SIZE_MAX];
    enum cn_err err = cn_journal_decode(&journal, in, in_size);

    if (err != CN_OK) {
        must(err == CN_E_VERSION || err == CN_E_FORMAT);
        return 0;
    }
    must(journal.written <= journal.size && journal.written % CN_JOURNAL_BLOCK_SIZE == 0);
    must(cn_entry_name_valid(journal.name, strlen(journal.name)));
    must(!strchr(journal.temporary, '/') && journal.place[0] == '/');
    must(cn_journal_encode(&journal, out) == in_size && memcmp(out, in, in_size) == 0);
    return 0;
}
