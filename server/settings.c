#include "settings.h"

#include "sql.h"

static enum cn_err addresses_read(struct cn_registry *registry, const char *kind,
                                  char (*out)[CN_ADDRESS_SIZE_MAX + 1], size_t count_max,
                                  size_t *count)
{
    sqlite3_stmt *statement;
    size_t have = 0;
    enum cn_err err = cn_sql_prepare(
        registry, "SELECT address FROM address WHERE kind = ?1 ORDER BY place", &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_text(statement, 1, kind);
    while (err == CN_OK && cn_sql_next_row(registry, statement, &err)) {
        if (have == count_max || !cn_sql_text(statement, 0, out[have], CN_ADDRESS_SIZE_MAX))
            err = CN_E_FORMAT;
        have++;
    }
    sqlite3_finalize(statement);
    if (err == CN_OK && have == 0)
        err = CN_E_FORMAT;
    *count = have;
    return err;
}

/* 1 to count_max keys. */
static enum cn_err keys_read(struct cn_registry *registry, const char *sql, uint8_t *out,
                             size_t count_max, size_t *count)
{
    sqlite3_stmt *statement;
    size_t have = 0;
    enum cn_err err = cn_sql_prepare(registry, sql, &statement);

    if (err != CN_OK)
        return err;
    while (err == CN_OK && cn_sql_next_row(registry, statement, &err)) {
        if (have == count_max || !cn_sql_octets(statement, 0, out + have * 32, 32))
            err = CN_E_FORMAT;
        have++;
    }
    sqlite3_finalize(statement);
    if (err == CN_OK && have == 0)
        err = CN_E_FORMAT;
    *count = have;
    return err;
}

enum cn_err cn_settings_read(struct cn_registry *registry, struct cn_settings *settings)
{
    struct cn_settings s = { 0 };
    size_t one;
    enum cn_err err =
        addresses_read(registry, "listen", s.listen, CN_LISTEN_COUNT_MAX, &s.listen_count);

    if (err == CN_OK)
        err = addresses_read(registry, "public", s.public_address, CN_ADDRESS_COUNT_MAX,
                             &s.public_count);
    if (err == CN_OK)
        err = keys_read(registry, "SELECT public_key FROM operator ORDER BY place",
                        s.operators[0].bytes, CN_OPERATOR_COUNT_MAX, &s.operator_count);
    if (err == CN_OK)
        err = keys_read(registry, "SELECT public_key FROM server", s.server_key.bytes, 1, &one);
    if (err == CN_OK)
        *settings = s;
    return err;
}

static enum cn_err address_write(struct cn_registry *registry, const char *kind, size_t place,
                                 const char *address)
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(
        registry, "INSERT INTO address (kind, place, address) VALUES (?1, ?2, ?3)", &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_text(statement, 1, kind);
    cn_sql_bind_number(statement, 2, place);
    cn_sql_bind_text(statement, 3, address);
    return cn_sql_finish(registry, statement);
}

static enum cn_err key_write(struct cn_registry *registry, const char *sql, size_t place,
                             const uint8_t key[32])
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(registry, sql, &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_number(statement, 1, place);
    cn_sql_bind_octets(statement, 2, key, 32);
    return cn_sql_finish(registry, statement);
}

enum cn_err cn_settings_write(struct cn_registry *registry, const struct cn_settings *settings)
{
    enum cn_err err =
        cn_sql_execute(registry, "DELETE FROM address; DELETE FROM operator; DELETE FROM server;");

    for (size_t i = 0; err == CN_OK && i < settings->listen_count; i++)
        err = address_write(registry, "listen", i, settings->listen[i]);
    for (size_t i = 0; err == CN_OK && i < settings->public_count; i++)
        err = address_write(registry, "public", i, settings->public_address[i]);
    for (size_t i = 0; err == CN_OK && i < settings->operator_count; i++)
        err = key_write(registry, "INSERT INTO operator (place, public_key) VALUES (?1, ?2)", i,
                        settings->operators[i].bytes);
    if (err == CN_OK)
        err = key_write(registry, "INSERT INTO server (one, public_key) VALUES (?1, ?2)", 1,
                        settings->server_key.bytes);
    return err;
}
