/* slow_disk: preloaded into a program, lets what waits for the disk wait as long as the file
 * SLOW_DISK_FILE is there. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_for_it(void)
{
    const struct timespec moment = { 0, 5000000 };
    const char *path = getenv("SLOW_DISK_FILE");

    while (path && access(path, F_OK) == 0)
        (void)nanosleep(&moment, NULL);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    wait_for_it();
    return (int)syscall(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int syncfs(int fd)
{
    wait_for_it();
    return (int)syscall(SYS_syncfs, fd);
}
