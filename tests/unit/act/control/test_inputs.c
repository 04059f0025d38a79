/* The files that shop.yaml names: all read before anything is applied, errors with their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/control/inputs.h"
#include "base/buffer.h"

#define NOW_MS INT64_C(1764000000000) /* 2025-11-24 */

struct fixture {
    char folder[64], campaigns[96], customers[96], history[96];
    struct shop shop; /* only what names files */
    struct inputs inputs;
    struct config_report report;
};

static int set_up(void **state) {
    static struct fixture f;
    memset(&f, 0, sizeof f);
    strcpy(f.folder, "/tmp/tidegate-inputs-XXXXXX");
    *state = &f;
    if (mkdtemp(f.folder) == NULL) {
        return 1;
    }
    snprintf(f.campaigns, sizeof f.campaigns, "%s/campaigns.csv", f.folder);
    snprintf(f.customers, sizeof f.customers, "%s/customers.csv", f.folder);
    snprintf(f.history, sizeof f.history, "%s/history.csv", f.folder);
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    char command[96];
    config_report_fini(&f->report);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    return system(command);
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

#define CAMPAIGNS "start,end,name,kind,multiplier\n2025-11-28,2025-11-29,Black Friday,sale,3\n"
#define CUSTOMERS "customer,expected_value\nada,12.5\nbob,0\n"
#define HISTORY                                                                                    \
    "time,requests\n2025-11-01T00:00:00Z,10\n2025-11-01T00:01:00Z,12\n2025-11-01T00:02:00Z,11\n"

static void needs_no_files(void **state) {
    struct fixture *f = *state;
    struct error err;
    assert_true(inputs_load(&f->shop, NOW_MS, &f->inputs, &err));
    assert_null(f->inputs.history_column);
    assert_int_equal(f->inputs.lifetime.len, 0);
    inputs_fini(&f->inputs);
}

static void reads_all(void **state) {
    struct fixture *f = *state;
    struct error err;
    write_file(f->campaigns, CAMPAIGNS);
    write_file(f->customers, CUSTOMERS);
    write_file(f->history, HISTORY);
    f->shop.demand.campaigns = f->campaigns;
    f->shop.demand.history = f->history;
    f->shop.demand.holidays[0] = SLICE("DE");
    f->shop.demand.holiday_count = 1;
    f->shop.value.lifetime = f->customers;
    if (!inputs_load(&f->shop, NOW_MS, &f->inputs, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(f->inputs.lifetime.len, 2);
    assert_true(slice_equal(f->inputs.lifetime.customers[0].id, SLICE("ada")));
    assert_int_equal(f->inputs.history.slots, 3);
    assert_non_null(f->inputs.history_column);
    assert_true(f->inputs.history_column->values[1] == 12);
    assert_true(f->inputs.calendar.len > 10); /* the campaign, and the holidays of two years */
    inputs_fini(&f->inputs);
    assert_true(inputs_check(&f->shop, NOW_MS, &f->report));
    assert_int_equal(f->report.errors, 0);
}

/* Whatever is wrong becomes one line of the report: `file:line:column: what`. */
static void says_where(void **state) {
    static const struct {
        const char *campaigns, *customers, *history; /* NULL: not named; "-": not there */
        const char *report;                          /* a prefix, after the folder */
    } cases[] = {
        { "-", NULL, NULL, "campaigns.csv: " },
        { NULL, "-", NULL, "customers.csv: " },
        { NULL, NULL, "-", "history.csv: " },
        { "start,end,name,kind\n2025-11-28,soon,x,sale\n", NULL, NULL, "campaigns.csv:2:12: " },
        { "start,name\n2025-11-28,x\n", NULL, NULL, "campaigns.csv:1:" },
        { "start,end,name,kind,multiplier\n2025-11-28,2025-11-29,x,sale,many\n", NULL, NULL,
          "campaigns.csv:2:30: " },
        { NULL, "customer,expected_value\nada,12\nbob,much\n", NULL, "customers.csv:3:5: " },
        { NULL, "customer,value\nada,12\n", NULL, "customers.csv:1:" },
        { NULL, "customer,expected_value\nada,1\nada,2\n", NULL, "customers.csv:3:" },
        { NULL, NULL, "time,requests\n2025-11-01T00:00:00Z,1\nyesterday,2\n", "history.csv:3:1: " },
        { NULL, NULL, "time,requests\n2025-11-01T00:00:00Z,1\n2025-11-01T00:01:00Z,x\n",
          "history.csv:3:22: expected a number in column 'requests'" },
        { NULL, NULL, "time\n2025-11-01T00:00:00Z\n2025-11-01T00:01:00Z\n", "history.csv" },
        { NULL, NULL, "", "history.csv" },
        /* A good file before a bad one is let go of. */
        { CAMPAIGNS, CUSTOMERS, "time,requests\nx,1\n", "history.csv:2:1: " },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *texts[] = { cases[i].campaigns, cases[i].customers, cases[i].history };
        const char *paths[] = { f->campaigns, f->customers, f->history };
        const char **named[] = { &f->shop.demand.campaigns, &f->shop.value.lifetime,
                                 &f->shop.demand.history };
        for (int k = 0; k < 3; k++) {
            *named[k] = texts[k] == NULL ? NULL : paths[k];
            unlink(paths[k]);
            if (texts[k] != NULL && strcmp(texts[k], "-") != 0) {
                write_file(paths[k], texts[k]);
            }
        }
        config_report_fini(&f->report);
        bool good = inputs_check(&f->shop, NOW_MS, &f->report);
        (void)buffer_append_byte(&f->report.text, '\0');
        const char *said = buffer_slice(&f->report.text).data;
        size_t folder_len = strlen(f->folder) + 1;
        size_t said_len = strlen(said), wanted_len = strlen(cases[i].report);
        if (good || f->report.errors != 1 || said_len < folder_len + wanted_len + 10 ||
            strncmp(said + folder_len, cases[i].report, wanted_len) != 0 ||
            strchr(said, '\n') != said + said_len - 1) {
            fail_msg("case %zu: %d: %s", i, good, said);
        }
    }
}

/* The text of an error, split so that the report counts and shows it as its own. */
static void takes_the_place_out_of_the_text(void **state) {
    static const struct {
        const char *text, *line;
    } cases[] = {
        { "a.csv:3:5: expected a number", "a.csv:3:5: expected a number\n" },
        { "a.csv: No such file or directory", "a.csv: No such file or directory\n" },
        { "a.csv:3: expected a number", "a.csv:3:1: expected a number\n" },
        { "a.csv:3:5: expected 'x:y', found 7: no", "a.csv:3:5: expected 'x:y', found 7: no\n" },
        { "memory is out", "input files: memory is out\n" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = { .kind = ERROR_INVALID };
        strcpy(err.text, cases[i].text);
        config_report_fini(&f->report);
        inputs_report(&err, &f->report);
        assert_int_equal(f->report.errors, 1);
        (void)buffer_append_byte(&f->report.text, '\0');
        assert_string_equal(buffer_slice(&f->report.text).data, cases[i].line);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(needs_no_files),
        TEST(reads_all),
        TEST(says_where),
        TEST(takes_the_place_out_of_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
