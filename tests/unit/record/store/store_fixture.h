/* A folder of its own for each test, and in it, once somebody opens it, one database. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sqlite3.h>

#include "record/store/store.h"

static char folder[64];
static const struct slice spec = { "sqlite:state/x.db", 17 };

static inline int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/tidegate-store-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static inline int teardown(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static inline const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/state/%s", folder, name);
    return path;
}

static inline struct store *must_open(void) {
    struct error err = { 0 };
    struct store *s = store_open(spec, folder, &err);
    if (s == NULL) {
        fail_msg("%s", err.text);
    }
    return s;
}

/* Does to the database what no Tidegate would. */
static inline void tamper(const char *sql) {
    sqlite3 *db;
    char *problem = NULL;
    assert_int_equal(sqlite3_open(path_of("x.db"), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &problem) != SQLITE_OK) {
        fail_msg("%s: %s", sql, problem);
    }
    sqlite3_close(db);
}
