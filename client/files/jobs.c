#include "jobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { THREAD_COUNT_MAX = 8 };

struct list {
    struct cn_job *first;
    struct cn_job **end;
};

struct cn_jobs {
    pthread_mutex_t mutex;
    pthread_cond_t submitted;
    struct list waiting; /* under mutex, as the next three */
    struct list done;
    bool told; /* the descriptor is readable */
    bool stopped;
    int event;
    unsigned thread_count;
    pthread_t thread[THREAD_COUNT_MAX];
};

static void list_init(struct list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_append(struct list *list, struct cn_job *job)
{
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
}

static struct cn_job *list_take(struct list *list)
{
    struct cn_job *job = list->first;

    if (!job)
        return NULL;
    list->first = job->next;
    if (!list->first)
        list->end = &list->first;
    return job;
}

static void tell(struct cn_jobs *j)
{
    const uint64_t one = 1;

    /* EAGAIN: it is readable all the more */
    if (!j->told && write(j->event, &one, sizeof one) == (ssize_t)sizeof one)
        j->told = true;
}

static void *work(void *context)
{
    struct cn_jobs *j = context;

    pthread_mutex_lock(&j->mutex);
    for (;;) {
        struct cn_job *job;

        while (!j->stopped && !j->waiting.first)
            pthread_cond_wait(&j->submitted, &j->mutex);
        if (j->stopped)
            break;
        job = list_take(&j->waiting);
        pthread_mutex_unlock(&j->mutex);
        job->run(job);
        pthread_mutex_lock(&j->mutex);
        list_append(&j->done, job);
        tell(j);
    }
    pthread_mutex_unlock(&j->mutex);
    return NULL;
}

/* Signals are the owner's thread's. */
static bool threads_start(struct cn_jobs *j, unsigned count)
{
    sigset_t all, before;

    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    for (; j->thread_count < count && j->thread_count < THREAD_COUNT_MAX; j->thread_count++) {
        errno = pthread_create(&j->thread[j->thread_count], NULL, work, j);
        if (errno != 0)
            break;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return j->thread_count > 0; /* fewer than wanted do it, too */
}

enum cn_err cn_jobs_start(struct cn_jobs **jobs, unsigned thread_count)
{
    struct cn_jobs *j = calloc(1, sizeof *j);

    if (!j)
        return CN_E_MEMORY;
    j->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (j->event < 0) {
        free(j);
        return CN_E_SYSTEM;
    }
    list_init(&j->waiting);
    list_init(&j->done);
    pthread_mutex_init(&j->mutex, NULL);
    pthread_cond_init(&j->submitted, NULL);
    if (!threads_start(j, thread_count)) {
        int system_error = errno;

        cn_jobs_stop(j);
        errno = system_error;
        return CN_E_SYSTEM;
    }
    *jobs = j;
    return CN_OK;
}

void cn_jobs_stop(struct cn_jobs *jobs)
{
    if (!jobs)
        return;
    pthread_mutex_lock(&jobs->mutex);
    jobs->stopped = true;
    pthread_cond_broadcast(&jobs->submitted);
    pthread_mutex_unlock(&jobs->mutex);
    for (unsigned i = 0; i < jobs->thread_count; i++)
        pthread_join(jobs->thread[i], NULL);
    pthread_cond_destroy(&jobs->submitted);
    pthread_mutex_destroy(&jobs->mutex);
    close(jobs->event);
    free(jobs);
}

void cn_jobs_submit(struct cn_jobs *jobs, struct cn_job *job)
{
    job->is_done = false;
    pthread_mutex_lock(&jobs->mutex);
    list_append(&jobs->waiting, job);
    pthread_cond_signal(&jobs->submitted);
    pthread_mutex_unlock(&jobs->mutex);
}

int cn_jobs_descriptor(const struct cn_jobs *jobs)
{
    return jobs->event;
}

void cn_jobs_reap(struct cn_jobs *jobs)
{
    uint64_t count;

    pthread_mutex_lock(&jobs->mutex);
    if (jobs->told && read(jobs->event, &count, sizeof count) < 0 && errno != EAGAIN)
        jobs->told = true; /* it stays readable, and is looked at again */
    else
        jobs->told = false;
    for (struct cn_job *job; (job = list_take(&jobs->done));)
        job->is_done = true;
    pthread_mutex_unlock(&jobs->mutex);
}
