#include "registry.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "keyfile.h"
#include "sql.h"

enum {
    APPLICATION_ID = 0x43794e74, /* CyNt */
    SCHEMA_VERSION = 2,
    BUSY_TIMEOUT_MS = 5000
};

static const char schema[] =
    "CREATE TABLE address (kind TEXT NOT NULL CHECK (kind IN ('listen', 'public')),"
    " place INTEGER NOT NULL, address TEXT NOT NULL, PRIMARY KEY (kind, place)) STRICT;"
    "CREATE TABLE operator (place INTEGER PRIMARY KEY,"
    " public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32)) STRICT;"
    "CREATE TABLE server (one INTEGER PRIMARY KEY CHECK (one = 1),"
    " public_key BLOB NOT NULL CHECK (length(public_key) = 32)) STRICT;"
    "CREATE TABLE subscriber (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL,"
    " admission_key BLOB NOT NULL UNIQUE CHECK (length(admission_key) = 32),"
    " status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 2),"
    " created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL) STRICT;"
    /* a label is free again once its subscriber has been revoked (2) */
    "CREATE UNIQUE INDEX subscriber_label ON subscriber (label) WHERE status <> 2;"
    "CREATE TABLE certificate (place INTEGER PRIMARY KEY AUTOINCREMENT,"
    " serial INTEGER NOT NULL UNIQUE CHECK (serial > 0),"
    " subscriber INTEGER NOT NULL REFERENCES subscriber (id),"
    " not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,"
    " limits_class INTEGER NOT NULL CHECK (limits_class BETWEEN 0 AND 255),"
    " signature BLOB NOT NULL CHECK (length(signature) = 64),"
    " issued_at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX certificate_subscriber ON certificate (subscriber);";

/* What version 2 has more than version 1. */
static const char schema_since_1[] =
    "CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), issued INTEGER NOT NULL,"
    " imported INTEGER NOT NULL) STRICT; INSERT INTO counter VALUES (1, 0, 0);"
    /* for everybody, if the key is zeros */
    "CREATE TABLE notice (admission_key BLOB PRIMARY KEY CHECK (length(admission_key) = 32),"
    " number INTEGER NOT NULL CHECK (number > 0), serial INTEGER NOT NULL,"
    " octets BLOB NOT NULL) STRICT;"
    /* blocked by an operator elsewhere */
    "CREATE TABLE imported (serial INTEGER PRIMARY KEY,"
    " admission_key BLOB NOT NULL CHECK (length(admission_key) = 32),"
    " status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 2)) STRICT;";

/* One row of all that a subscriber is, with the certificate issued last. */
#define SUBSCRIBER_COLUMNS \
    "SELECT s.id, s.label, s.status, s.created_at, s.changed_at, c.issued_at, c.serial," \
    " s.admission_key, c.not_before, c.not_after, c.limits_class, c.signature" \
    " FROM subscriber s JOIN certificate c ON c.place = (SELECT max(place) FROM certificate" \
    " WHERE subscriber = s.id) "

const char *cn_subscriber_status_name(enum cn_subscriber_status status)
{
    static const char *const names[CN_SUBSCRIBER_STATUS_COUNT] = {
        [CN_SUBSCRIBER_ACTIVE] = "active",
        [CN_SUBSCRIBER_SUSPENDED] = "suspended",
        [CN_SUBSCRIBER_REVOKED] = "revoked",
    };

    return names[status];
}

static enum cn_err marks_write(struct cn_registry *registry)
{
    char marks[96];

    snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION_ID, SCHEMA_VERSION);
    return cn_sql_execute(registry, marks);
}

/* From version 1; another process may do the same. */
static enum cn_err schema_upgrade(struct cn_registry *registry)
{
    uint64_t version = 0;
    enum cn_err err = cn_sql_execute(registry, "BEGIN IMMEDIATE");

    if (err == CN_OK)
        err = cn_sql_one_number(registry, "PRAGMA user_version", &version);
    if (err == CN_OK && version == 1)
        err = cn_sql_execute(registry, schema_since_1);
    if (err == CN_OK && version == 1)
        err = marks_write(registry);
    return err == CN_OK ? cn_sql_execute(registry, "COMMIT") : err;
}

static enum cn_err schema_check(struct cn_registry *registry)
{
    uint64_t application = 0;
    uint64_t version = 0;
    enum cn_err err = cn_sql_one_number(registry, "PRAGMA application_id", &application);

    if (err == CN_OK)
        err = cn_sql_one_number(registry, "PRAGMA user_version", &version);
    if (err != CN_OK)
        return err;
    if (application != APPLICATION_ID)
        return CN_E_FORMAT;
    if (version == 1)
        return schema_upgrade(registry);
    return version == SCHEMA_VERSION ? CN_OK : CN_E_VERSION;
}

static enum cn_err schema_create(struct cn_registry *registry)
{
    enum cn_err err = cn_sql_execute(registry, "BEGIN EXCLUSIVE");

    if (err == CN_OK)
        err = cn_sql_execute(registry, schema);
    if (err == CN_OK)
        err = cn_sql_execute(registry, schema_since_1);
    if (err == CN_OK)
        err = marks_write(registry);
    return err == CN_OK ? cn_sql_execute(registry, "COMMIT") : err;
}

/* Nothing in the file may run code or write outside itself; a commit is on the disk. */
static enum cn_err connection_prepare(struct cn_registry *registry)
{
    sqlite3_busy_timeout(registry->db, BUSY_TIMEOUT_MS);
    sqlite3_extended_result_codes(registry->db, 1);
    sqlite3_db_config(registry->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(registry->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return cn_sql_execute(registry, "PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL;"
                                    "PRAGMA synchronous = FULL;");
}

/* SQLite gives a file the mode it finds; nobody else needs to read who the subscribers are. */
static enum cn_err file_create(const char *path)
{
    FILE *made = fopen(path, "wxe");

    if (!made)
        return errno == EEXIST ? CN_E_EXISTS : CN_E_SYSTEM;
    fclose(made);
    return chmod(path, 0600) == 0 ? CN_OK : CN_E_SYSTEM;
}

static enum cn_err file_check(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? CN_E_ABSENT : CN_E_SYSTEM;
    return S_ISREG(st.st_mode) && st.st_size > 0 ? CN_OK : CN_E_FORMAT;
}

enum cn_err cn_registry_open(struct cn_registry **registry, const char *dir, bool create)
{
    char path[PATH_MAX];
    struct cn_registry *r;
    enum cn_err err;
    int code;

    errno = ENAMETOOLONG;
    if (snprintf(path, sizeof path, "%s/%s", dir, CN_REGISTRY_FILE) >= (int)sizeof path)
        return CN_E_SYSTEM;
    err = create ? file_create(path) : file_check(path);
    if (err != CN_OK)
        return err;
    r = calloc(1, sizeof *r);
    if (!r)
        return CN_E_MEMORY;
    code = sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE, NULL);
    err = code == SQLITE_OK ? CN_OK : cn_sql_failure(r->db, code);
    if (err == CN_OK)
        err = connection_prepare(r);
    if (err == CN_OK)
        err = create ? schema_create(r) : schema_check(r);
    if (err != CN_OK) {
        cn_registry_close(r);
        return err;
    }
    *registry = r;
    return CN_OK;
}

void cn_registry_close(struct cn_registry *registry)
{
    int saved = errno;

    if (!registry)
        return;
    sqlite3_close(registry->db);
    free(registry);
    errno = saved;
}

enum cn_err cn_registry_begin(struct cn_registry *registry)
{
    return cn_sql_execute(registry, "BEGIN IMMEDIATE");
}

enum cn_err cn_registry_commit(struct cn_registry *registry)
{
    return cn_sql_execute(registry, "COMMIT");
}

static bool row_blocked(sqlite3_stmt *statement, void *element)
{
    struct cn_blocked *blocked = element;

    blocked->serial = cn_sql_number(statement, 0);
    blocked->reason = sqlite3_column_int(statement, 2) == CN_SUBSCRIBER_REVOKED
                          ? CN_VERDICT_REVOKED
                          : CN_VERDICT_SUSPENDED;
    return cn_sql_octets(statement, 1, blocked->admission_key, sizeof blocked->admission_key);
}

enum cn_err cn_registry_blocked(struct cn_registry *registry, struct cn_blocked **list,
                                size_t *count)
{
    sqlite3_stmt *statement;
    void *all = NULL;
    enum cn_err err = cn_sql_prepare(registry,
                                     "SELECT c.serial, s.admission_key, s.status FROM subscriber s"
                                     " CROSS JOIN certificate c ON c.subscriber = s.id"
                                     " WHERE s.status <> 0 UNION ALL"
                                     " SELECT serial, admission_key, status FROM imported"
                                     " ORDER BY 1",
                                     &statement);

    if (err != CN_OK)
        return err;
    err = cn_sql_list(registry, statement, row_blocked, sizeof **list, &all, count);
    if (err == CN_OK)
        *list = all;
    return err;
}

/* The columns of SUBSCRIBER_COLUMNS. */
static bool row_subscriber(sqlite3_stmt *statement, void *element)
{
    struct cn_subscriber *out = element;
    struct cn_subscriber s = { .id = cn_sql_number(statement, 0) };
    int status = sqlite3_column_int(statement, 2);
    uint64_t limits_class = cn_sql_number(statement, 10);

    s.created_at = cn_sql_number(statement, 3);
    s.changed_at = cn_sql_number(statement, 4);
    s.issued_at = cn_sql_number(statement, 5);
    s.certificate.serial = cn_sql_number(statement, 6);
    s.certificate.not_before = cn_sql_number(statement, 8);
    s.certificate.not_after = cn_sql_number(statement, 9);
    if (!cn_sql_text(statement, 1, s.label, CN_NAME_SIZE_MAX) || !cn_label_valid(s.label) ||
        status < 0 || status >= CN_SUBSCRIBER_STATUS_COUNT || limits_class > UINT8_MAX ||
        !cn_sql_octets(statement, 7, s.certificate.admission_key, CN_X25519_SIZE) ||
        !cn_sql_octets(statement, 11, s.certificate.signature, CN_ED25519_SIGNATURE_SIZE))
        return false;
    s.status = (enum cn_subscriber_status)status;
    s.certificate.limits_class = (uint8_t)limits_class;
    *out = s;
    return true;
}

enum cn_err cn_registry_list(struct cn_registry *registry, struct cn_subscriber **list,
                             size_t *count)
{
    sqlite3_stmt *statement;
    void *all = NULL;
    enum cn_err err =
        cn_sql_prepare(registry, SUBSCRIBER_COLUMNS "ORDER BY s.label, s.id", &statement);

    if (err != CN_OK)
        return err;
    err = cn_sql_list(registry, statement, row_subscriber, sizeof **list, &all, count);
    if (err == CN_OK)
        *list = all;
    return err;
}

/* The first row, or CN_E_ABSENT. Consumes the statement. */
static enum cn_err find(struct cn_registry *registry, sqlite3_stmt *statement,
                        struct cn_subscriber *subscriber)
{
    enum cn_err err;

    if (cn_sql_next_row(registry, statement, &err))
        err = row_subscriber(statement, subscriber) ? CN_OK : CN_E_FORMAT;
    else if (err == CN_OK)
        err = CN_E_ABSENT;
    sqlite3_finalize(statement);
    return err;
}

enum cn_err cn_registry_find_label(struct cn_registry *registry, const char *label,
                                   struct cn_subscriber *subscriber)
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(
        registry,
        SUBSCRIBER_COLUMNS "WHERE s.label = ?1 ORDER BY s.status = 2, s.changed_at DESC, s.id DESC",
        &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_text(statement, 1, label);
    return find(registry, statement, subscriber);
}

enum cn_err cn_registry_find_serial(struct cn_registry *registry, uint64_t serial,
                                    struct cn_subscriber *subscriber)
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(
        registry,
        SUBSCRIBER_COLUMNS "WHERE s.id = (SELECT subscriber FROM certificate WHERE serial = ?1)",
        &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_number(statement, 1, serial);
    return find(registry, statement, subscriber);
}

enum cn_err cn_registry_find_key(struct cn_registry *registry,
                                 const uint8_t admission_key[CN_X25519_SIZE],
                                 struct cn_subscriber *subscriber)
{
    sqlite3_stmt *statement;
    enum cn_err err =
        cn_sql_prepare(registry, SUBSCRIBER_COLUMNS "WHERE s.admission_key = ?1", &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_octets(statement, 1, admission_key, CN_X25519_SIZE);
    return find(registry, statement, subscriber);
}

static enum cn_err certificate_add(struct cn_registry *registry,
                                   const struct cn_subscriber *subscriber)
{
    const struct cn_certificate *c = &subscriber->certificate;
    sqlite3_stmt *statement;
    enum cn_err err =
        cn_sql_prepare(registry,
                       "INSERT INTO certificate (serial, subscriber, not_before, not_after,"
                       " limits_class, signature, issued_at)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                       &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_number(statement, 1, c->serial);
    cn_sql_bind_number(statement, 2, subscriber->id);
    cn_sql_bind_number(statement, 3, c->not_before);
    cn_sql_bind_number(statement, 4, c->not_after);
    cn_sql_bind_number(statement, 5, c->limits_class);
    cn_sql_bind_octets(statement, 6, c->signature, CN_ED25519_SIGNATURE_SIZE);
    cn_sql_bind_number(statement, 7, subscriber->issued_at);
    return cn_sql_finish(registry, statement);
}

static enum cn_err subscriber_add(struct cn_registry *registry, struct cn_subscriber *subscriber)
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(
        registry,
        "INSERT INTO subscriber (label, admission_key, status, created_at, changed_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5)",
        &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_text(statement, 1, subscriber->label);
    cn_sql_bind_octets(statement, 2, subscriber->certificate.admission_key, CN_X25519_SIZE);
    cn_sql_bind_number(statement, 3, subscriber->status);
    cn_sql_bind_number(statement, 4, subscriber->created_at);
    cn_sql_bind_number(statement, 5, subscriber->changed_at);
    err = cn_sql_finish(registry, statement);
    if (err == CN_OK)
        subscriber->id = (uint64_t)sqlite3_last_insert_rowid(registry->db);
    return err;
}

enum cn_err cn_registry_add(struct cn_registry *registry, struct cn_subscriber *subscriber)
{
    bool alone;
    enum cn_err err = cn_sql_change_begin(registry, &alone);

    if (err != CN_OK)
        return err;
    err = subscriber_add(registry, subscriber);
    if (err == CN_OK)
        err = certificate_add(registry, subscriber);
    return cn_sql_change_end(registry, alone, err);
}

enum cn_err cn_registry_renew(struct cn_registry *registry, const struct cn_subscriber *subscriber)
{
    return certificate_add(registry, subscriber);
}

static enum cn_err delete_by(struct cn_registry *registry, const char *sql, uint64_t number)
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(registry, sql, &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_number(statement, 1, number);
    return cn_sql_finish(registry, statement);
}

enum cn_err cn_registry_withdraw(struct cn_registry *registry, uint64_t serial)
{
    struct cn_subscriber subscriber;
    bool alone;
    enum cn_err err = cn_sql_change_begin(registry, &alone);

    if (err != CN_OK)
        return err;
    err = cn_registry_find_serial(registry, serial, &subscriber);
    if (err == CN_OK)
        err = delete_by(registry, "DELETE FROM certificate WHERE serial = ?1", serial);
    if (err == CN_OK)
        err = delete_by(registry,
                        "DELETE FROM subscriber WHERE id = ?1 AND NOT EXISTS"
                        " (SELECT 1 FROM certificate WHERE subscriber = ?1)",
                        subscriber.id);
    return cn_sql_change_end(registry, alone, err);
}

enum cn_err cn_registry_status_set(struct cn_registry *registry, uint64_t id,
                                   enum cn_subscriber_status status, uint64_t now)
{
    sqlite3_stmt *statement;
    enum cn_err err = cn_sql_prepare(
        registry, "UPDATE subscriber SET status = ?2, changed_at = ?3 WHERE id = ?1", &statement);

    if (err != CN_OK)
        return err;
    cn_sql_bind_number(statement, 1, id);
    cn_sql_bind_number(statement, 2, status);
    cn_sql_bind_number(statement, 3, now);
    err = cn_sql_finish(registry, statement);
    if (err == CN_OK && sqlite3_changes(registry->db) == 0)
        err = CN_E_ABSENT;
    return err;
}
