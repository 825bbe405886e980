#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loopback.h"

enum type { U32, U64, BOOL, WORD, LISTEN, FORMAT };
enum fixed { FREE, FIXED, FIXED_UP }; /* by the size that a pool had at the start */

#define FIELD(field) offsetof(struct cn_config, field)

static const struct key {
    const char *name; /* section.key */
    enum type type;
    enum fixed fixed;
    size_t at;
    uint64_t min, max, preset;
} keys[] = {
    { "admission.hello_timeout", U32, FREE, FIELD(hello_timeout), 1, 60, 5 },
    { "admission.pending_max", U32, FREE, FIELD(pending_max), 1, 1000000, 1024 },
    { "admission.pending_per_address", U32, FREE, FIELD(pending_per_address), 1, 1000000, 64 },
    { "waiting.lines_max", U32, FIXED, FIELD(lines_max), 2, 1000000, 16384 },
    { "waiting.lines_max_per_subscriber", U32, FREE, FIELD(lines_max_per_subscriber), 1, 1000000,
      1024 },
    { "waiting.lines_per_subscriber", U32, FREE, FIELD(lines_per_subscriber), 1, 1000000, 32 },
    { "waiting.tags_per_line", U32, FIXED_UP, FIELD(tags_per_line), 1, 4096, 1024 },
    { "waiting.tags_per_subscriber", U32, FREE, FIELD(tags_per_subscriber), 1, 10000000, 4096 },
    { "waiting.tags_max", U32, FIXED, FIELD(tags_max), 2, 10000000, 131072 },
    { "waiting.lists_max", U32, FIXED, FIELD(lists_max), 1, 100000, 256 },
    { "waiting.lists_per_subscriber", U32, FREE, FIELD(lists_per_subscriber), 1, 100000, 4 },
    { "waiting.updates_per_minute", U32, FREE, FIELD(updates_per_minute), 1, 6000, 30 },
    { "waiting.waiting_time", U32, FREE, FIELD(waiting_time), 0, 31536000, 0 },
    { "waiting.keep_alive", U32, FREE, FIELD(keep_alive), 1, 3600, 60 },
    { "waiting.spread", U32, FREE, FIELD(spread), 0, 3600, 30 },
    { "joining.ready_timeout", U32, FREE, FIELD(ready_timeout), 1, 60, 3 },
    { "joining.prologue_timeout", U32, FREE, FIELD(prologue_timeout), 1, 120, 10 },
    { "joining.prologue_size_max", U32, FIXED_UP, FIELD(prologue_size_max), 1, 65535, 16384 },
    { "calls.idle_timeout", U32, FREE, FIELD(idle_timeout), 0, 31536000, 600 },
    { "calls.stall_timeout", U32, FREE, FIELD(stall_timeout), 1, 86400, 300 },
    { "calls.rate_per_subscriber", U64, FREE, FIELD(rate_per_subscriber), 0, 1000000000000, 0 },
    { "calls.rate_all", U64, FREE, FIELD(rate_all), 0, 1000000000000, 0 },
    { "calls.workers", U32, FIXED, FIELD(workers), 0, CN_CONFIG_WORKERS_MAX, 0 },
    { "calls.pipes_max", U32, FIXED_UP, FIELD(pipes_max), 0, 100000, 128 },
    { "calls.turn_size", U32, FREE, FIELD(turn_size), 4096, 1073741824, 1048576 },
    { "calls.congestion_control", WORD, FREE, FIELD(congestion_control), 0, 0, 0 },
    { "server.shutdown_timeout", U32, FREE, FIELD(shutdown_timeout), 0, 86400, 60 },
    { "server.log_addresses", BOOL, FREE, FIELD(log_addresses), 0, 1, 0 },
    { "server.log_subscribers", BOOL, FREE, FIELD(log_subscribers), 0, 1, 0 },
    { "server.log_format", FORMAT, FIXED, FIELD(log_json), 0, 0, 0 },
    { "metrics.listen", LISTEN, FIXED, FIELD(metrics_listen), 0, 0, 0 },
};

/* Those that a section [class.N] may set, too, in the order of struct cn_class_limits; type and
 * range are those of the key for all. */
static const struct class_key {
    const char *all; /* section.key */
    size_t at;
} class_keys[] = {
    { "waiting.lines_max_per_subscriber",
      offsetof(struct cn_class_limits, lines_max_per_subscriber) },
    { "waiting.lines_per_subscriber", offsetof(struct cn_class_limits, lines_per_subscriber) },
    { "waiting.tags_per_subscriber", offsetof(struct cn_class_limits, tags_per_subscriber) },
    { "waiting.lists_per_subscriber", offsetof(struct cn_class_limits, lists_per_subscriber) },
    { "calls.rate_per_subscriber", offsetof(struct cn_class_limits, rate_per_subscriber) },
};

enum { CLASS_KEY_COUNT = sizeof class_keys / sizeof class_keys[0] };

enum { KEY_COUNT = sizeof keys / sizeof keys[0], FILE_SIZE_MAX = 65536 };

struct parse {
    struct cn_config config;
    const char *rest; /* of the text */
    unsigned line;    /* that was read last, from 1 */
    unsigned complaint_line;
    char complaint[CN_CONFIG_COMPLAINT_SIZE]; /* the first; empty: none */
    unsigned char seen[KEY_COUNT];
};

static void field_set(struct cn_config *config, const struct key *key, uint64_t value)
{
    void *field = (char *)config + key->at;

    switch (key->type) {
    case U32:
        *(uint32_t *)field = (uint32_t)value;
        break;
    case U64:
        *(uint64_t *)field = value;
        break;
    case BOOL:
    case FORMAT:
        *(bool *)field = value != 0;
        break;
    case WORD:
        memset(field, 0, CN_CONFIG_WORD_SIZE);
        break;
    case LISTEN:
        memset(field, 0, CN_CONFIG_LISTEN_SIZE);
        break;
    }
}

void cn_config_defaults(struct cn_config *config)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < KEY_COUNT; i++)
        field_set(config, &keys[i], keys[i].preset);
}

const char *cn_config_key(size_t i)
{
    return i < KEY_COUNT ? keys[i].name : NULL;
}

bool cn_config_needs_restart(size_t i, const struct cn_config *started,
                             const struct cn_config *wanted)
{
    const struct key *key = &keys[i];
    uint32_t before, now;

    if (key->fixed == FREE)
        return false;
    if (key->type == FORMAT)
        return started->log_json != wanted->log_json;
    if (key->type == LISTEN)
        return strcmp(started->metrics_listen, wanted->metrics_listen) != 0;
    memcpy(&before, (const char *)started + key->at, sizeof before); /* pools have U32 sizes */
    memcpy(&now, (const char *)wanted + key->at, sizeof now);
    return key->fixed == FIXED ? now != before : now > before;
}

static const struct key *key_find(const char *section, const char *name)
{
    size_t size = strlen(section);

    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strncmp(keys[i].name, section, size) == 0 && keys[i].name[size] == '.' &&
            strcmp(keys[i].name + size + 1, name) == 0)
            return &keys[i];
    }
    return NULL;
}

/* The class that a section is for; 0: none. */
static unsigned class_of(const char *section)
{
    static const char begin[] = "class.";
    const char *digits;
    unsigned number = 0;

    if (strncmp(section, begin, sizeof begin - 1) != 0)
        return 0;
    digits = section + (sizeof begin - 1); /* which there is only now */
    if (digits[0] == '0')
        return 0;
    for (; *digits >= '0' && *digits <= '9' && number < CN_CONFIG_CLASS_COUNT; digits++)
        number = number * 10 + (unsigned)(*digits - '0');
    return *digits == '\0' && number < CN_CONFIG_CLASS_COUNT ? number : 0;
}

/* The key of a class's section, as one of the whole configuration. */
static const struct key *class_key_find(struct cn_config *config, unsigned class, const char *name,
                                        struct key *made, bool *twice)
{
    for (size_t i = 0; i < CLASS_KEY_COUNT; i++) {
        const char *all = class_keys[i].all;
        const char *dot = strchr(all, '.');
        struct cn_class *c = &config->classes[class];

        if (strcmp(dot + 1, name) != 0)
            continue;
        for (size_t k = 0; k < KEY_COUNT; k++) {
            if (strcmp(keys[k].name, all) == 0)
                *made = keys[k];
        }
        made->at = (size_t)((char *)&c->limits - (char *)config) + class_keys[i].at;
        *twice = (c->set >> i & 1) != 0;
        c->set |= (uint8_t)(1U << i);
        return made;
    }
    return NULL;
}

static bool number_parse(const char *text, uint64_t *value)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool bool_parse(const char *text, uint64_t *value)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *value = i % 2;
            return true;
        }
    }
    return false;
}

static bool word_set(struct cn_config *config, const struct key *key, const char *text)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

    if (strlen(text) >= CN_CONFIG_WORD_SIZE || strspn(text, fine) != strlen(text))
        return false;
    field_set(config, key, 0);
    memcpy((char *)config + key->at, text, strlen(text));
    return true;
}

static bool listen_set(struct cn_config *config, const struct key *key, const char *text)
{
    struct cn_loopback loopback;

    if (text[0] && !cn_loopback_parse(&loopback, text))
        return false;
    field_set(config, key, 0);
    memcpy((char *)config + key->at, text, strlen(text));
    return true;
}

/* For a complaint: what the file says may be anything. */
static void show(const char *text, char out[65])
{
    memset(out, 0, 65);
    for (size_t i = 0; i < 64 && text[i]; i++)
        out[i] = text[i] > ' ' && text[i] < 127 ? text[i] : '?';
}

static int complain(struct parse *p, const char *what, const char *section, const char *name)
{
    char s[65], n[65];

    show(section, s);
    show(name, n);
    p->complaint_line = p->line;
    snprintf(p->complaint, sizeof p->complaint, "line %u: [%s] %s: %s", p->line, s, n, what);
    return 0;
}

static bool value_set(struct parse *p, const struct key *key, const char *text, char *why,
                      size_t why_size)
{
    uint64_t value = 0;

    switch (key->type) {
    case WORD:
        snprintf(why, why_size, "must be a plain word of at most %d characters",
                 CN_CONFIG_WORD_SIZE - 1);
        return word_set(&p->config, key, text);
    case FORMAT:
        snprintf(why, why_size, "must be text or json");
        value = strcmp(text, "json") == 0;
        if (value == 0 && strcmp(text, "text") != 0)
            return false;
        break;
    case LISTEN:
        snprintf(why, why_size, "must be 127.x.y.z:PORT, [::1]:PORT or NAME.sock");
        return listen_set(&p->config, key, text);
    case BOOL:
        snprintf(why, why_size, "must be yes or no");
        if (!bool_parse(text, &value))
            return false;
        break;
    case U32:
    case U64:
        snprintf(why, why_size, "must be a number from %llu to %llu", (unsigned long long)key->min,
                 (unsigned long long)key->max);
        if (!number_parse(text, &value) || value < key->min || value > key->max)
            return false;
        break;
    }
    field_set(&p->config, key, value);
    return true;
}

/* inih's handler: 1 on success. */
static int handle(void *user, const char *section, const char *name, const char *text)
{
    struct parse *p = user;
    const struct key *key = key_find(section, name);
    unsigned class = class_of(section);
    struct key of_class;
    bool twice = false;
    char why[128];

    if (p->complaint[0])
        return 0;
    if (key)
        twice = p->seen[key - keys]++ != 0;
    else if (class > 0)
        key = class_key_find(&p->config, class, name, &of_class, &twice);
    else if (strncmp(section, "class.", 6) == 0)
        return complain(p, "limits classes are class.1 to class.255", section, name);
    if (!key)
        return complain(p, "no such key; cyphernetd.conf(5) lists them all", section, name);
    if (twice)
        return complain(p, "is set twice; remove one", section, name);
    if (!text || !value_set(p, key, text, why, sizeof why))
        return complain(p, text ? why : "has no value", section, name);
    return 1;
}

/* inih's reader, as fgets. It reads in pieces of its own size, and would take the second piece of a
 * long line for a line. */
static char *read_line(char *line, int size_max, void *stream)
{
    struct parse *p = stream;
    const char *end = strchr(p->rest, '\n');
    size_t size = end ? (size_t)(end - p->rest) + 1 : strlen(p->rest);

    if (size == 0 || p->complaint[0])
        return NULL;
    p->line++;
    if (size > (size_t)size_max - 1) {
        p->complaint_line = p->line;
        snprintf(p->complaint, sizeof p->complaint, "line %u: is longer than %d characters",
                 p->line, size_max - 2);
        return NULL;
    }
    memcpy(line, p->rest, size);
    line[size] = '\0';
    p->rest += size;
    return line;
}

enum cn_err cn_config_parse(struct cn_config *config, const char *text,
                            char complaint[CN_CONFIG_COMPLAINT_SIZE])
{
    struct parse p = { .rest = text };
    int bad_line;

    complaint[0] = '\0';
    cn_config_defaults(&p.config);
    bad_line = ini_parse_stream(read_line, &p, handle, &p);
    if (bad_line < 0)
        return CN_E_MEMORY;
    if (bad_line > 0 && (!p.complaint[0] || (unsigned)bad_line < p.complaint_line))
        snprintf(p.complaint, sizeof p.complaint,
                 "line %d: neither [section], key = value, nor a comment", bad_line);
    memcpy(complaint, p.complaint, sizeof p.complaint);
    if (complaint[0])
        return CN_E_FORMAT;
    *config = p.config;
    return CN_OK;
}

/* NULL: errno, or a complaint if it is not a file. Nobody is waited for who might write to a pipe.
 */
static FILE *file_open(const char *path, char complaint[CN_CONFIG_COMPLAINT_SIZE])
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    FILE *file = NULL;
    struct stat st;
    int saved;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
        snprintf(complaint, CN_CONFIG_COMPLAINT_SIZE, "not a regular file");
    else
        file = fdopen(fd, "r");
    if (file)
        return file;
    saved = errno;
    close(fd);
    errno = saved;
    return NULL;
}

enum cn_err cn_config_read(struct cn_config *config, const char *path,
                           char complaint[CN_CONFIG_COMPLAINT_SIZE])
{
    FILE *file;
    char *text = NULL;
    size_t size = 0;
    enum cn_err err = CN_E_SYSTEM;

    complaint[0] = '\0';
    file = file_open(path, complaint);
    if (!file && complaint[0])
        return CN_E_FORMAT;
    if (!file)
        return errno == ENOENT ? CN_E_ABSENT : CN_E_SYSTEM;
    text = malloc(FILE_SIZE_MAX + 1);
    if (text)
        size = fread(text, 1, FILE_SIZE_MAX + 1, file);
    if (!text) {
        err = CN_E_MEMORY;
    } else if (ferror(file)) {
        err = CN_E_SYSTEM;
    } else if (size > FILE_SIZE_MAX || memchr(text, '\0', size)) {
        snprintf(complaint, CN_CONFIG_COMPLAINT_SIZE, "not a configuration file: %s",
                 size > FILE_SIZE_MAX ? "over 64 KiB" : "it holds a NUL octet");
        err = CN_E_FORMAT;
    } else {
        text[size] = '\0';
        err = cn_config_parse(config, text, complaint);
    }
    free(text);
    fclose(file);
    return err;
}
