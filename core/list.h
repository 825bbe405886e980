/* list.h - doubly linked lists whose links lie in their members, each in one list or in none. */
#ifndef CN_LIST_H
#define CN_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct cn_link {
    struct cn_link *next; /* NULL: in no list */
    struct cn_link *previous;
};

struct cn_list {
    struct cn_link ends; /* next: the first; previous: the last; both itself when it is empty */
};

/* What a link lies in. */
#define CN_LIST_MEMBER(link, type, field) ((type *)(void *)((char *)(link)-offsetof(type, field)))

static inline void cn_list_init(struct cn_list *list)
{
    list->ends.next = list->ends.previous = &list->ends;
}

static inline bool cn_list_has(const struct cn_link *link)
{
    return link->next != NULL;
}

/* NULL: it is empty. */
static inline struct cn_link *cn_list_first(const struct cn_list *list)
{
    return list->ends.next == &list->ends ? NULL : list->ends.next;
}

/* NULL: link is the last. */
static inline struct cn_link *cn_list_next(const struct cn_list *list, const struct cn_link *link)
{
    return link->next == &list->ends ? NULL : link->next;
}

static inline void cn_list_append(struct cn_list *list, struct cn_link *link)
{
    link->next = &list->ends;
    link->previous = list->ends.previous;
    link->previous->next = link;
    list->ends.previous = link;
}

/* Harmless if it is in none. */
static inline void cn_list_remove(struct cn_link *link)
{
    if (!link->next)
        return;
    link->next->previous = link->previous;
    link->previous->next = link->next;
    link->next = link->previous = NULL;
}

/* At the end of that list, and of no other. */
static inline void cn_list_move(struct cn_list *list, struct cn_link *link)
{
    cn_list_remove(link);
    cn_list_append(list, link);
}

#endif
