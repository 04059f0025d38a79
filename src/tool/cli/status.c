/* tidegate status: what runs now. */
#include "tool/cli/status.h"

#include <stdlib.h>
#include <string.h>

#include "tool/cli/ask.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"

static const char help[] =
    "usage: tidegate status [shop.yaml] [--json]\n\n"
    "What the Tidegate of this folder (or of that file) does now. Exit status 3 when none runs.\n";

/* "-" for what is not known. */
static const char *number(const json_t *object, const char *key, const char *format, char *room,
                          size_t room_bytes) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) {
        return "-";
    }
    snprintf(room, room_bytes, format, json_number_value(value));
    return room;
}

static const char *color_of(const char *state) {
    return strcmp(state, "serving") == 0   ? "\033[32m"
           : strcmp(state, "warm") == 0    ? "\033[36m"
           : strcmp(state, "ejected") == 0 ? "\033[31m"
                                           : "\033[33m";
}

static void print_instance(const json_t *i, bool color, FILE *to) {
    char a[32], b[32], c[32], d[32], e[32];
    const char *state = ask_text(i, "state", "");
    const json_t *memory = json_object_get(i, "memory_bytes");
    if (json_is_number(memory)) {
        snprintf(e, sizeof e, "%.0f MiB", json_number_value(memory) / 1048576);
    } else {
        strcpy(e, "-");
    }
    fprintf(to, "  %-22s %s%-9s%s %8s %9s rps %7s ms %7s cpu %9s  %s\n", ask_text(i, "id", ""),
            color ? color_of(state) : "", state, color ? "\033[0m" : "",
            number(i, "in_flight", "%.0f", a, sizeof a),
            number(i, "requests_rps", "%.1f", b, sizeof b),
            number(i, "latency_ms", "%.1f", c, sizeof c),
            number(i, "cpu_ratio", "%.2f", d, sizeof d), e, ask_text(i, "note", ""));
}

static void print_service(const json_t *s, bool color, FILE *to) {
    char a[32], b[32], c[32], d[32], e[32], f[32];
    const json_t *latency = json_object_get(s, "latency_ms"), *instance;
    size_t i;
    fprintf(
        to, "%s%s%s  offered %s rps, forecast %s, capacity %s; refused %s, failed %s; p95 %s ms\n",
        color ? "\033[1m" : "", ask_text(s, "name", ""), color ? "\033[0m" : "",
        number(s, "demand_rps", "%.0f", a, sizeof a),
        number(s, "forecast_rps", "%.0f", b, sizeof b),
        number(s, "capacity_rps", "%.0f", c, sizeof c),
        number(s, "refused_rps", "%.0f", d, sizeof d), number(s, "failed_rps", "%.0f", e, sizeof e),
        number(latency, "p95", "%.0f", f, sizeof f));
    if (ask_text(s, "reason", "")[0] != '\0') {
        fprintf(to, "  %s\n", ask_text(s, "reason", ""));
    }
    if (ask_text(s, "trouble", "")[0] != '\0') {
        fprintf(to, "  %strouble: %s%s\n", color ? "\033[31m" : "", ask_text(s, "trouble", ""),
                color ? "\033[0m" : "");
    }
    json_array_foreach (json_object_get(s, "instances"), i, instance) {
        print_instance(instance, color, to);
    }
}

static void print_volume(const json_t *v, bool color, FILE *to) {
    const char *state = ask_text(v, "state", "");
    bool well = strcmp(state, "fine") == 0 || strcmp(state, "unknown") == 0;
    fprintf(to, "%s  %s%s%s  %s\n", ask_text(v, "path", ""), color && !well ? "\033[31m" : "",
            state, color && !well ? "\033[0m" : "", ask_text(v, "text", ""));
}

void status_print(const json_t *status, bool color, FILE *to) {
    const json_t *verdict = json_object_get(status, "verdict"), *service, *volume;
    size_t i;
    fprintf(to, "%s: %s\n", ask_text(verdict, "state", ""), ask_text(verdict, "text", ""));
    fprintf(to, "supervisor %lld, controller %lld, %zu workers, plan %lld\n\n",
            (long long)json_integer_value(json_object_get(status, "supervisor")),
            (long long)json_integer_value(json_object_get(status, "controller")),
            json_array_size(json_object_get(status, "workers")),
            (long long)json_integer_value(json_object_get(status, "plan")));
    json_array_foreach (json_object_get(status, "services"), i, service) {
        print_service(service, color, to);
    }
    json_array_foreach (json_object_get(status, "storage"), i, volume) {
        print_volume(volume, color, to);
    }
}

static const struct option_field options[] = { { "json", OPTION_FLAG, .offset = 0 } };
static const struct options_table table = OPTIONS_TABLE("status", options);

int cli_status(int argc, char **argv) {
    bool json = false;
    struct answer answer;
    struct error err;
    int status;
    if (!options_take(&table, &json, argc, argv, &status)) {
        return status;
    }
    if (argc - optind > 1) {
        return options_misused(&table);
    }
    const char *config_path = optind < argc ? argv[optind] : NULL;
    if (!ask(config_path, "GET", "/api/v1/status", &answer, &err)) {
        fprintf(stderr, "tidegate status: %s\n", err.text);
        return EXIT_BROKE;
    }
    bool good = answer.status == 200 && answer.body != NULL;
    if (good && json) {
        ask_print_json(answer.body);
    } else if (good) {
        status_print(answer.body, false, stdout);
    } else {
        fprintf(stderr, "tidegate status: it answered %d\n", answer.status);
    }
    answer_fini(&answer);
    return good ? EXIT_DONE : EXIT_BROKE;
}
