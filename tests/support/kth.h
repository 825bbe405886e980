/* kth.h - for what is preloaded into a program and lets the k-th of some calls fail: counts what
 * the program named KTH_PROGRAM asks for, in the file KTH_COUNTS, and picks number KTH_AT of these;
 * with KTH_OWN, of those alone that the program itself asks for, and no library in its stead; with
 * KTH_BUT, of none that a library asks for in whose name this stands. */
#ifndef KTH_H
#define KTH_H

#include <stdbool.h>

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

/* Whether what this caller asked for is to fail, with this errno. */
bool kth_fails(const void *caller, int number);

#endif
