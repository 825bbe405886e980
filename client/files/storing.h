/* storing.h - sealed parts get their names, many of them at once, and are on disk then.
 *
 *   begin -> wait -> name -> wait -> end
 *
 * Only wait waits for the disk, which may take minutes; it touches nothing but what is here, so
 * another thread may do it while the owner of the place goes on. One such goes on at a time. */
#ifndef CN_STORING_H
#define CN_STORING_H

#include "part.h"

enum { CN_STORING_ALONE_COUNT = 4 /* up to so many parts are synced one by one */ };

struct cn_storing {
    /* of directories and links that were made before: CN_OK is on disk */
    enum cn_err err;
    int error;

    /* for storing.c */
    struct cn_place *place;       /* borrowed */
    struct cn_part *const *parts; /* borrowed, until the end */
    size_t count;
    int root;
    bool together;  /* all of the place's file system is synced at once; else one by one */
    bool was_dirty; /* something else is to be on disk */
    bool is_named;
    bool is_synced; /* what the last wait was for */
    int parents[CN_STORING_ALONE_COUNT];
};

/* parts: sealed, of one place, whose outcomes will be in their err and error: CN_OK; CN_E_EXISTS:
 * the name has been taken meanwhile; CN_E_SYSTEM. count 0: there are only directories and links. */
void cn_storing_begin(struct cn_storing *storing, struct cn_place *place,
                      struct cn_part *const *parts, size_t count);
void cn_storing_wait(struct cn_storing *storing);
void cn_storing_name(struct cn_storing *storing);
void cn_storing_end(struct cn_storing *storing);
/* All of that, here and now. A call costs two waits for the disk, whatever the count: a thousand
 * small files together are well spent, or a second's. */
void cn_storing_all(struct cn_place *place, struct cn_part *const *parts, size_t count);

#endif
