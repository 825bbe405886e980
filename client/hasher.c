#include "hasher.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK_SIZE = 256 * 1024 };

struct cn_hasher {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct cn_digest digest;
    int fd;         /* owned */
    uint64_t until; /* under mutex, as the next two */
    uint64_t size;  /* UINT64_MAX until it is known */
    bool cancelled;
    bool ended;      /* the thread has nothing more to do */
    enum cn_err err; /* the thread's, read after it has ended */
    int system_error;
    uint8_t block[BLOCK_SIZE];
};

/* Wait until there is something past offset to hash; its end. offset itself: there is no more. */
static uint64_t wait_past(struct cn_hasher *h, uint64_t offset)
{
    uint64_t until;

    pthread_mutex_lock(&h->mutex);
    while (!h->cancelled && h->until <= offset && h->size != offset)
        pthread_cond_wait(&h->changed, &h->mutex);
    until = h->cancelled ? offset : h->until;
    pthread_mutex_unlock(&h->mutex);
    return until < offset ? offset : until;
}

static enum cn_err hash_range(struct cn_hasher *h, uint64_t from, uint64_t until)
{
    while (from < until) {
        size_t want = until - from < BLOCK_SIZE ? (size_t)(until - from) : BLOCK_SIZE;
        ssize_t got = pread(h->fd, h->block, want, (off_t)from);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            h->system_error = got < 0 ? errno : 0;
            return got < 0 ? CN_E_SYSTEM : CN_E_TRUNCATED;
        }
        if (cn_digest_update(&h->digest, h->block, (size_t)got) != CN_OK)
            return CN_E_CRYPTO;
        from += (uint64_t)got;
    }
    return CN_OK;
}

static void *hasher_run(void *context)
{
    struct cn_hasher *h = context;
    uint64_t offset = 0;

    for (;;) {
        uint64_t until = wait_past(h, offset);

        if (until == offset || h->err != CN_OK)
            break;
        h->err = hash_range(h, offset, until);
        offset = until;
    }
    pthread_mutex_lock(&h->mutex);
    h->ended = true;
    pthread_mutex_unlock(&h->mutex);
    return NULL;
}

enum cn_err cn_hasher_start(struct cn_hasher **hasher, const struct cn_crypto *crypto, int fd)
{
    struct cn_hasher *h = calloc(1, sizeof *h);

    if (!h)
        return CN_E_MEMORY;
    h->size = UINT64_MAX;
    h->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (h->fd < 0 || cn_digest_init(&h->digest, crypto, CN_SHA256) != CN_OK) {
        if (h->fd >= 0)
            close(h->fd);
        free(h);
        return CN_E_SYSTEM;
    }
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->changed, NULL);
    errno = pthread_create(&h->thread, NULL, hasher_run, h);
    if (errno != 0) {
        cn_digest_wipe(&h->digest);
        close(h->fd);
        free(h);
        return CN_E_SYSTEM;
    }
    *hasher = h;
    return CN_OK;
}

void cn_hasher_advance(struct cn_hasher *hasher, uint64_t offset)
{
    pthread_mutex_lock(&hasher->mutex);
    hasher->until = offset;
    pthread_cond_signal(&hasher->changed);
    pthread_mutex_unlock(&hasher->mutex);
}

void cn_hasher_limit(struct cn_hasher *hasher, uint64_t size)
{
    pthread_mutex_lock(&hasher->mutex);
    hasher->size = size;
    pthread_cond_signal(&hasher->changed);
    pthread_mutex_unlock(&hasher->mutex);
}

bool cn_hasher_is_done(struct cn_hasher *hasher)
{
    bool ended;

    pthread_mutex_lock(&hasher->mutex);
    ended = hasher->ended;
    pthread_mutex_unlock(&hasher->mutex);
    return ended;
}

static void hasher_free(struct cn_hasher *h)
{
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mutex);
    cn_digest_wipe(&h->digest);
    close(h->fd);
    cn_wipe(h->block, sizeof h->block);
    free(h);
}

enum cn_err cn_hasher_finish(struct cn_hasher *hasher, uint64_t size, uint8_t out[CN_SHA256_SIZE])
{
    enum cn_err err;
    int system_error;

    pthread_mutex_lock(&hasher->mutex);
    hasher->until = size;
    hasher->size = size;
    pthread_cond_signal(&hasher->changed);
    pthread_mutex_unlock(&hasher->mutex);
    pthread_join(hasher->thread, NULL);
    err = hasher->err;
    if (err == CN_OK)
        err = cn_digest_final(&hasher->digest, out);
    system_error = hasher->system_error;
    hasher_free(hasher);
    errno = system_error;
    return err;
}

void cn_hasher_cancel(struct cn_hasher *hasher)
{
    if (!hasher)
        return;
    pthread_mutex_lock(&hasher->mutex);
    hasher->cancelled = true;
    pthread_cond_signal(&hasher->changed);
    pthread_mutex_unlock(&hasher->mutex);
    pthread_join(hasher->thread, NULL);
    hasher_free(hasher);
}
