#include "cli.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT_MS = 5000 };

/* What is wanted of a home, from the bottom up; the first that fails gives the exit code. */
struct report {
    struct cn_cli *cli;
    int code;
};

static void tell(struct report *report, const char *check, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void tell(struct report *report, const char *check, int code, const char *format, ...)
{
    char text[1024];
    char safe[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (report->code == CN_EXIT_DONE)
        report->code = code;
    if (report->cli->json) {
        printf("{\"v\":1,\"event\":\"check\",\"check\":\"%s\",\"good\":%s,\"text\":", check,
               code == CN_EXIT_DONE ? "true" : "false");
        cn_json_string(text);
        printf("}\n");
        return;
    }
    printf("%-4s %-10s %s\n", code == CN_EXIT_DONE ? "ok" : "BAD", check,
           cn_printable(safe, sizeof safe, text, strlen(text)));
}

static void tell_failure(struct report *report, const char *check, enum cn_err err)
{
    const struct cn_detail *detail = cn_home_detail(report->cli->home);

    tell(report, check, cn_exit_code(err), "%s%s%s", detail->about, detail->about[0] ? ": " : "",
         detail->system_error ? strerror(detail->system_error) : cn_err_text(err));
}

static void check_program(struct report *report)
{
    tell(report, "program", CN_EXIT_DONE, "cyphernet %s, %s, ML-KEM-768 of %s", cn_version(),
         cn_version_crypto(), cn_version_mlkem());
}

/* Locking too little is no failure: calls work, but secrets may reach the swap space. */
static void check_memory(struct report *report)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= 1 << 20)
        return;
    tell(report, "memory", CN_EXIT_DONE,
         "only %llu KiB may be locked (ulimit -l): secrets may be swapped out",
         (unsigned long long)limit.rlim_cur / 1024);
}

static void check_identity(struct report *report)
{
    const char *kind;
    enum cn_err err = cn_home_identity_kind(report->cli->home, &kind);

    if (err == CN_E_ABSENT)
        tell(report, "identity", CN_EXIT_FAILED, "none yet: `cyphernet init` or `cyphernet join`");
    else if (err != CN_OK)
        tell_failure(report, "identity", err);
    else
        tell(report, "identity", CN_EXIT_DONE, "%s and ML-KEM-768", kind);
}

static void check_dates(struct report *report, const struct cn_admission_info *info)
{
    uint64_t now = (uint64_t)time(NULL);
    long long days;

    if (now < info->not_before) {
        tell(report, "admission", CN_EXIT_NOT_ADMITTED,
             "%s: not valid yet; is this computer's clock right?", info->label);
        return;
    }
    if (now >= info->not_after) {
        tell(report, "admission", CN_EXIT_NOT_ADMITTED,
             "%s: expired; ask the operator for a new fingerprint", info->label);
        return;
    }
    days = (long long)((info->not_after - now) / 86400);
    tell(report, "admission", CN_EXIT_DONE, "%s, number %llu, %lld days left", info->label,
         (unsigned long long)info->serial, days);
}

/* errno of connecting, or 0. */
static int connect_try(const struct addrinfo *at)
{
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    struct pollfd ready = { .fd = fd, .events = POLLOUT };
    int failure = 0;
    socklen_t size = sizeof failure;

    if (fd < 0)
        return errno;
    /* EINPROGRESS: it goes on */
    if (connect(fd, at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS)
        failure = errno;
    else if (poll(&ready, 1, CONNECT_MS) != 1)
        failure = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    close(fd);
    return failure;
}

/* address: HOST:PORT or [IPV6]:PORT, as checked when the fingerprint was read. */
static void check_address(struct report *report, const char *address)
{
    const struct addrinfo want = { .ai_socktype = SOCK_STREAM };
    const char *colon = strrchr(address, ':');
    bool brackets = address[0] == '[';
    struct addrinfo *found = NULL;
    char host[256];
    int failure;

    snprintf(host, sizeof host, "%.*s", (int)(colon - address) - (brackets ? 2 : 0),
             address + (brackets ? 1 : 0));
    failure = getaddrinfo(host, colon + 1, &want, &found);
    if (failure != 0) {
        tell(report, "server", CN_EXIT_UNREACHABLE, "%s: %s", address, gai_strerror(failure));
        return;
    }
    failure = ETIMEDOUT;
    for (const struct addrinfo *at = found; at && failure != 0; at = at->ai_next)
        failure = connect_try(at);
    freeaddrinfo(found);
    if (failure != 0)
        tell(report, "server", CN_EXIT_UNREACHABLE, "%s: %s", address, strerror(failure));
    else
        tell(report, "server", CN_EXIT_DONE, "%s takes connections", address);
}

static void check_admission(struct report *report)
{
    struct cn_admission_info info;
    enum cn_err err = cn_home_admission(report->cli->home, &info);

    if (err == CN_E_ABSENT) {
        tell(report, "admission", CN_EXIT_FAILED, "not joined yet: `cyphernet join FILE`");
        return;
    }
    if (err != CN_OK) {
        tell_failure(report, "admission", err);
        return;
    }
    check_dates(report, &info);
    for (size_t i = 0; i < info.address_count; i++)
        check_address(report, info.address[i]);
}

static void check_contacts(struct report *report)
{
    struct cn_contact_info *contacts = NULL;
    size_t count = 0, ready = 0, verified = 0;
    enum cn_err err = cn_contact_list(report->cli->home, &contacts, &count);

    if (err != CN_OK) {
        tell_failure(report, "contacts", err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        ready += contacts[i].safety[0] != '\0';
        verified += contacts[i].verified;
    }
    free(contacts);
    tell(report, "contacts", CN_EXIT_DONE, "%zu, of these %zu can be called, %zu verified", count,
         ready, verified);
}

static int run(struct cn_cli *cli)
{
    struct report report = { cli, CN_EXIT_DONE };

    check_program(&report);
    check_memory(&report);
    check_identity(&report);
    check_admission(&report);
    check_contacts(&report);
    return report.code;
}

const struct cn_command cn_cmd_doctor = {
    .name = "doctor",
    .usage = "doctor [--json]",
    .summary = "Tell what is set up, what is missing, and whether the server answers",
    .help = "Changes nothing. The exit code is that of the first thing that is wrong.\n",
    .run = run,
};
