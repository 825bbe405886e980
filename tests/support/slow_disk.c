/* slow_disk: preloaded into a program, lets what waits for the disk wait as long as the file
 * SLOW_DISK_FILE is there, and what lists a directory that is open as long as SLOW_LIST_FILE is. */
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_for_it(const char *variable)
{
    const struct timespec moment = { 0, 5000000 };
    const char *path = getenv(variable);

    while (path && access(path, F_OK) == 0)
        (void)nanosleep(&moment, NULL);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    wait_for_it("SLOW_DISK_FILE");
    return (int)syscall(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int syncfs(int fd)
{
    wait_for_it("SLOW_DISK_FILE");
    return (int)syscall(SYS_syncfs, fd);
}

__attribute__((visibility("default"))) DIR *fdopendir(int fd)
{
    DIR *(*next)(int) = NULL;

    *(void **)&next = dlsym(RTLD_NEXT, "fdopendir");
    wait_for_it("SLOW_LIST_FILE");
    return next ? next(fd) : NULL;
}
