/* cli.h - what the commands of `cyphernet` share: the table, options, messages. */
#ifndef CN_CLI_H
#define CN_CLI_H

#include <cyphernet.h>

#include <stdio.h>

enum cn_exit {
    CN_EXIT_DONE = 0,
    CN_EXIT_FAILED = 1,
    CN_EXIT_USAGE = 2,
    CN_EXIT_NOT_AUTHENTIC = 3,
    CN_EXIT_UNREACHABLE = 4,
    CN_EXIT_INTERRUPTED = 5,
    CN_EXIT_NO_PARTNER = 6,
    CN_EXIT_NOT_ADMITTED = 7,
    CN_EXIT_REFUSED = 8
};

/* An option that was given, in the order of the command line; of those that may be given more than
 * once. */
struct cn_given {
    const struct cn_option *option;
    const char *value;
};

enum { CN_GIVEN_COUNT_MAX = 256 };

/* Values of all options of all commands, and the arguments left. */
struct cn_cli {
    const struct cn_command *command;
    const char *usage;    /* of the verb of a command that has verbs; NULL: the command's */
    struct cn_home *home; /* open while a command runs */
    bool json, quiet, verbose;
    bool fresh, replace, yes, keep, overwrite, no_input, answer, qr, remove, passphrase, gitignore,
        compress, later, check, commands, transcript, no_transcript, show_transcript, status,
        finish;
    const char *output;    /* -o */
    const char *directory; /* -d */
    const char *rsa;
    const char *wait;
    const char *resume_for;
    const char *events;
    const char *conflict;
    const char *input_name;
    const char *passphrase_fd;
    const char *repeated; /* the last of those that may be given more than once */
    struct cn_given given[CN_GIVEN_COUNT_MAX];
    size_t given_count;
    char **arguments; /* not options */
    int argument_count;
    char **words; /* COMMAND and its arguments, up to a NULL; NULL: none */
    int told_expiry;
    bool told_unlocked;
    bool asked_agent; /* to leave us what this command does, as long as this stands: */
    int agent_fd;     /* -1: there is none */
};

/* Where an option puts its value: a bool, or a const char *; or, if what the value is called ends
 * in "...", a struct cn_texts. */
struct cn_option {
    const char *name;  /* long, without dashes */
    char letter;       /* 0: none */
    const char *value; /* what the value is called, or ONE|OTHER; NULL: the option has none */
    size_t field;      /* offset in struct cn_cli */
    const char *help;
};

/* What a command that has verbs does, by its first argument. */
struct cn_verb {
    const char *name;
    int arguments_min, arguments_max; /* the verb is one */
    bool json;
    const char *usage; /* after "cyphernet " */
    int (*run)(struct cn_cli *cli);
};

struct cn_command {
    const char *name;
    const char *usage;                /* after "cyphernet " */
    const char *summary;              /* one line */
    const char *help;                 /* paragraphs, or NULL */
    const struct cn_option *options;  /* up to one without a name; NULL: none of its own */
    int arguments_min, arguments_max; /* max -1: any number */
    bool takes_command;               /* what stands behind `--`, once the arguments are there */
    bool keyless;                     /* runs without the passphrase of a home that has one */
    bool json;                        /* prints something that --json changes */
    const char *no_json;              /* why not, if there is something to be said of it */
    const struct cn_verb *verbs;      /* up to one without a name; NULL: it has none */
    int (*run)(struct cn_cli *cli);
};

extern const struct cn_command cn_cmd_init, cn_cmd_request, cn_cmd_join, cn_cmd_contact,
    cn_cmd_pipe, cn_cmd_talk, cn_cmd_send, cn_cmd_receive, cn_cmd_forward, cn_cmd_serve,
    cn_cmd_connect, cn_cmd_agent, cn_cmd_queue, cn_cmd_passphrase, cn_cmd_backup, cn_cmd_restore,
    cn_cmd_rotate, cn_cmd_doctor, cn_cmd_version, cn_cmd_help, cn_cmd_complete;

/* main.c: all commands, the last without a name; and one of them by name, or NULL. */
extern const struct cn_command *const cn_commands[];
const struct cn_command *cn_command_find(const char *name);

/* options.c: take the options of one command from argv. CN_EXIT_DONE: go on; *told: help or version
 * was asked for and given. */
int cn_options_take(struct cn_cli *cli, int argc, char **argv, bool *told);
/* How many of the arguments are an option of every command, which may also stand before the
 * command, and its value; 0: none. */
int cn_option_common_words(char *const *arguments);
void cn_options_help(const struct cn_command *command);
/* Those of every command, up to one without a name. */
const struct cn_option *cn_options_common(void);
/* Whether the command does something with an option that it may be given. */
bool cn_option_applies(const struct cn_command *command, const struct cn_option *option);

/* message.c: all that goes to standard error. */
void cn_say(const struct cn_cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* unless --quiet */
void cn_tell(const char *format, ...)
    __attribute__((format(printf, 1, 2))); /* also then: it is a question, or an answer */
void cn_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cn_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cn_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cn_misuse(const struct cn_cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* CN_EXIT_USAGE */
/* From now on all of these go there, each a line without its end, safe to be shown; NULL: to
 * standard error again. */
typedef void cn_message_shower(void *context, const char *line);
void cn_messages_to(cn_message_shower *show, void *context);
/* What went wrong while doing `what`, with the home's detail and the usual hint; the exit code. */
int cn_fail(const struct cn_cli *cli, enum cn_err err, const char *what);
/* Whether err is about a file of ours, of whose absence cn_fail says what to do, and not about a
 * contact: names hold no slash. */
bool cn_is_missing_file(enum cn_err err, const char *about);
/* Whether err, of what was wanted of a contact, says that there is none called so; and to say it.
 */
bool cn_is_no_contact(const struct cn_cli *cli, enum cn_err err, const char *name);
int cn_no_contact(const char *name);
int cn_exit_code(enum cn_err err);
/* "1 file", "2 files": what its many are called is the one's with an s. Returns out. */
enum { CN_COUNT_TEXT_SIZE = 64 };
const char *cn_count_text(char out[CN_COUNT_TEXT_SIZE], uint64_t count, const char *one);
/* Text from a partner or a file, safe for a terminal: control characters and bad UTF-8 as \xNN.
 * out is always ended; size 1 or more. Returns out. */
char *cn_printable(char *out, size_t size, const char *text, size_t text_size);
/* Whether cn_printable leaves it as it is. */
bool cn_is_shown(const char *text, size_t text_size);
/* A JSON string, with its quotes, to standard output. */
void cn_json_string(const char *text);
/* What stands between those quotes, at most 5 octets for each of text's, into out, as cn_printable
 * does. */
char *cn_json_text(char *out, size_t size, const char *text, size_t text_size);
/* "key":"text", and if that is not text octet for octet ,"key_base64":"..." with all of it: so
 * names are never lost. out holds CN_JSON_MEMBER_SIZE octets for the length of text; else both are
 * of as much of it as fits. Returns out. */
char *cn_json_member(char *out, size_t size, const char *key, const char *text);
#define CN_JSON_MEMBER_SIZE(text_size) (7 * ((text_size) + 10))

/* input.c: whole small texts in, and asked-for texts out. They are secrets, for the caller to wipe;
 * no copy stays behind. */
/* A descriptor of our own for the pipe or terminal that fd is (flags: O_RDONLY or O_WRONLY), so
 * that not waiting for it changes nothing for others; fd itself where that cannot be had. */
int cn_own_end(int fd, int flags);
/* path NULL or "-": standard input. Of a picture: the texts of its QR codes, each on a line. Says
 * what is wrong itself; the exit code. */
int cn_text_read(const char *path, char *text, size_t size_max, size_t *size);
/* Where an asked-for text goes. It is opened before anything is changed, so that one that cannot be
 * written changes nothing. */
struct cn_output {
    const char *path; /* borrowed; NULL: standard output */
    int fd;
};

/* path NULL or "-": standard output. Never one that exists; mode 0600. These two say what is wrong
 * themselves, and return the exit code. */
int cn_output_open(struct cn_output *output, const char *path);
/* Write all of it, and close; what could not be written whole is removed. Under --json, standard
 * output gets it as the text of an event. text: armoured. */
int cn_output_write(const struct cn_cli *cli, struct cn_output *output, const char *event,
                    const char *text, size_t size);
/* There is nothing to write: remove it again. */
void cn_output_drop(struct cn_output *output);
/* The number of a descriptor that is open. */
bool cn_descriptor(const char *text, int *fd);
/* Decimal, with or without a point, and not above CN_SECONDS_MAX; *ms is left alone if not. */
enum { CN_SECONDS_MAX = 1000000000 };
#define CN_SECONDS_TEXT "a number of seconds, at most 1000000000"
bool cn_seconds(const char *text, int64_t *ms);
/* cmd_rotate.c: why a contact has not moved to another identity, in an event and in words. */
const char *cn_moving_name(enum cn_contact_moving moving);
const char *cn_moving_text(enum cn_contact_moving moving);

/* admission.c: what every command that uses the fingerprint says of its expiry. */
void cn_tell_expiry(struct cn_cli *cli);

#define CN_NO_JSON "prints nothing that --json could change"
#define CN_JSON_IN_EVENTS \
    "no --json: standard output is for what the partner sends; --events FD tells in JSON"

/* Of a file of ours. */
#define CN_HINT_DAMAGED "restore it from a copy, or move it away and begin anew"
#define CN_WARN_UNLOCKED \
    "keys cannot be locked into memory, and may be swapped out: raise `ulimit -l`"

#endif
