/* ctl.h - what the parts of cyphernetctl share. */
#ifndef CN_CTL_H
#define CN_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto.h"
#include "err.h"
#include "notices.h"
#include "outfile.h"
#include "registry.h"
#include "settings.h"

#define CN_DIR_DEFAULT "/var/lib/cyphernet"

enum { CN_CTL_OK = 0, CN_CTL_FAILED = 1, CN_CTL_USAGE = 2 }; /* exit codes */

enum {
    CN_CTL_LIST_COUNT_MAX = 8,
    CN_CTL_OPERAND_COUNT_MAX = 64, /* `complete` takes what is being typed */
    CN_CTL_DAYS_DEFAULT = 365,
    CN_CTL_DAYS_MAX = 3650,
    CN_CTL_CLASS_MAX = 255
};

struct cn_ctl_texts {
    size_t count;
    const char *text[CN_CTL_LIST_COUNT_MAX]; /* borrowed from argv */
};

/* The command line, taken apart. Pointers are borrowed from argv; NULL if not given. */
struct cn_ctl_arguments {
    const char *dir;
    bool help;
    bool version;
    bool json;
    bool watch;
    bool quiet;
    bool verbose;
    bool all;
    unsigned days;
    int limits_class; /* -1: not given */
    const char *name;
    const char *output;
    const char *operator_key;
    struct cn_ctl_texts listen;
    struct cn_ctl_texts public_address;
    size_t operand_count;
    const char *operand[CN_CTL_OPERAND_COUNT_MAX];
};

struct cn_ctl {
    const struct cn_ctl_verb *verb;
    struct cn_ctl_arguments arguments;
    struct cn_crypto crypto;
    uint64_t now; /* UTC, seconds since 1970 */
};

enum cn_ctl_option_kind {
    CN_CTL_FLAG,  /* bool */
    CN_CTL_TEXT,  /* const char * */
    CN_CTL_TEXTS, /* struct cn_ctl_texts */
    CN_CTL_DAYS,  /* unsigned */
    CN_CTL_CLASS  /* int */
};

struct cn_ctl_option {
    const char *name; /* without the dashes; NULL ends a list */
    char letter;      /* '\0': none */
    enum cn_ctl_option_kind kind;
    size_t offset;     /* in struct cn_ctl_arguments */
    const char *value; /* what its value is called; NULL: it has none */
    const char *help;
};

struct cn_ctl_verb {
    const char *name; /* NULL ends the table */
    const char *usage;
    const char *summary; /* one line */
    const char *help;
    const struct cn_ctl_option *options; /* beside those of every verb; NULL: none */
    size_t operand_min;
    size_t operand_max;
    int (*run)(struct cn_ctl *ctl); /* returns the exit code */
};

/* Each in its ctl_<verb>.c. */
extern const struct cn_ctl_verb cn_ctl_init_verb;
extern const struct cn_ctl_verb cn_ctl_invite_verb;
extern const struct cn_ctl_verb cn_ctl_admit_verb;
extern const struct cn_ctl_verb cn_ctl_renew_verb;
extern const struct cn_ctl_verb cn_ctl_revoke_verb;
extern const struct cn_ctl_verb cn_ctl_suspend_verb;
extern const struct cn_ctl_verb cn_ctl_unsuspend_verb;
extern const struct cn_ctl_verb cn_ctl_move_verb;
extern const struct cn_ctl_verb cn_ctl_export_verb;
extern const struct cn_ctl_verb cn_ctl_import_verb;
extern const struct cn_ctl_verb cn_ctl_list_verb;
extern const struct cn_ctl_verb cn_ctl_status_verb;
extern const struct cn_ctl_verb cn_ctl_top_verb;
extern const struct cn_ctl_verb cn_ctl_complete_verb;

/* ctl_main.c: all of them, the last NULL. */
extern const struct cn_ctl_verb *const cn_ctl_verbs[];

/* ctl_say.c: to standard error, `cyphernetctl: error: ...` and so on. All but error and hint fall
 * silent with --quiet; detail speaks with --verbose only. */
void cn_ctl_say_init(const struct cn_ctl_arguments *arguments);
__attribute__((format(printf, 1, 2))) void cn_ctl_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void cn_ctl_hint(const char *format, ...);
__attribute__((format(printf, 1, 2))) void cn_ctl_warning(const char *format, ...);
__attribute__((format(printf, 1, 2))) void cn_ctl_note(const char *format, ...);
__attribute__((format(printf, 1, 2))) void cn_ctl_detail(const char *format, ...);
/* The file of -o could not be made. */
void cn_ctl_output_error(const char *output, enum cn_err err);
/* The text of an error; for CN_E_SYSTEM that of errno. */
const char *cn_ctl_reason(enum cn_err err);
/* "2026-11-23", UTC. */
struct cn_ctl_date {
    char text[32];
};
struct cn_ctl_date cn_ctl_date(uint64_t seconds);
/* Keep a secret out of the swap; a warning if that is refused. Wiping it is the owner's business.
 */
void cn_ctl_lock(const void *secret, size_t size);
/* Everything printed has arrived: else an error and CN_CTL_FAILED in place of code. */
int cn_ctl_stdout_close(int code);

/* ctl_options.c: false after having said what is wrong; ctl->verb may be NULL after success. */
bool cn_ctl_options_parse(struct cn_ctl *ctl, const struct cn_ctl_verb *const *verbs, int argc,
                          char **argv);
const struct cn_ctl_verb *cn_ctl_verb_find(const struct cn_ctl_verb *const *verbs,
                                           const char *name);
void cn_ctl_verb_unknown(const char *name);

/* Those of every verb, up to one without a name. */
const struct cn_ctl_option *cn_ctl_options_common(void);

/* ctl_place.c: the directory. */
struct cn_ctl_place {
    int dir;                      /* owned */
    struct cn_registry *registry; /* owned */
    bool assumed;                 /* we are root, and now act as the directory's owner */
    struct cn_settings settings;
};

/* Open DIR, act as its owner, open the registry. On failure everything has been said and undone. */
bool cn_ctl_place_open(struct cn_ctl_place *place, const struct cn_ctl *ctl);
void cn_ctl_place_close(struct cn_ctl_place *place);
/* The directory alone: errno on failure. */
bool cn_ctl_place_enter(struct cn_ctl_place *place, const char *dir);
/* Be who called us again, or the directory's owner again. */
void cn_ctl_place_leave(struct cn_ctl_place *place);
void cn_ctl_place_return(struct cn_ctl_place *place);
void cn_ctl_registry_error(const struct cn_ctl *ctl, enum cn_err err);
void cn_ctl_keyfile_error(const struct cn_ctl *ctl, const char *name, enum cn_err err);

/* ctl_text.c: the whole of a file, or of standard input if path is "-". *size_max octets at most
 * (CN_E_LIMIT); CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_ctl_text_read(const char *path, char *text, size_t size_max,
                                         size_t *size);

/* ctl_notice.c: what subscribers are to be told. PROTOCOL.md 2.12 */
/* A notice with the subscriber's certificate, under this number. False, having said why. */
bool cn_ctl_renewal_make(const struct cn_settings *settings, uint64_t number,
                         const struct cn_operator_secret *secret,
                         const struct cn_subscriber *subscriber, struct cn_held_notice *notice);
/* Have the running server read the registry again. *running: one runs. False, having said why, if
 * it does not confirm. */
bool cn_ctl_server_tell(const struct cn_ctl_place *place, bool *running);
/* The operator's key is in this directory. */
bool cn_ctl_operator_here(const struct cn_ctl_place *place);
/* The server is elsewhere: this directory has the operator's key, and that server's public one. */
bool cn_ctl_server_elsewhere(const struct cn_ctl_place *place);
/* What becomes of it now: a server runs, or will, or is elsewhere. */
void cn_ctl_told_note(const struct cn_ctl *ctl, const struct cn_ctl_place *place, bool running);

/* ctl_init.c: what --public said. False, having said why. */
bool cn_ctl_public_take(const struct cn_ctl_arguments *arguments, struct cn_settings *settings);

/* ctl_issue.c: certificates and fingerprint files. */
struct cn_ctl_issue {
    const char *label; /* borrowed */
    const char *event; /* of --json */
    /* Say who gets the certificate: the admission key (and secret, if it is made here) of somebody
     * new, or all of somebody known. False, having said why, if nobody does. */
    bool (*holder)(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue,
                   struct cn_registry *registry, struct cn_subscriber *subscriber,
                   struct cn_fingerprint *fingerprint);
    uint8_t admission_key[CN_X25519_SIZE]; /* for holder, if the request has told it */
    bool renews;                           /* the subscriber is told through the server, too */
};

/* Issue one certificate, enter it, write the file of -o. Returns the exit code. */
int cn_ctl_issue(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue);
/* A holder's check: nobody who is not revoked has the label. */
bool cn_ctl_label_free(const struct cn_ctl *ctl, struct cn_registry *registry, const char *label);
/* The label can be one; --json and a fingerprint do not both go to standard output. */
bool cn_ctl_issue_usage(const struct cn_ctl *ctl, const char *label);

/* The key that signs: of the operator whom the registry believes. False, having said why. */
bool cn_ctl_operator_load(const struct cn_ctl *ctl, const struct cn_ctl_place *place,
                          struct cn_operator_secret *secret, struct cn_operator_public *public);
/* Sign a certificate for the subscriber's key, with a serial never used, and enter it: somebody new
 * if the id is 0. False, having said why. */
bool cn_ctl_certificate_issue(const struct cn_ctl *ctl, struct cn_registry *registry,
                              const struct cn_operator_secret *secret,
                              struct cn_subscriber *subscriber);

/* ctl_block.c: revoke, suspend and unsuspend. */
int cn_ctl_block(struct cn_ctl *ctl, enum cn_subscriber_status status);

/* ctl_ask.c: ask the running server. On CN_OK the reply is a JSON object with that event, without a
 * line end. CN_E_ABSENT: no server runs here; CN_E_REFUSED: it told an error (cn_ctl_ask_reason);
 * CN_E_TIMEOUT; CN_E_FORMAT; CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_ctl_ask(int dir, const char *request, const char *event, char *reply,
                                   size_t reply_size_max);
/* Why it failed, in words; may be a part of the reply. */
const char *cn_ctl_ask_reason(enum cn_err err, char *reply);

/* ctl_json.c: enough of JSON for a reply of our own server; of any other text nothing is believed,
 * and nothing is read past its end. */
struct cn_ctl_member {
    const char *name; /* borrowed from the text; not ended by a NUL */
    size_t name_size;
    const char *value; /* likewise; a string without its quotes */
    size_t value_size;
    bool is_text;
};

/* Set *at behind the bracket that opens an object or an array; false if there is none. */
bool cn_ctl_json_enter(const char **at);
/* The next member of the object, or element of the array (its name is empty); false at the end. */
bool cn_ctl_json_next(const char **at, bool named, struct cn_ctl_member *member);
bool cn_ctl_json_named(const struct cn_ctl_member *member, const char *name);
/* False unless it is a number, not negative, that fits. */
bool cn_ctl_json_value(const struct cn_ctl_member *member, uint64_t *value);
/* A top-level member by its name. */
bool cn_ctl_json_find(const char *json, const char *name, struct cn_ctl_member *member);
bool cn_ctl_json_number(const char *json, const char *name, uint64_t *value);

/* ctl_top.c: what a running server tells of one subscriber. */
struct cn_ctl_user {
    uint64_t serial;
    uint64_t waiting;
    uint64_t joined;
    uint64_t bytes;
};

/* A reply to status; false, having said why. *running: a server runs. */
bool cn_ctl_status_ask(const struct cn_ctl *ctl, const struct cn_ctl_place *place, char *reply,
                       size_t reply_size_max, bool *running);
/* What is missing of it is 0. */
struct cn_ctl_user cn_ctl_user_take(const struct cn_ctl_member *element);
/* The label that goes with a serial, or "(not in the registry)". */
void cn_ctl_user_label(struct cn_registry *registry, uint64_t serial,
                       char label[CN_NAME_SIZE_MAX + 1]);
/* "3.1 MiB" */
struct cn_ctl_octets {
    char text[32];
};
struct cn_ctl_octets cn_ctl_octets(uint64_t octets);

#endif
