/* openat2.h - a kernel without openat2, when told. For one program, which is linked with
 * --wrap=syscall. */
#ifndef OPENAT2_H
#define OPENAT2_H

#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

static int openat2_error; /* an errno, or 0 */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list list;
    long a, b, c, d;

    va_start(list, number);
    a = va_arg(list, long);
    b = va_arg(list, long);
    c = va_arg(list, long);
    d = va_arg(list, long);
    va_end(list);
    if (number == SYS_openat2 && openat2_error) {
        errno = openat2_error;
        return -1;
    }
    return __real_syscall(number, a, b, c, d);
}

#endif
