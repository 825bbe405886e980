/* core/reader.h itself: what reader_model.h says of it. Whatever the reader points to, no more than
 * what is left is touched; what is taken was there; and the end stays where it is. */
#include "any.h"

#include "reader.h"

/*@ predicate whole(struct cn_reader *r) =
      r->at != \null && \valid_read(r->at + (0 .. r->left - 1)); */

/*@ requires \valid(r) && whole(r);
    requires \separated(r, r->at + (0 .. r->left - 1));
    assigns r->at, r->left, r->short_read;
    ensures whole(r);
    ensures r->at + r->left == \old(r->at + r->left);
    ensures \result != \null ==> \result == \old(r->at) && r->at == \old(r->at) + size;
    ensures \result != \null ==> \valid_read(\result + (0 .. size - 1));
    ensures \result != \null ==> 0 < size <= \old(r->left);
    ensures \result == \null ==> r->at == \old(r->at) && r->left == \old(r->left);
    ensures \old(r->short_read) ==> r->short_read && \result == \null;
    ensures size > \old(r->left) ==> r->short_read && \result == \null;
    ensures !\old(r->short_read) && size <= \old(r->left) ==> !r->short_read;
    ensures !\old(r->short_read) && 0 < size <= \old(r->left) ==> \result != \null;
*/
static inline const uint8_t *cn_reader_take(struct cn_reader *r, size_t size);
