/* sealing.h - the files of a home under a passphrase, for those who read and write them.
 * PROTOCOL.md 2.16 */
#ifndef CN_SEALING_H
#define CN_SEALING_H

#include "home.h"

/* What stands in the file `name`, of which raw was read, into text. CN_E_SEALED: the passphrase was
 * not given; CN_E_KIND: plain, where all files are sealed; errors of cn_sealed_file_decode. The
 * caller says which file it was; a failure of the key's file is remembered here: *told. */
CN_MUST_USE enum cn_err cn_sealing_open(struct cn_home *home, const char *name, struct cn_piece raw,
                                        char *text, size_t text_size_max, size_t *text_size,
                                        bool *told);
/* What is to stand in it. out holds CN_ARMOR_TEXT_SIZE_MAX. */
CN_MUST_USE enum cn_err cn_sealing_close(struct cn_home *home, const char *name,
                                         struct cn_piece text, char *out, size_t *out_size,
                                         bool *told);
/* Whether files that are written now are sealed. */
CN_MUST_USE enum cn_err cn_sealing_on(struct cn_home *home, bool *on);
void cn_sealing_forget(struct cn_home *home);

#endif
