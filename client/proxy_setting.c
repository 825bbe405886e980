#include "proxy_setting.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_PORT "1080"

static const struct {
    const char *scheme;
    enum cn_proxy_kind kind;
} schemes[] = {
    { "socks5h://", CN_PROXY_SOCKS5 },
    { "socks5://", CN_PROXY_SOCKS5 },
    { "http://", CN_PROXY_HTTP },
};

void cn_proxy_setting_wipe(struct cn_proxy_setting *setting)
{
    cn_wipe(setting, sizeof *setting);
}

/* --- the URL -------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* The octet that %XX stands for; -1: none. */
static int escaped(const char *from, size_t left)
{
    int high = left >= 3 ? hex_digit(from[1]) : -1;
    int low = left >= 3 ? hex_digit(from[2]) : -1;

    return high >= 0 && low >= 0 ? high << 4 | low : -1;
}

/* size octets, decoded, as a text. False: malformed, too long, or with control characters. */
static bool decode(const char *from, size_t size, char out[CN_PROXY_USER_SIZE_MAX + 1])
{
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        int c = (unsigned char)from[i];

        if (c == '%') {
            c = escaped(from + i, size - i);
            i += 2;
        }
        if (c < 0x20 || c == 0x7f || used == CN_PROXY_USER_SIZE_MAX)
            return false;
        out[used++] = (char)c;
    }
    out[used] = '\0';
    return true;
}

/* USER[:PASSWORD] */
static bool user_parse(struct cn_proxy_setting *setting, const char *from, size_t size)
{
    const char *colon = memchr(from, ':', size);
    size_t user_size = colon ? (size_t)(colon - from) : size;

    setting->has_user = true;
    if (user_size == 0 || !decode(from, user_size, setting->user))
        return false;
    if (colon && !decode(colon + 1, size - user_size - 1, setting->password))
        return false;
    /* RFC 7617 2: there the first colon ends the user */
    return setting->kind != CN_PROXY_HTTP || !strchr(setting->user, ':');
}

/* HOST[:PORT] */
static bool host_parse(struct cn_proxy_setting *setting, const char *from, size_t size)
{
    const char *bracket = memchr(from, ']', size);
    bool has_port = bracket ? bracket + 1 < from + size : memchr(from, ':', size) != NULL;
    int length = snprintf(setting->address, sizeof setting->address, "%.*s%s", (int)size, from,
                          has_port ? "" : ":" DEFAULT_PORT);

    return length > 0 && (size_t)length < sizeof setting->address &&
           cn_address_valid(setting->address);
}

enum cn_err cn_proxy_setting_parse(struct cn_proxy_setting *setting, const char *url)
{
    struct cn_proxy_setting s = { .kind = CN_PROXY_HTTP };
    enum cn_err err = CN_E_FORMAT;
    const char *at;
    size_t size;

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i].scheme);

        if (strncasecmp(url, schemes[i].scheme, length) != 0)
            continue;
        s.kind = schemes[i].kind;
        url += length;
        break;
    }
    at = strrchr(url, '@'); /* a password may hold one, too */
    if (at && !user_parse(&s, url, (size_t)(at - url)))
        goto out;
    url = at ? at + 1 : url;
    size = strlen(url);
    if (size > 0 && url[size - 1] == '/')
        size--;
    if (size > CN_ADDRESS_SIZE_MAX || !host_parse(&s, url, size))
        goto out;
    memcpy(s.spared, setting->spared, sizeof s.spared);
    *setting = s;
    err = CN_OK;
out:
    cn_proxy_setting_wipe(&s);
    return err;
}

char *cn_proxy_setting_name(const struct cn_proxy_setting *setting, char out[CN_PROXY_NAME_SIZE])
{
    snprintf(out, CN_PROXY_NAME_SIZE, "%s%s",
             setting->kind == CN_PROXY_SOCKS5 ? "socks5h://" : "http://", setting->address);
    return out;
}

/* --- what is spared ------------------------------------------------------------------------- */

struct host {
    char name[CN_ADDRESS_SIZE_MAX + 1]; /* without a dot at its end */
    int family;                         /* of a literal, else AF_UNSPEC */
    uint8_t octets[16];                 /* likewise */
};

static void without_dot(char *name)
{
    size_t size = strlen(name);

    if (size > 0 && name[size - 1] == '.')
        name[size - 1] = '\0';
}

/* A name, or a literal with or without brackets. */
static void host_take(struct host *host, const char *from, size_t size)
{
    memset(host, 0, sizeof *host);
    if (size > 1 && from[0] == '[' && from[size - 1] == ']') {
        from++;
        size -= 2;
    }
    if (size >= sizeof host->name)
        return; /* matches nothing */
    memcpy(host->name, from, size);
    if (inet_pton(AF_INET, host->name, host->octets) == 1)
        host->family = AF_INET;
    else if (inet_pton(AF_INET6, host->name, host->octets) == 1)
        host->family = AF_INET6;
    else
        without_dot(host->name);
}

static void host_of(struct host *host, const char *address)
{
    const char *service = cn_address_service(address);

    if (service)
        host_take(host, service, strlen(service));
    else
        host_take(host, address, (size_t)(strrchr(address, ':') - address));
}

static bool same_bits(const uint8_t *one, const uint8_t *other, unsigned count)
{
    unsigned rest = count % 8;

    if (memcmp(one, other, count / 8) != 0)
        return false;
    return rest == 0 || (one[count / 8] ^ other[count / 8]) >> (8 - rest) == 0;
}

/* ADDRESS or ADDRESS/BITS */
static bool network_has(const struct host *host, const char *token, size_t size)
{
    const char *slash = memchr(token, '/', size);
    unsigned bits = host->family == AF_INET ? 32 : 128;
    unsigned count = 0;
    struct host network;

    host_take(&network, token, slash ? (size_t)(slash - token) : size);
    if (network.family != host->family)
        return false;
    if (!slash)
        return same_bits(network.octets, host->octets, bits);
    for (const char *c = slash + 1; c < token + size; c++) {
        if (*c < '0' || *c > '9' || count > bits)
            return false;
        count = count * 10 + (unsigned)(*c - '0');
    }
    return slash + 1 < token + size && count <= bits &&
           same_bits(network.octets, host->octets, count);
}

/* A host's name, or the end of it behind a dot. */
static bool name_has(const struct host *host, const char *token, size_t size)
{
    size_t host_size = strlen(host->name);

    if (size > 0 && token[0] == '.') {
        token++;
        size--;
    }
    if (size > 0 && token[size - 1] == '.')
        size--;
    if (size == 0 || size > host_size ||
        strncasecmp(host->name + host_size - size, token, size) != 0)
        return false;
    return size == host_size || host->name[host_size - size - 1] == '.';
}

static bool list_has(const char *list, const struct host *host)
{
    static const char between[] = ", \t";

    if (strcmp(list, "*") == 0)
        return true;
    for (const char *at = list + strspn(list, between); *at; at += strspn(at, between)) {
        size_t size = strcspn(at, between);

        if (host->family == AF_UNSPEC ? name_has(host, at, size) : network_has(host, at, size))
            return true;
        at += size;
    }
    return false;
}

static bool is_loopback(const struct host *host)
{
    static const uint8_t loopback6[16] = { [15] = 1 };

    if (host->family == AF_UNSPEC)
        return strcasecmp(host->name, "localhost") == 0;
    return host->family == AF_INET ? host->octets[0] == 127
                                   : memcmp(host->octets, loopback6, sizeof loopback6) == 0;
}

bool cn_proxy_setting_applies(const struct cn_proxy_setting *setting, const char *address)
{
    struct host host;

    if (setting->kind == CN_PROXY_NONE)
        return false;
    host_of(&host, address);
    return !is_loopback(&host) && !list_has(setting->spared, &host);
}
