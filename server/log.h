/* log.h - the server's log: one event a line, key=value, to stderr. No other file prints. A line
 * for which stderr has no room is lost, and counted; the next that has room tells how many were. */
#ifndef CN_LOG_H
#define CN_LOG_H

/* event is a word; format makes further key=value pairs, or is NULL. Nobody's name or address goes
 * in unless the configuration says so: the callers see to it. */
void cn_log(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
