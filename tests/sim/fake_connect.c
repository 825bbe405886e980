/* fake_connect.c - in place of client/connect.c: the simulated server is reached after a while, at
 * whichever address is tried first, or it is down. */
#include "connect.h"

#include "faults.h"
#include "net.h"
#include "owner.h"
#include "server.h"

#include <unistd.h>

uint64_t cn_connect_clock_ms(void)
{
    return owner_now(owner_running()).ms;
}

enum cn_err cn_connect_start(struct cn_connect *c, struct cn_home *home,
                             const struct cn_fingerprint *fingerprint,
                             const struct cn_proxy_setting *setting, size_t first, size_t count,
                             uint64_t now_ms)
{
    cn_connect_close(c);
    c->home = home;
    c->fingerprint = fingerprint;
    c->setting = setting;
    c->address_index = first;
    c->left = count;
    c->next_ms = now_ms + faults_connect_ms();
    return CN_E_MORE;
}

static void connect_now(struct cn_connect *c)
{
    struct owner *o = owner_pause();
    struct net_setup setup;
    int fd[2];

    faults_plan(&setup);
    net_connect(&setup, o->setup.name, fd);
    c->socket = fd[0];
    server_accept(fd[1], o->setup.person);
    o->descriptors++;
    o->address_is_gone = false;
    owner_go_on(o);
}

enum cn_err cn_connect_step(struct cn_connect *c, uint64_t now_ms)
{
    if (now_ms < c->next_ms)
        return CN_E_MORE;
    if (!server_is_up())
        return CN_E_UNREACHABLE;
    connect_now(c);
    return CN_OK;
}

size_t cn_connect_descriptors(const struct cn_connect *c, struct pollfd *descriptors, size_t max)
{
    (void)c;
    (void)descriptors;
    (void)max;
    return 0;
}

uint64_t cn_connect_due_ms(const struct cn_connect *c)
{
    return c->next_ms;
}

int cn_connect_take(struct cn_connect *c)
{
    const int fd = c->socket;

    c->socket = -1;
    cn_connect_close(c);
    return fd;
}

void cn_connect_close(struct cn_connect *c)
{
    if (c->socket >= 0)
        close(c->socket);
    *c = (struct cn_connect)CN_CONNECT_NONE;
}
