/* transcript_file.h - what becomes of a contact's transcript when the contact is looked after. */
#ifndef CN_TRANSCRIPT_FILE_H
#define CN_TRANSCRIPT_FILE_H

#include "home.h"

/* CN_OK also where there is none. CN_E_EXISTS: there is one of the new name; errors of
 * cn_transcript_open. */
CN_MUST_USE enum cn_err cn_transcript_rename(struct cn_home *home, const char *old_name,
                                             const char *new_name);
CN_MUST_USE enum cn_err cn_transcript_remove(struct cn_home *home, const char *name);

#endif
