#include "way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net.h"

/* A connection to a listener of ours: no relay at all, or one that passes it on. */
static void connected_call(const struct way *way, int ends[END_COUNT])
{
    ends[CALLER] = net_dial(way->port);
    ends[ANSWERER] = net_accept(way->listener);
}

static void random_hex(char *out, size_t digits)
{
    for (size_t i = 0; i < digits; i += 2) {
        uint8_t octet;

        if (getrandom(&octet, 1, 0) != 1)
            die("getrandom");
        snprintf(out + i, 3, "%02x", octet);
    }
}

/* magic-wormhole's transit relay: two who name the same token and different sides. */
static void transit_call(const struct way *way, int ends[END_COUNT])
{
    static const char answer[] = "ok\n";
    char token[65], said[sizeof answer - 1];

    random_hex(token, 64);
    for (int i = 0; i < END_COUNT; i++) {
        char side[17], request[128];
        int size;

        random_hex(side, 16);
        size = snprintf(request, sizeof request, "please relay %s for side %s\n", token, side);
        ends[i] = net_dial(way->port);
        net_write(ends[i], request, (size_t)size);
    }
    for (int i = 0; i < END_COUNT; i++) {
        net_read(ends[i], said, sizeof said);
        if (memcmp(said, answer, sizeof said) != 0)
            give_up("transit relay: refused");
    }
}

void way_open(struct way *way, char **word)
{
    static const struct {
        const char *name;
        int words;
        void (*begin)(const struct way *);
        void (*call)(const struct way *, int ends[END_COUNT]);
    } kinds[] = {
        { "direct", 2, NULL, connected_call },
        { "proxy", 3, NULL, connected_call },
        { "transit", 2, NULL, transit_call },
        { "strelay", 2, strelay_begin, strelay_call },
        { "cyphernet", 4, subscriber_begin, subscriber_call },
    };
    size_t kind = 0;
    int count = 0;

    while (word[count])
        count++;
    while (kind < sizeof kinds / sizeof kinds[0] &&
           (count != kinds[kind].words || strcmp(word[0], kinds[kind].name) != 0))
        kind++;
    if (kind == sizeof kinds / sizeof kinds[0])
        give_up("no such way; see main.c");
    *way = (struct way) { .port = (uint16_t)strtoul(word[1], NULL, 10),
                          .begin = kinds[kind].begin,
                          .call = kinds[kind].call,
                          .listener = -1 };
    if (way->call == connected_call) {
        way->back = (uint16_t)strtoul(word[count - 1], NULL, 10);
        way->listener = net_listen(way->back);
    } else if (way->call == subscriber_call) {
        way->fingerprint[CALLER] = word[2];
        way->fingerprint[ANSWERER] = word[3];
        subscriber_open(way);
    }
}
