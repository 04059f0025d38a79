/* tidegate top: what runs now, live in the terminal. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "tool/cli/ask.h"
#include "tool/cli/options.h"
#include "tool/cli/status.h"
#include "tool/cli/verbs.h"

#define PERIOD_MS 1000
#define SCREEN_BYTES 262144
#define ALTERNATE_SCREEN "\033[?1049h\033[?25l"
#define NORMAL_SCREEN "\033[?25h\033[?1049l"
#define HOME_AND_CLEAR "\033[H\033[J"

static const char help[] = "usage: tidegate top [shop.yaml]\n\n"
                           "As `tidegate status`, once a second, until q or Ctrl-C.\n";

/* False when it is time to end: q, or the terminal is gone. */
static bool wait_for_key(void) {
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    char key;
    if (poll(&in, 1, PERIOD_MS) <= 0) {
        return true;
    }
    return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 3;
}

static bool draw(const char *config_path, struct error *err) {
    static char screen[SCREEN_BYTES];
    struct answer answer;
    if (!ask(config_path, "GET", "/api/v1/status", &answer, err)) {
        return false;
    }
    /* Drawn in memory first: one write does not flicker. */
    FILE *to = fmemopen(screen, sizeof screen, "w");
    if (to != NULL) {
        fputs(HOME_AND_CLEAR, to);
        status_print(answer.body, true, to);
        fclose(to);
        fputs(screen, stdout);
        fflush(stdout);
    }
    answer_fini(&answer);
    return true;
}

static const struct options_table table = { .verb = "top", .help = help };

int cli_top(int argc, char **argv) {
    struct termios before, raw;
    struct error err;
    int status;
    if (!options_take(&table, NULL, argc, argv, &status)) {
        return status;
    }
    if (argc - optind > 1) {
        return options_misused(&table);
    }
    const char *config_path = optind < argc ? argv[optind] : NULL;
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0) {
        fputs("tidegate top: expected a terminal; try `tidegate status`\n", stderr);
        return EXIT_USAGE;
    }
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG); /* Ctrl-C comes as a key: we tidy up */
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs(ALTERNATE_SCREEN, stdout);
    bool good = true;
    do {
        good = draw(config_path, &err);
    } while (good && wait_for_key());
    fputs(NORMAL_SCREEN, stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    if (!good) {
        fprintf(stderr, "tidegate top: %s\n", err.text);
    }
    return good ? EXIT_DONE : EXIT_BROKE;
}
