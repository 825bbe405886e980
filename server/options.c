/* options.c - the command line of cyphernetd. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cyphernetd.h"

#define DIR_DEFAULT "/var/lib/cyphernet"

static void help(void)
{
    puts("usage: cyphernetd [--dir DIR] [-q|-v]\n\n"
         "The central server: joins the lines of two subscribers, and cannot read them.\n"
         "Runs in the foreground and prints one line when it is ready.\n\n"
         "  --dir DIR      the server's directory (default " DIR_DEFAULT ")\n"
         "  --check        tell whether it could start, and exit\n"
         "  -q, --quiet    log nothing but failures\n"
         "  -v, --verbose  log more\n"
         "  -h, --help     tell this\n"
         "  --version      tell the version\n\n"
         "SIGHUP reads configuration and registry again. SIGUSR2 starts the program anew, another\n"
         "version perhaps, while calls go on. SIGTERM sends waiting lines away, lets\n"
         "calls end for a while, and exits. `cyphernetctl init` makes the directory.");
}

static int misuse(const char *before, const char *word, const char *after)
{
    char text[512];

    snprintf(text, sizeof text, "%s%s%s", before, word, after);
    (void)cn_main_fail(text, "cyphernetd --help");
    return CN_EXIT_USAGE;
}

/* -1: none. */
static int number_take(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    return end > text && *end == '\0' && number >= 0 && number <= INT_MAX ? (int)number : -1;
}

/* Whether what a program of this version hands on is understood. */
static bool takes_over(const char *word)
{
    char own[CN_UPGRADE_WORD_SIZE];

    cn_upgrade_word(own);
    return strcmp(word, own) == 0;
}

int cn_options_take(int argc, char **argv, bool *told)
{
    static const struct option options[] = {
        { "dir", required_argument, NULL, 'd' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { "quiet", no_argument, NULL, 'q' },
        { "verbose", no_argument, NULL, 'v' },
        { "check", no_argument, NULL, 'c' },
        /* said by a cyphernetd that is to be replaced */
        { "inherit", required_argument, NULL, 'i' },
        { "takes-over", required_argument, NULL, 't' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    cn_cyphernetd.dir = DIR_DEFAULT;
    while ((option = getopt_long(argc, argv, ":hqv", options, NULL)) != -1) {
        const char letter[] = { '-', (char)optopt, '\0' };

        *told = option == 'h' || option == 'V';
        if (option == 'd')
            cn_cyphernetd.dir = optarg;
        else if (option == 'c')
            cn_cyphernetd.only_checks = true;
        else if (option == 'i')
            cn_cyphernetd.inherit_fd = number_take(optarg);
        else if (option == 't' && !takes_over(optarg))
            return cn_main_fail("it cannot take over from the program that runs",
                                "restart the server");
        else if (option == 't')
            cn_cyphernetd.takes_over = true;
        else if (option == 'q')
            cn_log_level_set(CN_LOG_FAILURES);
        else if (option == 'v')
            cn_log_level_set(CN_LOG_DETAILS);
        else if (option == 'h')
            help();
        else if (option == 'V')
            puts("cyphernetd " CN_VERSION);
        else if (option == ':')
            return misuse("", argv[optind - 1], " needs a value");
        else /* a letter that is none, or a word */
            return misuse("there is no option ",
                          optopt && !strchr("dhVqvcit", optopt) ? letter : argv[optind - 1], "");
        if (*told)
            return CN_EXIT_DONE;
    }
    return optind < argc ? misuse("there is no argument ", argv[optind], "") : CN_EXIT_DONE;
}
