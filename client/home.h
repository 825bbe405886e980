/* home.h - what the library's own files need of a home. The rest is in <cyphernet.h>. */
#ifndef CN_HOME_H
#define CN_HOME_H

#include <limits.h>

#include <cyphernet.h>

#include "armor.h"
#include "env.h"
#include "fingerprint.h"
#include "identity.h"
#include "pair.h"
#include "proxy_setting.h"
#include "storage.h"

struct cn_home {
    struct cn_crypto crypto;
    struct cn_random random;
    char data[PATH_MAX - 256];   /* directory of identity, fingerprint and contacts */
    char config[PATH_MAX - 256]; /* directory of preferences */
    char state[PATH_MAX - 256];  /* directory of what may be lost without harm; empty: none */
    struct cn_detail detail;
    struct cn_storage_key *storage_key; /* owned, secret memory; NULL: plain, or not unsealed */
    uint8_t storage_id[CN_STORAGE_ID_SIZE];
    bool all_sealed; /* with storage_key: a plain file is not to be believed */
    bool unsealing;  /* files are being written plain */
};

#define CN_IDENTITY_FILE         "identity"
#define CN_IDENTITY_NEXT_FILE    "identity.next"
#define CN_FINGERPRINT_FILE      "fingerprint"
#define CN_ADMISSION_KEY_FILE    "admission.key"
#define CN_STORAGE_FILE          "storage.key"
#define CN_PREFERENCES_FILE      "config"
#define CN_CONTACTS_DIRECTORY    "contacts"
#define CN_TRANSCRIPT_KEY_FILE   "transcript.key"
#define CN_TRANSCRIPTS_DIRECTORY "transcripts"
#define CN_UNDELIVERED_DIRECTORY "undelivered"

/* Borrowed for the life of the home. */
const struct cn_crypto *cn_home_crypto(const struct cn_home *home);
const struct cn_random *cn_home_random(const struct cn_home *home);

/* Remember what a failure is about; about may be NULL. Returns err. */
enum cn_err cn_home_fail(struct cn_home *home, enum cn_err err, int system_error,
                         const char *about);

/* err of decoding a text: one longer than any of its kind is malformed to whoever reads it. */
static inline enum cn_err cn_home_text_err(enum cn_err err)
{
    return err == CN_E_FULL ? CN_E_FORMAT : err;
}

/* A path inside the data directory; out holds PATH_MAX. */
void cn_home_path(const struct cn_home *home, const char *name, char out[PATH_MAX]);
/* Read and write text files of the data directory, sealed if a passphrase was set; failures are
 * remembered. The text is secret: wipe it. */
CN_MUST_USE enum cn_err cn_home_read(struct cn_home *home, const char *name, char *text,
                                     size_t text_size_max, size_t *text_size);
CN_MUST_USE enum cn_err cn_home_write(struct cn_home *home, const char *name, bool replace,
                                      const char *text, size_t text_size);

/* One process at a time reads, decides and writes: wait for our turn. For cn_home_unlock. Not
 * there yet, or a file system without locks: -1, and nothing is guarded. */
int cn_home_lock(const struct cn_home *home);
void cn_home_unlock(int lock);

/* Read from the files, whole and checked, into structs that the caller wipes. Errors as in
 * <cyphernet.h>; CN_E_ABSENT: there is none. */
CN_MUST_USE enum cn_err cn_home_fingerprint(struct cn_home *home,
                                            struct cn_fingerprint *fingerprint);
CN_MUST_USE enum cn_err cn_home_identity(struct cn_home *home, struct cn_identity *identity);
CN_MUST_USE enum cn_err cn_home_identity_read(struct cn_home *home, const char *file,
                                              struct cn_identity *identity);
/* Make one, in a file that is not there yet. */
CN_MUST_USE enum cn_err cn_home_identity_make(struct cn_home *home, const char *file,
                                              enum cn_kem kind);
/* Put it in place of another. */
CN_MUST_USE enum cn_err cn_home_identity_store(struct cn_home *home, const char *file,
                                               const struct cn_identity *identity);

/* The identity that there is, and the one that comes next. */
struct cn_identities {
    struct cn_identity now;
    struct cn_identity next;
    bool has_next;
    bool next_is_now; /* it has taken the place of the old one, but its file is still there */
};
void cn_identities_wipe(struct cn_identities *identities);
/* CN_E_ABSENT: not even the first. */
CN_MUST_USE enum cn_err cn_home_identities(struct cn_home *home, struct cn_identities *identities);
/* Whose card this is; NULL: it is of neither. */
const struct cn_identity *cn_identities_of(const struct cn_identities *identities,
                                           const struct cn_card *card);
/* In place of the one that is there, whole or not at all. */
CN_MUST_USE enum cn_err cn_home_fingerprint_store(struct cn_home *home,
                                                  const struct cn_fingerprint *fingerprint);

/* What the notices of a verdict came to. */
struct cn_notices_taken {
    unsigned changes; /* enum cn_notice_change, or-ed */
    enum cn_err err;  /* of the first that was refused, else of storing; CN_OK */
    bool stored;      /* what was taken in is on the disk, too */
};

/* Take all that are good into the fingerprint, up to the first that is refused. */
void cn_notices_take(const uint8_t *notices, size_t size, struct cn_fingerprint *fingerprint,
                     struct cn_notices_taken *taken);
/* The same, and into the file, too. If that fails the fingerprint has them all the same. */
void cn_home_notices(struct cn_home *home, const uint8_t *notices, size_t size,
                     struct cn_fingerprint *fingerprint, struct cn_notices_taken *taken);
/* The order of suites for new cards, from the preferences: how many, 0 for the default.
 * CN_E_CONFIG: detail says which line is wrong. */
CN_MUST_USE enum cn_err cn_home_suites(struct cn_home *home, uint16_t *suite, size_t suite_max,
                                       size_t *count);
/* The proxy that leads to the server: the preferences' or else the environment's, or none.
 * CN_E_CONFIG: detail says which line or variable is wrong; CN_E_OPEN_MODE: the preferences hold a
 * password and others may read them. The setting is secret: wipe it. */
CN_MUST_USE enum cn_err cn_home_proxy(struct cn_home *home, struct cn_proxy_setting *setting);

/* Of a fingerprint's addresses, the index of the one that led to the server last; 0 if unknown. */
size_t cn_home_last_address(const struct cn_home *home, const struct cn_fingerprint *fingerprint);
/* It was this one. Best effort: only time is lost if it is forgotten. */
void cn_home_set_last_address(const struct cn_home *home, const struct cn_fingerprint *fingerprint,
                              size_t index);

/* The text of the preferences. CN_E_ABSENT: there are none; CN_E_CONFIG: too large. */
CN_MUST_USE enum cn_err cn_home_preferences_read(struct cn_home *home, char *text,
                                                 size_t text_size_max, size_t *text_size);
/* Whether these two could be used, if they are there. */
CN_MUST_USE enum cn_err cn_home_preferences_check(struct cn_home *home);
CN_MUST_USE enum cn_err cn_home_admission_key_check(struct cn_home *home);
CN_MUST_USE enum cn_err cn_home_transcript_key_check(struct cn_home *home);

/* Names inside the data directory of all files with secrets that there may be, those of contacts
 * among them; for cn_contact_names_free. CN_E_MEMORY, CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_home_secret_files(struct cn_home *home, char ***files, size_t *count);

/* The names of all contacts, in order; for cn_contact_names_free. */
CN_MUST_USE enum cn_err cn_contact_names(struct cn_home *home, char ***names, size_t *count);
void cn_contact_names_free(char **names, size_t count);

/* What calls with a contact take. */
struct cn_contact_pairs {
    struct cn_pair now;
    struct cn_pair next;                /* if has_next */
    const struct cn_identity *identity; /* whose they are: those that were given */
    const struct cn_identity *next_identity;
    bool has_next;
    bool next_held; /* by the contact, too */
    bool verified;
};
/* identities and fingerprint are the home's. CN_E_ABSENT: no such contact, or not both cards are
 * there; CN_E_SERVER: they are for a server that was left. */
CN_MUST_USE enum cn_err cn_contact_pairs(struct cn_home *home, const char *name,
                                         const struct cn_identities *identities,
                                         const struct cn_fingerprint *fingerprint,
                                         struct cn_contact_pairs *pairs);
/* Whether any contact's cards are for another server than this. */
CN_MUST_USE enum cn_err cn_contact_other_server(struct cn_home *home,
                                                const struct cn_server_public *server, bool *other);

#endif
