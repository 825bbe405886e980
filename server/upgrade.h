/* upgrade.h - another program takes the server over: it is started in this process's place, and
 * finds the descriptors and processes that were ours. */
#ifndef CN_UPGRADE_H
#define CN_UPGRADE_H

#include "supervisor.h"

enum { CN_UPGRADE_VERSION = 5, CN_UPGRADE_WORD_SIZE = 64 };

/* What is handed on, in a file in memory. Of another version or size it is refused before anything
 * has ended: see cn_upgrade_check. */
struct cn_upgrade {
    uint32_t version;
    uint32_t size;
    struct cn_who_secret who_secret;
    uint64_t started_ms; /* monotonic */
    uint32_t lines_max;
    uint32_t lines_wanted; /* by the configuration of the first start */
    uint32_t state_number;
    int32_t dir;
    int32_t control;
    int32_t rate;    /* the bucket that workers share */
    int32_t metrics; /* -1: none */
    char metrics_listen[CN_CONFIG_LISTEN_SIZE];
    int32_t listener[CN_LISTENERS_MAX];
    uint32_t listener_count;
    uint32_t heir_count;
    struct cn_heir heir[CN_CHILDREN_MAX];
    struct cn_status past;
};

/* All versions that must be the same for a program to take over: of what is handed on, and of what
 * its processes say to those that go on. docs/decisions/0009 */
void cn_upgrade_word(char word[CN_UPGRADE_WORD_SIZE]);
/* Whether program, asked with these words, says that it could begin, and takes over from our
 * version; it has a while to say so. */
bool cn_upgrade_check(const char *program, char *const argv[]);
/* *fd, which stays open over exec. CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_upgrade_write(struct cn_upgrade *upgrade, int *fd);
/* What was handed on is not handed on to anybody else by accident: closed on exec. */
void cn_upgrade_keep(const struct cn_upgrade *upgrade);
/* Closes fd. CN_E_VERSION; CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_upgrade_read(struct cn_upgrade *upgrade, int fd);

#endif
