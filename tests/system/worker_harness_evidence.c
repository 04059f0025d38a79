#include "worker_harness_evidence.h"

#include <stdio.h>

#include "decide/balance/ejection.h"

static const char *truth(bool value) {
    return value ? "true" : "false";
}

void harness_print_endpoint(const struct vitals *vitals, unsigned slot) {
    const struct vitals_shared_endpoint *e = &vitals->shared[slot];
    printf(",\"out\":%s,\"cause\":\"%s\",\"ejections\":%u,\"cold\":%u}",
           truth(vitals_get(&e->ejected_until_us) != 0),
           ejection_cause_name((enum ejection_cause)atomic_load(&e->cause)),
           atomic_load(&e->ejections), atomic_load(&e->cold_steps));
}

void harness_print_workers(const struct vitals *vitals) {
    printf("\"panic\":%s,\"accepted_by\":[",
           truth(vitals_get(&vitals->shared_services[0].panic_until_us) != 0));
    for (unsigned i = 0; i < vitals->worker_count; i++) {
        printf("%s%llu", i == 0 ? "" : ",",
               (unsigned long long)vitals_get(&vitals->workers[i].connections_accepted));
    }
    printf("],");
}

void harness_print_events(struct vitals *vitals) {
    static const char *const kinds[EVENT_KINDS] = { "ejected", "returned", "panic", "panic_over",
                                                    "warm" };
    struct vitals_event e;
    bool first = true;
    printf("[");
    for (unsigned i = 0; i < vitals->worker_count; i++) {
        while (vitals_hear(&vitals->workers[i], &e)) {
            printf("%s{\"kind\":\"%s\",\"cause\":\"%s\",\"worker\":%u,\"endpoint\":%u,\"out\":%u,"
                   "\"total\":%u,\"silent_us\":%u,\"in_a_row\":%u}",
                   first ? "" : ",", kinds[e.kind],
                   ejection_cause_name((enum ejection_cause)e.cause), i, e.endpoint, e.out, e.total,
                   e.silent_us, e.in_a_row);
            first = false;
        }
    }
    printf("]\n");
}
