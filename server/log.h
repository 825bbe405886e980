/* log.h - the server's log: one event a line, key=value or JSON, to stderr. No other file prints. A
 * line for which stderr has no room is lost, and counted; the next that has room tells how many
 * were. */
#ifndef CN_LOG_H
#define CN_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum cn_log_level {
    CN_LOG_FAILURES, /* all that --quiet leaves */
    CN_LOG_EVENTS,
    CN_LOG_DETAILS /* with --verbose */
};

/* What is said from now on: this level and those before it. CN_LOG_EVENTS until set. */
void cn_log_level_set(enum cn_log_level wanted);
enum cn_log_level cn_log_level(void);

/* How lines look; bits. */
enum { CN_LOG_JSON = 1, CN_LOG_JOURNAL = 2 /* with <N>, the priority, as sd-daemon(3) has it */ };

void cn_log_style_set(uint32_t style);
uint32_t cn_log_style(void);
/* Whether stderr is the journal's, by the JOURNAL_STREAM that it gave us. */
bool cn_log_is_journal(void);

/* event is a word; format makes further key=value pairs, or is NULL. Nobody's name or address goes
 * in unless the configuration says so: the callers see to it. */
void cn_log_at(enum cn_log_level at, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define cn_log(...) cn_log_at(CN_LOG_EVENTS, __VA_ARGS__)

#endif
