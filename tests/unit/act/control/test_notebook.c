/* What was learned of each service, in memory that outlives a controller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/control/notebook.h"

static struct notebook *notebook;

static int set_up(void **state) {
    struct error err;
    (void)state;
    notebook = notebook_new(&err);
    return notebook == NULL;
}

static int tear_down(void **state) {
    (void)state;
    notebook_free(notebook);
    notebook_free(NULL);
    return 0;
}

static void has_a_page_for_each_name(void **state) {
    (void)state;
    assert_null(notebook_find(notebook, "shop"));
    struct notebook_page *shop = notebook_take(notebook, "shop");
    struct notebook_page *shop2 = notebook_take(notebook, "shop2");
    struct notebook_page *sho = notebook_take(notebook, "sho");
    assert_non_null(shop);
    assert_ptr_not_equal(shop, shop2);
    assert_ptr_not_equal(shop, sho);
    assert_string_equal(shop->service, "shop");
    assert_ptr_equal(notebook_take(notebook, "shop"), shop);
    assert_ptr_equal(notebook_find(notebook, "shop2"), shop2);
    assert_ptr_equal(notebook_find(notebook, "sho"), sho);
    assert_null(notebook_find(notebook, "sh"));
}

static void is_full_at_its_limit(void **state) {
    char name[32];
    (void)state;
    for (int i = 0; i < PLAN_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "service-%d", i);
        assert_non_null(notebook_take(notebook, name));
    }
    assert_null(notebook_take(notebook, "one more"));
    assert_ptr_equal(notebook_take(notebook, "service-7"), &notebook->pages[7]);
}

static void finds_names_that_were_cut(void **state) {
    char name[2 * PLAN_NAME_BYTES];
    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct notebook_page *page = notebook_take(notebook, name);
    assert_int_equal(strlen(page->service), PLAN_NAME_BYTES - 1);
    assert_ptr_equal(notebook_take(notebook, name), page);
}

static void is_shared_with_children(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        notebook_take(notebook, "learned")->lead = (struct lead_time){ 0 };
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_non_null(notebook_find(notebook, "learned"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(has_a_page_for_each_name),
        TEST(is_full_at_its_limit),
        TEST(finds_names_that_were_cut),
        TEST(is_shared_with_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
