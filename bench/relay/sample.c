#include "sample.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net.h"

/* One that has ended counts for nothing any more. proc(5): utime and stime are fields 14 and 15;
 * field 2 is a name in parentheses, which may hold anything. */
static int64_t ticks_of(pid_t pid)
{
    char path[64], text[1024];
    long user, system;
    const char *rest;
    FILE *file;
    size_t size;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    file = fopen(path, "r");
    if (!file)
        return 0;
    size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    rest = strrchr(text, ')');
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user,
                        &system) != 2)
        give_up("/proc/PID/stat is not as expected");
    return user + system;
}

static int64_t ticks_of_all(const struct processes *p)
{
    int64_t all = 0;

    for (size_t i = 0; i < p->count; i++)
        all += ticks_of(p->pid[i]);
    return all;
}

static void machine(struct sample *sample)
{
    long long user, nice, system, irq, softirq, steal;
    FILE *file = fopen("/proc/stat", "r");

    if (!file || fscanf(file, "cpu %lld %lld %lld %*d %*d %lld %lld %lld", &user, &nice, &system,
                        &irq, &softirq, &steal) != 6)
        give_up("/proc/stat is not as expected");
    fclose(file);
    sample->busy_ticks = user + nice + system + irq + softirq;
    sample->steal_ticks = steal;
}

void sample_take(struct sample *sample, const struct processes *relay, const struct processes *own)
{
    sample->at_ns = net_now_ns();
    sample->relay_ticks = ticks_of_all(relay);
    sample->own_ticks = ticks_of_all(own);
    machine(sample);
}

long sample_ticks_per_second(void)
{
    return sysconf(_SC_CLK_TCK);
}
