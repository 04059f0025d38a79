#include "decide/value/lifetime.h"

#include <stdlib.h>

#include "base/parse.h"
#include "decide/value/value.h"
#include "record/series/csv.h"

#define FIRST_CAPACITY 1024

struct columns {
    size_t id, value;
};

static bool read_header(struct csv_reader *csv, struct columns *columns, struct error *err) {
    enum csv_result result = csv_next(csv, err);
    if (result == CSV_BAD) {
        return false;
    }
    columns->id = result == CSV_RECORD ? csv_find(csv, SLICE("customer")) : SLICE_NONE;
    columns->value = result == CSV_RECORD ? csv_find(csv, SLICE("expected_value")) : SLICE_NONE;
    if (columns->id == SLICE_NONE || columns->value == SLICE_NONE) {
        return csv_error(csv, 0, err,
                         "expected a header with the columns customer and "
                         "expected_value");
    }
    return true;
}

static bool read_customer(const struct csv_reader *csv, const struct columns *columns,
                          struct lifetime_customer *customer, struct error *err) {
    if (columns->id >= csv->len || csv->cells[columns->id].text.len == 0) {
        return csv_error(csv, columns->id, err, "expected the customer's id");
    }
    if (columns->value >= csv->len ||
        !parse_double(slice_trim(csv->cells[columns->value].text), &customer->expected_value) ||
        customer->expected_value < 0 || customer->expected_value > VALUE_CUSTOMER_MAX) {
        return csv_error(csv, columns->value, err,
                         "expected the customer's value, a number from 0 to %.0f",
                         VALUE_CUSTOMER_MAX);
    }
    customer->id = csv->cells[columns->id].text;
    customer->line = csv->line;
    return true;
}

static bool append(struct lifetime *table, uint32_t *capacity, struct lifetime_customer customer) {
    if (table->len == *capacity) {
        uint32_t larger = *capacity == 0 ? FIRST_CAPACITY : *capacity * 2;
        struct lifetime_customer *customers = realloc(table->customers, larger * sizeof *customers);
        if (customers == NULL) {
            return false;
        }
        table->customers = customers;
        *capacity = larger;
    }
    table->customers[table->len++] = customer;
    return true;
}

static int by_id(const void *a, const void *b) {
    const struct lifetime_customer *x = a, *y = b;
    int order = slice_compare(x->id, y->id);
    return order != 0 ? order : x->line < y->line ? -1 : x->line > y->line;
}

static bool check_unique(const struct lifetime *table, const char *name, struct error *err) {
    for (uint32_t i = 1; i < table->len; i++) {
        const struct lifetime_customer *one = &table->customers[i - 1], *two = one + 1;
        if (slice_equal(one->id, two->id)) {
            return error_set(err, ERROR_INVALID, "%s:%u:1: customer '%.*s' is also in line %u",
                             name, two->line, SLICE_ARG(slice_sub(two->id, 0, 80)), one->line);
        }
    }
    return true;
}

static bool read_rows(struct csv_reader *csv, const struct columns *columns, struct lifetime *table,
                      struct error *err) {
    uint32_t capacity = 0;
    double sum = 0;
    enum csv_result result;
    while ((result = csv_next(csv, err)) == CSV_RECORD) {
        struct lifetime_customer customer = { 0 };
        if (!read_customer(csv, columns, &customer, err)) {
            return false;
        }
        if (table->len == LIFETIME_CUSTOMERS_MAX) {
            return csv_error(csv, 0, err, "expected at most %d customers: keep the most valuable",
                             LIFETIME_CUSTOMERS_MAX);
        }
        if (!append(table, &capacity, customer)) {
            return error_set(err, ERROR_LIMIT, "%s: out of memory", csv->name);
        }
        sum += customer.expected_value;
    }
    table->mean = table->len > 0 ? sum / table->len : 0;
    return result == CSV_END;
}

/* From the growing array into the arena. */
static bool keep(struct lifetime *table, struct arena *arena, const char *name, struct error *err) {
    struct lifetime_customer *kept = arena_array(arena, table->len, sizeof *kept);
    if (kept == NULL) {
        return error_set(err, ERROR_LIMIT, "%s: too large", name);
    }
    for (uint32_t i = 0; i < table->len; i++) {
        kept[i] = table->customers[i];
    }
    free(table->customers);
    table->customers = kept;
    return true;
}

bool lifetime_parse(struct slice text, const char *name, struct arena *arena, struct lifetime *out,
                    struct error *err) {
    struct csv_reader *csv = arena_alloc(arena, sizeof *csv); /* large for a stack */
    struct columns columns;
    struct lifetime table = { 0 };
    if (csv == NULL) {
        return error_set(err, ERROR_LIMIT, "%s: out of memory", name);
    }
    csv_init(csv, text, name, arena);
    if (!read_header(csv, &columns, err)) {
        return false;
    }
    bool read = read_rows(csv, &columns, &table, err);
    if (read && table.len > 0) {
        qsort(table.customers, table.len, sizeof *table.customers, by_id);
        read = check_unique(&table, name, err);
    }
    if (!read || !keep(&table, arena, name, err)) {
        free(table.customers);
        return false;
    }
    *out = table;
    return true;
}
