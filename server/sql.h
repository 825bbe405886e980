/* sql.h - SQLite in the project's terms: what registry.c, settings.c and notices.c stand on. Nobody
 * else includes this.
 *
 * Errors: CN_E_SYSTEM (errno says why), CN_E_FORMAT (also from SQL text of ours: the tables are not
 * ours), CN_E_EXISTS (a constraint), CN_E_MEMORY. */
#ifndef CN_SQL_H
#define CN_SQL_H

#include <sqlite3.h>

#include "registry.h"

struct cn_registry {
    sqlite3 *db; /* owned */
};

/* What a code of SQLite means; sets errno for CN_E_SYSTEM. db may be NULL. */
CN_MUST_USE enum cn_err cn_sql_failure(sqlite3 *db, int code);
CN_MUST_USE enum cn_err cn_sql_execute(struct cn_registry *registry, const char *sql);
/* On CN_OK the caller owns the statement: for cn_sql_finish or sqlite3_finalize. */
CN_MUST_USE enum cn_err cn_sql_prepare(struct cn_registry *registry, const char *sql,
                                       sqlite3_stmt **statement);
/* Run to the end what returns no row. Consumes the statement. */
CN_MUST_USE enum cn_err cn_sql_finish(struct cn_registry *registry, sqlite3_stmt *statement);
/* True: there is a row. *err is CN_OK at the end of the rows, too. */
bool cn_sql_next_row(struct cn_registry *registry, sqlite3_stmt *statement, enum cn_err *err);
/* What one number sql asks for. */
CN_MUST_USE enum cn_err cn_sql_one_number(struct cn_registry *registry, const char *sql,
                                          uint64_t *number);

/* Fill element from the row; false: the row is not ours. */
typedef bool cn_sql_take(sqlite3_stmt *statement, void *element);
/* All rows, as a list of elements that the caller frees; NULL if there are none. Consumes the
 * statement. */
CN_MUST_USE enum cn_err cn_sql_list(struct cn_registry *registry, sqlite3_stmt *statement,
                                    cn_sql_take *take, size_t element_size, void **list,
                                    size_t *count);

/* Begin a change of several statements, alone or inside a transaction. Alone it takes the right to
 * write at once: to ask for it after having read fails if another has written in between. */
CN_MUST_USE enum cn_err cn_sql_change_begin(struct cn_registry *registry, bool *alone);
/* Keep it, or undo all of it if there was an error, which is returned. */
CN_MUST_USE enum cn_err cn_sql_change_end(struct cn_registry *registry, bool alone,
                                          enum cn_err err);

/* Places count from 1. What is bound is borrowed until the statement is gone. */
void cn_sql_bind_number(sqlite3_stmt *statement, int place, uint64_t value);
void cn_sql_bind_octets(sqlite3_stmt *statement, int place, const uint8_t *octets, int size);
void cn_sql_bind_text(sqlite3_stmt *statement, int place, const char *text);

/* Columns count from 0. */
uint64_t cn_sql_number(sqlite3_stmt *statement, int place);
/* False unless the column holds exactly size octets. */
bool cn_sql_octets(sqlite3_stmt *statement, int place, uint8_t *out, size_t size);
/* False unless the column is a text of at most size_max octets without a NUL. */
bool cn_sql_text(sqlite3_stmt *statement, int place, char *out, size_t size_max);

#endif
