#include "sql.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum cn_err cn_sql_failure(sqlite3 *db, int code)
{
    static const struct {
        int code;
        enum cn_err err;
        int number;
    } rows[] = {
        { SQLITE_FULL, CN_E_SYSTEM, ENOSPC },    { SQLITE_READONLY, CN_E_SYSTEM, EROFS },
        { SQLITE_BUSY, CN_E_SYSTEM, EBUSY },     { SQLITE_LOCKED, CN_E_SYSTEM, EBUSY },
        { SQLITE_PERM, CN_E_SYSTEM, EACCES },    { SQLITE_AUTH, CN_E_SYSTEM, EACCES },
        { SQLITE_CORRUPT, CN_E_FORMAT, EIO },    { SQLITE_NOTADB, CN_E_FORMAT, EIO },
        { SQLITE_NOMEM, CN_E_MEMORY, ENOMEM },   { SQLITE_CONSTRAINT, CN_E_EXISTS, EEXIST },
        { SQLITE_MISMATCH, CN_E_FORMAT, EIO },   { SQLITE_ERROR, CN_E_FORMAT, EIO },
        { SQLITE_PROTOCOL, CN_E_SYSTEM, EBUSY },
    };
    int number = db ? sqlite3_system_errno(db) : 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == (code & 0xff)) {
            errno = rows[i].number;
            return rows[i].err;
        }
    }
    errno = number != 0 ? number : EIO; /* SQLITE_IOERR, SQLITE_CANTOPEN */
    return CN_E_SYSTEM;
}

enum cn_err cn_sql_execute(struct cn_registry *registry, const char *sql)
{
    int code = sqlite3_exec(registry->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? CN_OK : cn_sql_failure(registry->db, code);
}

enum cn_err cn_sql_prepare(struct cn_registry *registry, const char *sql, sqlite3_stmt **statement)
{
    int code = sqlite3_prepare_v2(registry->db, sql, -1, statement, NULL);

    return code == SQLITE_OK ? CN_OK : cn_sql_failure(registry->db, code);
}

enum cn_err cn_sql_finish(struct cn_registry *registry, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    enum cn_err err = code == SQLITE_DONE ? CN_OK : cn_sql_failure(registry->db, code);

    sqlite3_finalize(statement);
    return err;
}

bool cn_sql_next_row(struct cn_registry *registry, sqlite3_stmt *statement, enum cn_err *err)
{
    int code = sqlite3_step(statement);

    *err = code == SQLITE_ROW || code == SQLITE_DONE ? CN_OK : cn_sql_failure(registry->db, code);
    return code == SQLITE_ROW;
}

enum cn_err cn_sql_one_number(struct cn_registry *registry, const char *sql, uint64_t *number)
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(registry, sql, &statement);

    if (err != CN_OK)
        return err;
    if (cn_sql_next_row(registry, statement, &err))
        *number = cn_sql_number(statement, 0);
    else if (err == CN_OK)
        err = CN_E_FORMAT;
    sqlite3_finalize(statement);
    return err;
}

/* The list with room for one element more than count; NULL leaves it as it was. Room is made at
 * powers of two, so that filling a list takes linear time. */
static void *grow(void *list, size_t count, size_t element_size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return list;
    return reallocarray(list, count == 0 ? 1 : 2 * count, element_size);
}

enum cn_err cn_sql_list(struct cn_registry *registry, sqlite3_stmt *statement, cn_sql_take *take,
                        size_t element_size, void **list, size_t *count)
{
    void *all = NULL;
    size_t have = 0;
    enum cn_err err = CN_OK;

    while (err == CN_OK && cn_sql_next_row(registry, statement, &err)) {
        void *larger = grow(all, have, element_size);

        if (larger)
            all = larger;
        if (!larger)
            err = CN_E_MEMORY;
        else if (!take(statement, (uint8_t *)all + have++ * element_size))
            err = CN_E_FORMAT;
    }
    sqlite3_finalize(statement);
    if (err != CN_OK) {
        free(all);
        return err;
    }
    *list = all;
    *count = have;
    return CN_OK;
}

void cn_sql_bind_number(sqlite3_stmt *statement, int place, uint64_t value)
{
    sqlite3_bind_int64(statement, place, (sqlite3_int64)value); /* fails only on a wrong place */
}

void cn_sql_bind_octets(sqlite3_stmt *statement, int place, const uint8_t *octets, int size)
{
    sqlite3_bind_blob(statement, place, octets, size, SQLITE_STATIC);
}

void cn_sql_bind_text(sqlite3_stmt *statement, int place, const char *text)
{
    sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
}

uint64_t cn_sql_number(sqlite3_stmt *statement, int place)
{
    return (uint64_t)sqlite3_column_int64(statement, place);
}

bool cn_sql_octets(sqlite3_stmt *statement, int place, uint8_t *out, size_t size)
{
    const void *bytes = sqlite3_column_blob(statement, place);

    if (!bytes || (size_t)sqlite3_column_bytes(statement, place) != size)
        return false;
    memcpy(out, bytes, size);
    return true;
}

bool cn_sql_text(sqlite3_stmt *statement, int place, char *out, size_t size_max)
{
    const unsigned char *text = sqlite3_column_text(statement, place);
    size_t size = (size_t)sqlite3_column_bytes(statement, place);

    if (!text || size > size_max || memchr(text, '\0', size))
        return false;
    memcpy(out, text, size);
    out[size] = '\0';
    return true;
}

enum cn_err cn_sql_change_begin(struct cn_registry *registry, bool *alone)
{
    *alone = sqlite3_get_autocommit(registry->db) != 0;
    return cn_sql_execute(registry, *alone ? "BEGIN IMMEDIATE" : "SAVEPOINT change");
}

enum cn_err cn_sql_change_end(struct cn_registry *registry, bool alone, enum cn_err err)
{
    int saved;

    if (err == CN_OK)
        err = cn_sql_execute(registry, alone ? "COMMIT" : "RELEASE change");
    if (err == CN_OK)
        return CN_OK;
    saved = errno;
    (void)sqlite3_exec(registry->db, alone ? "ROLLBACK" : "ROLLBACK TO change; RELEASE change",
                       NULL, NULL, NULL);
    errno = saved;
    return err;
}
