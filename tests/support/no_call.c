/* no_call: preloaded into a program, lets a call of the system, of SQLite or of libcrypto fail
 * (kth.h). What theirs are told is as their headers have it, which are not needed here. */
#include "kth.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SQLITE_IO_ERROR = 10 };

int sqlite3_exec(void *db, const char *sql, void *row, void *context, char **message);
int sqlite3_prepare_v2(void *db, const char *sql, int size, void **statement, const char **tail);
int sqlite3_step(void *statement);
int EVP_DigestSign(void *context, unsigned char *out, size_t *size, const unsigned char *in,
                   size_t in_size);
int EVP_DigestInit_ex2(void *context, const void *type, const void *parameters);
void *EVP_PKEY_new_raw_private_key(int type, void *engine, const unsigned char *key, size_t size);
void *EVP_MD_fetch(void *context, const char *name, const char *properties);

EXPORT int access(const char *path, int mode)
{
    static int (*next)(const char *path, int mode);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "access");
    return kth_fails(CALLER, EIO) ? -1 : next(path, mode);
}

EXPORT int bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t size)
{
    static int (*next)(int fd, __CONST_SOCKADDR_ARG address, socklen_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "bind");
    return kth_fails(CALLER, EADDRINUSE) ? -1 : next(fd, address, size);
}

EXPORT int chmod(const char *path, mode_t mode)
{
    static int (*next)(const char *path, mode_t mode);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "chmod");
    return kth_fails(CALLER, EPERM) ? -1 : next(path, mode);
}

EXPORT int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t size)
{
    static int (*next)(int fd, __CONST_SOCKADDR_ARG address, socklen_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "connect");
    return kth_fails(CALLER, ENOBUFS) ? -1 : next(fd, address, size);
}

EXPORT int dup2(int fd, int to)
{
    static int (*next)(int fd, int to);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "dup2");
    return kth_fails(CALLER, EBUSY) ? -1 : next(fd, to);
}

EXPORT int epoll_create1(int flags)
{
    static int (*next)(int flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "epoll_create1");
    return kth_fails(CALLER, EMFILE) ? -1 : next(flags);
}

/* Not what changes what is watched, which needs no memory. */
EXPORT int epoll_ctl(int fd, int what, int watched, struct epoll_event *event)
{
    static int (*next)(int fd, int what, int watched, struct epoll_event *event);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "epoll_ctl");
    return what == EPOLL_CTL_ADD && kth_fails(CALLER, ENOSPC) ? -1 : next(fd, what, watched, event);
}

EXPORT int fchdir(int fd)
{
    static int (*next)(int fd);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fchdir");
    return kth_fails(CALLER, EIO) ? -1 : next(fd);
}

EXPORT int fflush(FILE *file)
{
    static int (*next)(FILE * file);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fflush");
    return kth_fails(CALLER, ENOSPC) ? EOF : next(file);
}

EXPORT int flock(int fd, int what)
{
    static int (*next)(int fd, int what);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "flock");
    return kth_fails(CALLER, ENOLCK) ? -1 : next(fd, what);
}

EXPORT pid_t fork(void)
{
    static pid_t (*next)(void);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fork");
    return kth_fails(CALLER, EAGAIN) ? -1 : next();
}

EXPORT int fstat64(int fd, struct stat64 *st)
{
    static int (*next)(int fd, struct stat64 *st);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fstat64");
    return kth_fails(CALLER, EIO) ? -1 : next(fd, st);
}

EXPORT int fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
    static int (*next)(int dir, const char *path, struct stat64 *st, int flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fstatat64");
    return kth_fails(CALLER, EIO) ? -1 : next(dir, path, st, flags);
}

EXPORT int fsync(int fd)
{
    static int (*next)(int fd);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "fsync");
    return kth_fails(CALLER, EIO) ? -1 : next(fd);
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    static int (*next)(int fd, off64_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "ftruncate64");
    return kth_fails(CALLER, EIO) ? -1 : next(fd, size);
}

EXPORT ssize_t getrandom(void *out, size_t size, unsigned flags)
{
    static ssize_t (*next)(void *out, size_t size, unsigned flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "getrandom");
    return kth_fails(CALLER, ENOSYS) ? -1 : next(out, size, flags);
}

EXPORT int getrlimit64(__rlimit_resource_t what, struct rlimit64 *limit)
{
    static int (*next)(__rlimit_resource_t what, struct rlimit64 * limit);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "getrlimit64");
    return kth_fails(CALLER, EPERM) ? -1 : next(what, limit);
}

EXPORT int getsockname(int fd, __SOCKADDR_ARG address, socklen_t *size)
{
    static int (*next)(int fd, __SOCKADDR_ARG address, socklen_t *size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "getsockname");
    return kth_fails(CALLER, ENOBUFS) ? -1 : next(fd, address, size);
}

EXPORT int linkat(int dir, const char *name, int to, const char *new_name, int flags)
{
    static int (*next)(int dir, const char *name, int to, const char *new_name, int flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "linkat");
    return kth_fails(CALLER, ENOSPC) ? -1 : next(dir, name, to, new_name, flags);
}

EXPORT int listen(int fd, int backlog)
{
    static int (*next)(int fd, int backlog);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "listen");
    return kth_fails(CALLER, EADDRINUSE) ? -1 : next(fd, backlog);
}

EXPORT int lstat64(const char *path, struct stat64 *st)
{
    static int (*next)(const char *path, struct stat64 *st);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "lstat64");
    return kth_fails(CALLER, EIO) ? -1 : next(path, st);
}

EXPORT int memfd_create(const char *name, unsigned flags)
{
    static int (*next)(const char *name, unsigned flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "memfd_create");
    return kth_fails(CALLER, EMFILE) ? -1 : next(name, flags);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    static int (*next)(const char *path, mode_t mode);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "mkdir");
    return kth_fails(CALLER, ENOSPC) ? -1 : next(path, mode);
}

EXPORT int mlock(const void *at, size_t size)
{
    static int (*next)(const void *at, size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "mlock");
    return kth_fails(CALLER, ENOMEM) ? -1 : next(at, size);
}

EXPORT void *mmap64(void *at, size_t size, int rights, int flags, int fd, off64_t offset)
{
    static void *(*next)(void *at, size_t size, int rights, int flags, int fd, off64_t offset);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "mmap64");
    return kth_fails(CALLER, ENOMEM) ? MAP_FAILED : next(at, size, rights, flags, fd, offset);
}

EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    static int (*next)(struct pollfd * fds, nfds_t count, int timeout_ms);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "poll");
    return kth_fails(CALLER, ENOMEM) ? -1 : next(fds, count, timeout_ms);
}

EXPORT ssize_t pread64(int fd, void *out, size_t size, off64_t offset)
{
    static ssize_t (*next)(int fd, void *out, size_t size, off64_t offset);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "pread64");
    return kth_fails(CALLER, EIO) ? -1 : next(fd, out, size, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *octets, size_t size, off64_t offset)
{
    static ssize_t (*next)(int fd, const void *octets, size_t size, off64_t offset);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "pwrite64");
    return kth_fails(CALLER, ENOSPC) ? -1 : next(fd, octets, size, offset);
}

EXPORT ssize_t read(int fd, void *out, size_t size)
{
    static ssize_t (*next)(int fd, void *out, size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "read");
    return kth_fails(CALLER, EIO) ? -1 : next(fd, out, size);
}

EXPORT ssize_t readlink(const char *path, char *out, size_t size)
{
    static ssize_t (*next)(const char *path, char *out, size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "readlink");
    return kth_fails(CALLER, EIO) ? -1 : next(path, out, size);
}

EXPORT ssize_t recv(int fd, void *out, size_t size, int flags)
{
    static ssize_t (*next)(int fd, void *out, size_t size, int flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "recv");
    return kth_fails(CALLER, ENOMEM) ? -1 : next(fd, out, size, flags);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    static ssize_t (*next)(int fd, struct msghdr *message, int flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "recvmsg");
    return kth_fails(CALLER, ENOMEM) ? -1 : next(fd, message, flags);
}

EXPORT int renameat2(int dir, const char *name, int to, const char *new_name, unsigned flags)
{
    static int (*next)(int dir, const char *name, int to, const char *new_name, unsigned flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "renameat2");
    return kth_fails(CALLER, ENOSPC) ? -1 : next(dir, name, to, new_name, flags);
}

EXPORT ssize_t send(int fd, const void *octets, size_t size, int flags)
{
    static ssize_t (*next)(int fd, const void *octets, size_t size, int flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "send");
    return kth_fails(CALLER, ENOBUFS) ? -1 : next(fd, octets, size, flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*next)(int fd, const struct msghdr *message, int flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "sendmsg");
    return kth_fails(CALLER, ENOBUFS) ? -1 : next(fd, message, flags);
}

EXPORT int setrlimit64(__rlimit_resource_t what, const struct rlimit64 *limit)
{
    static int (*next)(__rlimit_resource_t what, const struct rlimit64 *limit);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "setrlimit64");
    return kth_fails(CALLER, EPERM) ? -1 : next(what, limit);
}

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    static int (*next)(int fd, int level, int name, const void *value, socklen_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "setsockopt");
    return kth_fails(CALLER, ENOBUFS) ? -1 : next(fd, level, name, value, size);
}

EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
    static int (*next)(int fd, const sigset_t *set, int flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "signalfd");
    return kth_fails(CALLER, EMFILE) ? -1 : next(fd, set, flags);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    static int (*next)(int how, const sigset_t *set, sigset_t *old);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "sigprocmask");
    return kth_fails(CALLER, EINVAL) ? -1 : next(how, set, old);
}

EXPORT int socket(int family, int type, int protocol)
{
    static int (*next)(int family, int type, int protocol);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "socket");
    return kth_fails(CALLER, EMFILE) ? -1 : next(family, type, protocol);
}

EXPORT int socketpair(int family, int type, int protocol, int fd[2])
{
    static int (*next)(int family, int type, int protocol, int fd[2]);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "socketpair");
    return kth_fails(CALLER, EMFILE) ? -1 : next(family, type, protocol, fd);
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
    static int (*next)(int dir, const char *path, int flags);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "unlinkat");
    return kth_fails(CALLER, EIO) ? -1 : next(dir, path, flags);
}

EXPORT ssize_t write(int fd, const void *octets, size_t size)
{
    static ssize_t (*next)(int fd, const void *octets, size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "write");
    return kth_fails(CALLER, ENOSPC) ? -1 : next(fd, octets, size);
}

EXPORT int sqlite3_exec(void *db, const char *sql, void *row, void *context, char **message)
{
    static int (*next)(void *db, const char *sql, void *row, void *context, char **message);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "sqlite3_exec");
    return kth_fails(CALLER, EIO) ? SQLITE_IO_ERROR : next(db, sql, row, context, message);
}

EXPORT int sqlite3_prepare_v2(void *db, const char *sql, int size, void **statement,
                              const char **tail)
{
    static int (*next)(void *db, const char *sql, int size, void **statement, const char **tail);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "sqlite3_prepare_v2");
    return kth_fails(CALLER, EIO) ? SQLITE_IO_ERROR : next(db, sql, size, statement, tail);
}

EXPORT int sqlite3_step(void *statement)
{
    static int (*next)(void *statement);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "sqlite3_step");
    return kth_fails(CALLER, EIO) ? SQLITE_IO_ERROR : next(statement);
}

EXPORT int EVP_DigestSign(void *context, unsigned char *out, size_t *size, const unsigned char *in,
                          size_t in_size)
{
    static int (*next)(void *context, unsigned char *out, size_t *size, const unsigned char *in,
                       size_t in_size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "EVP_DigestSign");
    return kth_fails(CALLER, EIO) ? 0 : next(context, out, size, in, in_size);
}

EXPORT int EVP_DigestInit_ex2(void *context, const void *type, const void *parameters)
{
    static int (*next)(void *context, const void *type, const void *parameters);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "EVP_DigestInit_ex2");
    return kth_fails(CALLER, EIO) ? 0 : next(context, type, parameters);
}

EXPORT void *EVP_PKEY_new_raw_private_key(int type, void *engine, const unsigned char *key,
                                          size_t size)
{
    static void *(*next)(int type, void *engine, const unsigned char *key, size_t size);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "EVP_PKEY_new_raw_private_key");
    return kth_fails(CALLER, EIO) ? NULL : next(type, engine, key, size);
}

EXPORT void *EVP_MD_fetch(void *context, const char *name, const char *properties)
{
    static void *(*next)(void *context, const char *name, const char *properties);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "EVP_MD_fetch");
    return kth_fails(CALLER, EIO) ? NULL : next(context, name, properties);
}
