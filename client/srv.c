#include "srv.h"

#include <arpa/nameser.h>
#include <stdio.h>
#include <string.h>

#include "reader.h"

/* The target behind priority, weight and port. False: not one to connect to. */
static bool target_read(struct cn_srv *srv, const ns_msg *message, const ns_rr *record)
{
    struct cn_reader r = { .at = ns_rr_rdata(*record), .left = ns_rr_rdlen(*record) };
    char name[NS_MAXDNAME];
    unsigned port;
    int length;

    srv->priority = cn_reader_u16be(&r);
    srv->weight = cn_reader_u16be(&r);
    port = cn_reader_u16be(&r);
    if (!cn_reader_ok(&r) || ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), r.at,
                                                name, sizeof name) != (int)r.left)
        return false;
    length = snprintf(srv->address, sizeof srv->address, "%s:%u", name, port);
    return length > 0 && (size_t)length < sizeof srv->address && strcmp(name, ".") != 0 &&
           cn_address_valid(srv->address);
}

enum cn_err cn_srv_read(const uint8_t *answer, size_t size, struct cn_srv srv[CN_SRV_COUNT_MAX],
                        size_t *count)
{
    ns_msg message;
    size_t found = 0;

    if (size > NS_MAXMSG || ns_initparse(answer, (int)size, &message) != 0)
        return CN_E_FORMAT;
    for (int i = 0; i < ns_msg_count(message, ns_s_an) && found < CN_SRV_COUNT_MAX; i++) {
        ns_rr record;

        if (ns_parserr(&message, ns_s_an, i, &record) != 0)
            return CN_E_FORMAT;
        if (ns_rr_type(record) == ns_t_srv && ns_rr_class(record) == ns_c_in &&
            target_read(&srv[found], &message, &record))
            found++;
    }
    *count = found;
    return CN_OK;
}

/* Of those from begin on which have its priority, the one that chance and the weights choose. */
static size_t choose(const struct cn_srv *srv, size_t begin, size_t end, uint32_t random)
{
    uint32_t sum = 0;
    uint32_t wanted;
    size_t i;

    for (i = begin; i < end; i++)
        sum += srv[i].weight;
    wanted = (uint32_t)((uint64_t)random * (sum + 1U) >> 32); /* 0 to sum */
    sum = 0;
    for (i = begin; i + 1 < end; i++) {
        sum += srv[i].weight;
        if (sum >= wanted)
            break;
    }
    return i;
}

/* By priority, and of one priority those without a weight first, as RFC 2782 wants it. */
static bool is_before(const struct cn_srv *one, const struct cn_srv *other)
{
    if (one->priority != other->priority)
        return one->priority < other->priority;
    return one->weight == 0 && other->weight > 0;
}

/* srv[at] goes to the place `to`, before it, and those between move up. */
static void move_to(struct cn_srv *srv, size_t at, size_t to)
{
    const struct cn_srv moved = srv[at];

    memmove(&srv[to + 1], &srv[to], (at - to) * sizeof *srv);
    srv[to] = moved;
}

void cn_srv_order(struct cn_srv *srv, size_t count, const uint32_t random[CN_SRV_COUNT_MAX])
{
    for (size_t i = 1; i < count; i++) {
        size_t to = i;

        while (to > 0 && is_before(&srv[i], &srv[to - 1]))
            to--;
        move_to(srv, i, to);
    }
    for (size_t begin = 0; begin < count; begin++) {
        size_t end = begin + 1;

        while (end < count && srv[end].priority == srv[begin].priority)
            end++;
        move_to(srv, choose(srv, begin, end, random[begin]), begin);
    }
}
