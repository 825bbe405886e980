/* queue.h - deliveries that wait for their contact: one file for each, in the home's `queue`,
 * written whole or not at all. Whoever is the user may put one there, and take one away. */
#ifndef CN_QUEUE_H
#define CN_QUEUE_H

#include <cyphernet.h>

enum {
    CN_DELIVERY_ID_SIZE = 7,
    CN_DELIVERY_REASON_SIZE = 512,
    CN_DELIVERY_TEXT_SIZE_MAX = 1 << 20,
    CN_DELIVERY_COUNT_MAX = 1024
};

struct cn_delivery {
    char id[CN_DELIVERY_ID_SIZE];
    char contact[65];
    uint64_t when_s; /* it was queued; UTC, seconds since 1970 */
    bool gitignore, compress;
    char failed[CN_DELIVERY_REASON_SIZE]; /* why it will not be tried again; empty: it will */
    const char *const *paths;             /* absolute */
    size_t path_count;
    const char *const *excludes;
    size_t exclude_count;
    char *text;          /* owned, and all that is above points into it; NULL: it is borrowed */
    const char **fields; /* owned likewise: the two arrays */
};

/* The text of a file, for free(), without the id. CN_E_MEMORY; CN_E_LIMIT: it is too long. */
CN_MUST_USE enum cn_err cn_delivery_encode(const struct cn_delivery *delivery, char **text,
                                           size_t *size);
/* text becomes the delivery's if it succeeds. CN_E_FORMAT, CN_E_VERSION, CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_delivery_decode(struct cn_delivery *delivery, char *text, size_t size);
void cn_delivery_wipe(struct cn_delivery *delivery);

bool cn_delivery_id_valid(const char *id);

/* Put it there; its id is made. CN_E_LIMIT: there are too many; CN_E_MEMORY; CN_E_SYSTEM (the
 * home's detail). */
CN_MUST_USE enum cn_err cn_queue_add(struct cn_home *home, struct cn_delivery *delivery);
/* In place of the one of this id, which is there. CN_E_ABSENT: it was taken away; else likewise. */
CN_MUST_USE enum cn_err cn_queue_replace(struct cn_home *home, const struct cn_delivery *delivery);
/* CN_E_ABSENT, CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_queue_remove(struct cn_home *home, const char *id);
/* One of them. Errors of reading a file. */
CN_MUST_USE enum cn_err cn_queue_read(struct cn_home *home, const char *id,
                                      struct cn_delivery *delivery);

/* What is for the contact that was called old is for what it is called now; *count: how many, or
 * how many of them had been done when it failed. CN_E_MEMORY, CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_queue_rename(struct cn_home *home, const char *old_name,
                                        const char *new_name, size_t *count);
/* How many wait for a contact; 0 where that cannot be seen. */
size_t cn_queue_count(struct cn_home *home, const char *contact);

/* All of them, the oldest first, in an array for cn_queue_free; one that cannot be read has only
 * its id, and failed says why. CN_E_MEMORY, CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_queue_list(struct cn_home *home, struct cn_delivery **list,
                                      size_t *count);
void cn_queue_free(struct cn_delivery *list, size_t count);

/* The directory; out holds PATH_MAX. */
void cn_queue_directory(const struct cn_home *home, char *out);

#endif
