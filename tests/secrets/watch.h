/* watch.h - remembers every secret that a program has, and finds what is left of them in memory.
 *
 * Programs are linked with watch_core.c, which stands between those that make, take or derive
 * secrets and those that call them (--wrap). What is remembered, and where, is left out of the
 * search. */
#ifndef CN_TEST_WATCH_H
#define CN_TEST_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* What is found of a secret are 16 octets in a row, from a multiple of 16 on. */
enum { WATCH_PIECE_SIZE = 16 };

/* what: static. Pieces of few different octets are no secrets, and left out. */
void watch_add(const char *what, const void *octets, size_t size);
/* As it is from back to front: numbers lie in memory in the order of the machine. */
void watch_add_reversed(const char *what, const void *octets, size_t size);
size_t watch_count(void);
/* Any of them, for a plant. */
void watch_any(uint8_t out[WATCH_PIECE_SIZE]);
void watch_forget(void);

/* In how many places of this process's memory, registers included, or of another's (pid; 0: this
 * one), pieces are; each is told to out, unless that is NULL. SIZE_MAX: it cannot be looked at. */
size_t watch_find(pid_t pid, FILE *out);

/* All pieces but those of which what begins so, as lines of what and hexadecimal digits, and back.
 */
void watch_write(FILE *out, const char *but);
bool watch_read(FILE *in);

#endif
