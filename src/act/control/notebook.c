#include "act/control/notebook.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct notebook *notebook_new(struct error *err) {
    void *memory = mmap(NULL, sizeof(struct notebook), PROT_READ | PROT_WRITE,
                        /* cppcheck-suppress invalidFunctionArg; an anonymous one has no file */
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        error_system(err, "memory for the notebook");
        return NULL;
    }
    return memory;
}

void notebook_free(struct notebook *notebook) {
    if (notebook != NULL) {
        munmap(notebook, sizeof *notebook);
    }
}

struct notebook_page *notebook_find(struct notebook *notebook, const char *service) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (strncmp(notebook->pages[i].service, service, PLAN_NAME_BYTES - 1) == 0) {
            return &notebook->pages[i];
        }
    }
    return NULL;
}

struct notebook_page *notebook_take(struct notebook *notebook, const char *service) {
    struct notebook_page *page = notebook_find(notebook, service);
    if (page == NULL) {
        page = notebook_find(notebook, "");
        if (page != NULL) {
            snprintf(page->service, sizeof page->service, "%s", service);
        }
    }
    return page;
}
