#include "notices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"

static const uint8_t everybody[CN_X25519_SIZE] = { 0 };

/* --- numbers --------------------------------------------------------------------------------- */

static enum cn_err number_write(struct cn_registry *registry, const char *sql, uint64_t number)
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(registry, sql, &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_number(statement, 1, number);
    return cn_sql_finish(registry, statement);
}

enum cn_err cn_notices_number(struct cn_registry *registry, uint64_t *number)
{
    return cn_sql_one_number(registry, "SELECT issued FROM counter", number);
}

enum cn_err cn_notices_number_next(struct cn_registry *registry, uint64_t now, uint64_t *number)
{
    uint64_t last = 0;
    enum cn_err err = cn_notices_number(registry, &last);

    if (err != CN_OK)
        return err;
    last = now > last ? now : last + 1;
    err = number_write(registry, "UPDATE counter SET issued = ?1", last);
    if (err == CN_OK)
        *number = last;
    return err;
}

/* --- keeping --------------------------------------------------------------------------------- */

static enum cn_err put(struct cn_registry *registry, const uint8_t admission_key[CN_X25519_SIZE],
                       uint64_t number, uint64_t serial, const uint8_t *octets, size_t size)
{
    sqlite3_stmt *statement;
    enum cn_err err =
        cn_sql_prepare(registry,
                       "INSERT OR REPLACE INTO notice (admission_key, number, serial, octets)"
                       " VALUES (?1, ?2, ?3, ?4)",
                       &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_octets(statement, 1, admission_key, CN_X25519_SIZE);
    cn_sql_bind_number(statement, 2, number);
    cn_sql_bind_number(statement, 3, serial);
    cn_sql_bind_octets(statement, 4, octets, (int)size);
    return cn_sql_finish(registry, statement);
}

enum cn_err cn_notices_hold(struct cn_registry *registry, const struct cn_held_notice *notice)
{
    return put(registry, notice->admission_key, notice->number, notice->serial, notice->octets,
               notice->size);
}

enum cn_err cn_notices_hold_common(struct cn_registry *registry,
                                   const struct cn_common_notice *notice)
{
    if (notice->size == 0)
        return cn_sql_execute(registry, "DELETE FROM notice WHERE admission_key = zeroblob(32)");
    return put(registry, everybody, notice->number, 0, notice->octets, notice->size);
}

/* --- reading --------------------------------------------------------------------------------- */

/* The octets of a row; false: more than there may be. */
static bool row_octets(sqlite3_stmt *statement, uint8_t *out, size_t size_max, uint16_t *size)
{
    int have = sqlite3_column_bytes(statement, 3);

    if (have <= 0 || (size_t)have > size_max)
        return false;
    *size = (uint16_t)have;
    return cn_sql_octets(statement, 3, out, (size_t)have);
}

static bool row_held(sqlite3_stmt *statement, void *element)
{
    struct cn_held_notice *n = element;

    n->number = cn_sql_number(statement, 1);
    n->serial = cn_sql_number(statement, 2);
    return cn_sql_octets(statement, 0, n->admission_key, CN_X25519_SIZE) &&
           row_octets(statement, n->octets, sizeof n->octets, &n->size);
}

/* Public keys: the time that this takes tells nothing that is secret. */
static int by_key(const void *a, const void *b)
{
    return memcmp(((const struct cn_held_notice *)a)->admission_key,
                  ((const struct cn_held_notice *)b)->admission_key, CN_X25519_SIZE);
}

/* The file is read from one end to the other, and sorted here: going through it in another order
 * takes many times as long. Each that is put has the highest rowid, so these tell their age. */
static enum cn_err held_read(struct cn_registry *registry, struct cn_held_notice **held,
                             size_t *count)
{
    sqlite3_stmt *statement;
    void *all = NULL;
    enum cn_err err = cn_sql_prepare(registry,
                                     "SELECT admission_key, number, serial, octets FROM notice"
                                     " WHERE admission_key <> zeroblob(32) AND admission_key NOT IN"
                                     " (SELECT admission_key FROM subscriber WHERE status <> 0)"
                                     " ORDER BY rowid DESC LIMIT ?1",
                                     &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_number(statement, 1, CN_NOTICE_COUNT_MAX);
    err = cn_sql_list(registry, statement, row_held, sizeof **held, &all, count);
    if (err != CN_OK)
        return err;
    if (*count > 0)
        qsort(all, *count, sizeof **held, by_key);
    *held = all;
    return CN_OK;
}

static enum cn_err common_read(struct cn_registry *registry, struct cn_common_notice *common)
{
    struct cn_common_notice c = { 0 };
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(registry,
                                     "SELECT admission_key, number, serial, octets FROM notice"
                                     " WHERE admission_key = zeroblob(32)",
                                     &statement);

    if (err != CN_OK)
        return err;
    if (cn_sql_next_row(registry, statement, &err)) {
        c.number = cn_sql_number(statement, 1);
        if (!row_octets(statement, c.octets, sizeof c.octets, &c.size))
            err = CN_E_FORMAT;
    }
    sqlite3_finalize(statement);
    if (err == CN_OK)
        *common = c;
    return err;
}

enum cn_err cn_notices_read(struct cn_registry *registry, struct cn_held_notice **held,
                            size_t *count, struct cn_common_notice *common)
{
    enum cn_err err = common_read(registry, common);

    return err == CN_OK ? held_read(registry, held, count) : err;
}

/* --- what comes from elsewhere ---------------------------------------------------------------- */

static enum cn_err blocked_put(struct cn_registry *registry, const struct cn_blocked *blocked)
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(
        registry, "INSERT INTO imported (serial, admission_key, status) VALUES (?1, ?2, ?3)",
        &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_number(statement, 1, blocked->serial);
    cn_sql_bind_octets(statement, 2, blocked->admission_key, CN_X25519_SIZE);
    cn_sql_bind_number(statement, 3,
                       blocked->reason == CN_VERDICT_REVOKED ? CN_SUBSCRIBER_REVOKED
                                                             : CN_SUBSCRIBER_SUSPENDED);
    return cn_sql_finish(registry, statement);
}

static enum cn_err import(struct cn_registry *registry, const struct cn_imported *imported)
{
    uint64_t last = 0;
    enum cn_err err = cn_sql_one_number(registry, "SELECT imported FROM counter", &last);

    if (err == CN_OK && imported->number < last)
        return CN_E_KNOWN;
    if (err == CN_OK)
        err = cn_sql_execute(registry, "DELETE FROM imported; DELETE FROM notice;");
    for (size_t i = 0; err == CN_OK && i < imported->blocked_count; i++)
        err = blocked_put(registry, &imported->blocked[i]);
    for (size_t i = 0; err == CN_OK && i < imported->held_count; i++)
        err = cn_notices_hold(registry, &imported->held[i]);
    if (err == CN_OK)
        err = cn_notices_hold_common(registry, &imported->common);
    if (err == CN_OK)
        err = number_write(registry, "UPDATE counter SET imported = ?1", imported->number);
    return err;
}

enum cn_err cn_notices_import(struct cn_registry *registry, const struct cn_imported *imported)
{
    bool alone;
    enum cn_err err = cn_sql_change_begin(registry, &alone);

    return err == CN_OK ? cn_sql_change_end(registry, alone, import(registry, imported)) : err;
}
