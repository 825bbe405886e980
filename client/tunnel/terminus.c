#include "terminus.h"

#include <arpa/inet.h>
#include <stdio.h>

/* --- pieces ---------------------------------------------------------------------------------- */

size_t cn_fields_split(const char *text, struct cn_field fields[CN_FIELD_COUNT_MAX])
{
    size_t count = 0;

    for (;;) {
        struct cn_field *f = &fields[count];

        if (count++ == CN_FIELD_COUNT_MAX)
            return 0;
        f->bracketed = *text == '[';
        f->at = text + f->bracketed;
        f->size = strcspn(f->at, f->bracketed ? "]" : ":");
        text = f->at + f->size;
        if (f->bracketed && *text++ != ']')
            return 0;
        if (*text == '\0')
            return count;
        if (*text++ != ':')
            return 0;
    }
}

bool cn_field_is(const struct cn_field *field, const char *text)
{
    return !field->bracketed && field->size == strlen(text) &&
           memcmp(field->at, text, field->size) == 0;
}

bool cn_field_port(const struct cn_field *field, uint16_t *port)
{
    unsigned value = 0;

    if (field->bracketed || field->size == 0 || field->size > 5)
        return false;
    for (size_t i = 0; i < field->size; i++) {
        if (field->at[i] < '0' || field->at[i] > '9')
            return false;
        value = value * 10 + (unsigned)(field->at[i] - '0');
    }
    if (value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Nothing but what names and addresses of hosts are made of: it goes to resolvers and messages. */
static bool host_valid(const char *name, size_t size)
{
    bool address = memchr(name, ':', size) != NULL; /* of IPv6 */

    if (size == 0 || size > CN_TERMINUS_NAME_SIZE_MAX || name[0] == '-')
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];

        if (!is_alphanumeric(c) && c != '.' && c != '-' && c != '_' &&
            !(address && (c == ':' || c == '%')))
            return false;
    }
    return true;
}

static bool path_valid(const char *name, size_t size)
{
    return size > 1 && size <= CN_TERMINUS_PATH_SIZE_MAX && name[0] == '/' &&
           !memchr(name, '\0', size);
}

static bool name_set(char name[CN_TERMINUS_NAME_SIZE_MAX + 1], const char *from, size_t size)
{
    memcpy(name, from, size);
    name[size] = '\0';
    return true;
}

bool cn_field_host(const struct cn_field *field, char name[CN_TERMINUS_NAME_SIZE_MAX + 1])
{
    return host_valid(field->at, field->size) && name_set(name, field->at, field->size);
}

bool cn_field_path(const struct cn_field *field, char name[CN_TERMINUS_NAME_SIZE_MAX + 1])
{
    return !field->bracketed && path_valid(field->at, field->size) &&
           name_set(name, field->at, field->size);
}

static bool is_address(const char *name)
{
    uint8_t address[16];

    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static bool bind_valid(const char *name)
{
    return strcmp(name, "*") == 0 || strcmp(name, "localhost") == 0 || is_address(name);
}

bool cn_field_bind(const struct cn_field *field, char name[CN_TERMINUS_NAME_SIZE_MAX + 1])
{
    char bind[CN_TERMINUS_NAME_SIZE_MAX + 1];

    if (field->size > CN_TERMINUS_NAME_SIZE_MAX || (field->bracketed && field->size == 0))
        return false;
    name_set(bind, field->size == 0 ? "*" : field->at, field->size == 0 ? 1 : field->size);
    return bind_valid(bind) && name_set(name, bind, strlen(bind));
}

bool cn_takes_udp(const char **text)
{
    if (strncmp(*text, "udp:", 4) != 0)
        return false;
    *text += 4;
    return true;
}

/* --- what users type ------------------------------------------------------------------------- */

/* HOST, PORT */
static bool host_and_port(struct cn_terminus *place, const struct cn_field *fields)
{
    return cn_field_host(&fields[0], place->name) && cn_field_port(&fields[1], &place->port) &&
           place->port != 0;
}

/* BIND, PORT if count is 2; PORT */
static bool bind_and_port(struct cn_terminus *place, const struct cn_field *fields, size_t count)
{
    if (count == 1)
        name_set(place->name, "localhost", strlen("localhost"));
    else if (!cn_field_bind(&fields[0], place->name))
        return false;
    return cn_field_port(&fields[count - 1], &place->port);
}

enum cn_err cn_terminus_parse(struct cn_terminus *place, const char *text)
{
    struct cn_field fields[CN_FIELD_COUNT_MAX];
    struct cn_terminus p = { .form = cn_takes_udp(&text) ? CN_TERMINUS_UDP : CN_TERMINUS_TCP };
    size_t count = cn_fields_split(text, fields);

    if (p.form == CN_TERMINUS_TCP && count == 1 && cn_field_path(&fields[0], p.name))
        p.form = CN_TERMINUS_UNIX;
    else if (count != 2 || !host_and_port(&p, fields))
        return CN_E_FORMAT;
    *place = p;
    return CN_OK;
}

enum cn_err cn_terminus_parse_listening(struct cn_terminus *place, const char *text)
{
    struct cn_field fields[CN_FIELD_COUNT_MAX];
    struct cn_terminus p = { .form = CN_TERMINUS_TCP };
    size_t count = cn_fields_split(text, fields);

    if (count == 1 && cn_field_path(&fields[0], p.name))
        p.form = CN_TERMINUS_UNIX;
    else if (count == 0 || count > 2 || !bind_and_port(&p, fields, count))
        return CN_E_FORMAT;
    *place = p;
    return CN_OK;
}

enum cn_err cn_forward_parse(struct cn_forward *forward, const char *text)
{
    bool udp = cn_takes_udp(&text);
    enum cn_terminus_form form = udp ? CN_TERMINUS_UDP : CN_TERMINUS_TCP;
    struct cn_field fields[CN_FIELD_COUNT_MAX];
    struct cn_forward f = { { .form = form }, { .form = form } };
    size_t count = cn_fields_split(text, fields);
    size_t to_count = 2; /* of the fields, the last */

    if (count < 2)
        return CN_E_FORMAT;
    if (!udp && cn_field_path(&fields[count - 1], f.to.name)) {
        f.to.form = CN_TERMINUS_UNIX;
        to_count = 1;
    } else if (count < 3 || !host_and_port(&f.to, &fields[count - 2])) {
        return CN_E_FORMAT;
    }
    count -= to_count;
    if (!udp && count == 1 && cn_field_path(&fields[0], f.from.name))
        f.from.form = CN_TERMINUS_UNIX;
    else if (count > 2 || !bind_and_port(&f.from, fields, count))
        return CN_E_FORMAT;
    *forward = f;
    return CN_OK;
}

char *cn_terminus_text(const struct cn_terminus *place, char out[CN_TERMINUS_TEXT_SIZE])
{
    bool brackets = strchr(place->name, ':') || strcmp(place->name, "udp") == 0;

    if (place->form == CN_TERMINUS_UNIX)
        snprintf(out, CN_TERMINUS_TEXT_SIZE, "%s", place->name);
    else
        snprintf(out, CN_TERMINUS_TEXT_SIZE, "%s%s%s%s:%u",
                 place->form == CN_TERMINUS_UDP ? "udp:" : "", brackets ? "[" : "", place->name,
                 brackets ? "]" : "", place->port);
    return out;
}

/* --- on the line ----------------------------------------------------------------------------- */

void cn_terminus_encode(const struct cn_terminus *place, struct cn_writer *writer)
{
    cn_writer_u8(writer, (uint8_t)place->form);
    cn_writer_u16be(writer, place->port);
    cn_writer_bytes(writer, place->name, strlen(place->name));
}

static bool place_valid(const struct cn_terminus *p, size_t size, bool listening)
{
    if (p->form == CN_TERMINUS_UNIX)
        return path_valid(p->name, size) && p->port == 0;
    if (p->form != CN_TERMINUS_TCP && p->form != CN_TERMINUS_UDP)
        return false;
    if (listening) /* whose name may hold no NUL either */
        return strlen(p->name) == size && bind_valid(p->name);
    return host_valid(p->name, size) && p->port != 0;
}

enum cn_err cn_terminus_decode(struct cn_terminus *place, struct cn_reader *reader, bool listening)
{
    struct cn_terminus p = { .form = CN_TERMINUS_TCP };
    uint8_t form = cn_reader_u8(reader);
    size_t size;

    p.port = cn_reader_u16be(reader);
    size = reader->left;
    if (!cn_reader_ok(reader) || form < CN_TERMINUS_TCP || form > CN_TERMINUS_UDP ||
        size > CN_TERMINUS_NAME_SIZE_MAX)
        return CN_E_FORMAT;
    p.form = (enum cn_terminus_form)form;
    cn_reader_copy(reader, p.name, size);
    if (!place_valid(&p, size, listening))
        return CN_E_FORMAT;
    *place = p;
    return CN_OK;
}
