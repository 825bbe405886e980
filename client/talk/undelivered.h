/* undelivered.h - for talk.c: what of a talk is kept; and what becomes of that when its contact is
 * looked after. */
#ifndef CN_UNDELIVERED_H
#define CN_UNDELIVERED_H

#include "undelivered_book.h"

/* The oldest line that is not said in this talk yet; NULL: there is none. */
const struct cn_undelivered_line *cn_undelivered_unsaid(const struct cn_undelivered *undelivered);
/* It is said. */
void cn_undelivered_said(struct cn_undelivered *undelivered);
/* Where the first line that is added in this talk would be. */
void cn_undelivered_own(const struct cn_undelivered *undelivered, struct cn_series_place *place);
/* A line that is to be said now is kept, behind all others. CN_E_FULL: too many are;
 * CN_E_MEMORY. That it does not get to the disk is for cn_undelivered_check to tell. */
CN_MUST_USE enum cn_err cn_undelivered_add(struct cn_undelivered *undelivered, const char *text,
                                           size_t size);
/* So many of the lines that were said in this talk are delivered. */
void cn_undelivered_delivered(struct cn_undelivered *undelivered, uint64_t count);
/* The partner has said of what series its lines are. */
void cn_undelivered_partner_keeps(struct cn_undelivered *undelivered);
/* A line of the partner's: whether it was taken in an earlier talk; and that it is taken. */
bool cn_undelivered_has_heard(const struct cn_undelivered *undelivered,
                              const struct cn_series_place *place);
void cn_undelivered_heard(struct cn_undelivered *undelivered, const struct cn_series_place *place);

/* CN_OK also where there is none. CN_E_EXISTS: there is one of the new name; errors of
 * cn_undelivered_open. */
CN_MUST_USE enum cn_err cn_undelivered_rename(struct cn_home *home, const char *old_name,
                                              const char *new_name);
CN_MUST_USE enum cn_err cn_undelivered_remove(struct cn_home *home, const char *name);

#endif
