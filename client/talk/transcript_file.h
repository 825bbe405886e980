/* transcript_file.h - the key of what is kept of talks; and what becomes of a contact's transcript
 * when the contact is looked after. */
#ifndef CN_TRANSCRIPT_FILE_H
#define CN_TRANSCRIPT_FILE_H

#include "home.h"
#include "transcript_record.h"

/* CN_E_ABSENT: there is none (detail); errors of reading a file. Wipe it. */
CN_MUST_USE enum cn_err cn_transcript_key_read(struct cn_home *home, struct cn_transcript_key *key);
/* The same, and it is made if there is none. */
CN_MUST_USE enum cn_err cn_transcript_key_have(struct cn_home *home, struct cn_transcript_key *key);

/* CN_OK also where there is none. CN_E_EXISTS: there is one of the new name; errors of
 * cn_transcript_open. */
CN_MUST_USE enum cn_err cn_transcript_rename(struct cn_home *home, const char *old_name,
                                             const char *new_name);
CN_MUST_USE enum cn_err cn_transcript_remove(struct cn_home *home, const char *name);

#endif
