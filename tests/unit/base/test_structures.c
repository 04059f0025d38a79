/* The heap against a plain array; the histogram against a sorted one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/histogram.h"
#include "base/rand.h"

/* ---- heap ---- */

#define ITEMS 200

struct item {
    struct heap_node node;
    uint32_t key;
};

static bool is_less(const struct heap_node *a, const struct heap_node *b) {
    return HEAP_ITEM_CONST(a, struct item, node)->key < HEAP_ITEM_CONST(b, struct item, node)->key;
}

static uint32_t least_key(const struct item *items, size_t *count) {
    uint32_t least = UINT32_MAX;
    *count = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        if (items[i].node.position != 0) {
            ++*count;
            least = items[i].key < least ? items[i].key : least;
        }
    }
    return least;
}

static void heap_behaves_like_its_twin(void **state) {
    static struct item items[ITEMS];
    struct heap h;
    struct rand r;
    (void)state;
    rand_init(&r, 7041);
    heap_init(&h, is_less);
    for (int step = 0; step < 50000; step++) {
        struct item *one = &items[rand_below(&r, ITEMS)];
        bool in = one->node.position != 0;
        switch (rand_below(&r, 4)) {
        case 0:
        case 1:
            if (!in) {
                one->key = rand_below(&r, 1000);
                assert_true(heap_insert(&h, &one->node));
            }
            break;
        case 2:
            if (in) {
                one->key = rand_below(&r, 1000);
                heap_update(&h, &one->node);
            }
            break;
        default:
            heap_remove(&h, &one->node); /* also when it is not in */
            assert_int_equal(one->node.position, 0);
        }
        size_t count;
        uint32_t least = least_key(items, &count);
        assert_int_equal(h.len, count);
        const struct heap_node *first = heap_first(&h);
        assert_int_equal(first == NULL, count == 0);
        if (first != NULL) {
            assert_int_equal(HEAP_ITEM_CONST(first, struct item, node)->key, least);
        }
        for (size_t i = 1; i <= h.len; i++) {
            assert_int_equal(h.nodes[i]->position, i);
        }
    }
    heap_fini(&h);
    heap_fini(NULL);
}

static void heap_sorts(void **state) {
    static struct item items[ITEMS];
    struct heap h;
    struct rand r;
    uint32_t before = 0;
    (void)state;
    rand_init(&r, 1);
    heap_init(&h, is_less);
    assert_null(heap_first(&h));
    for (int i = 0; i < ITEMS; i++) {
        items[i].key = rand_below(&r, 50);
        assert_true(heap_insert(&h, &items[i].node));
    }
    for (int i = 0; i < ITEMS; i++) {
        struct heap_node *first = heap_first(&h);
        assert_true(HEAP_ITEM(first, struct item, node)->key >= before);
        before = HEAP_ITEM(first, struct item, node)->key;
        heap_remove(&h, first);
    }
    assert_null(heap_first(&h));
    heap_fini(&h);
}

/* ---- histogram ---- */

#define VALUES 5000

static struct histogram histogram, other, sum;

static void histogram_clear(struct histogram *h) {
    memset(h, 0, sizeof *h);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Every value lies in a bucket whose upper end is not below it, nor more than 1/32 above. */
static void buckets_are_narrow(void **state) {
    struct rand r;
    (void)state;
    rand_init(&r, 7041);
    for (int i = 0; i < 200000; i++) {
        uint64_t value = i < 5000 ? (uint64_t)i : rand_next(&r) >> (28 + rand_below(&r, 36));
        histogram_clear(&histogram);
        histogram_record(&histogram, value);
        uint64_t upper = histogram_quantile(&histogram, 0.5);
        if (upper < value || upper - value > value / 32) {
            fail_msg("%llu: %llu", (unsigned long long)value, (unsigned long long)upper);
        }
        if (i % 64 != 0) { /* clearing is what costs */
            i += 3;
        }
    }
}

static void buckets_are_in_order(void **state) {
    (void)state;
    for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++) {
        assert_true(histogram_bucket_upper(i) > histogram_bucket_upper(i - 1));
    }
    assert_int_equal(histogram_bucket_upper(HISTOGRAM_BUCKETS - 1),
                     (UINT64_C(1) << HISTOGRAM_TOP_BITS) - 1);
}

static void quantiles_are_close(void **state) {
    static uint64_t values[VALUES];
    static const double quantiles[] = { 0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };
    struct rand r;
    double total = 0;
    (void)state;
    rand_init(&r, 42);
    histogram_clear(&histogram);
    for (int i = 0; i < VALUES; i++) { /* latencies: log-normal around 3 ms */
        values[i] = (uint64_t)exp(8 + 1.5 * rand_normal(&r));
        histogram_record(&histogram, values[i]);
        total += (double)values[i];
    }
    qsort(values, VALUES, sizeof *values, by_value);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        size_t rank = (size_t)ceil(quantiles[i] * VALUES);
        uint64_t exact = values[rank == 0 ? 0 : rank - 1];
        uint64_t estimate = histogram_quantile(&histogram, quantiles[i]);
        assert_true(estimate >= exact && estimate <= exact + exact / 32);
    }
    assert_float_equal(histogram_mean(&histogram), total / VALUES, 1e-6);
}

static void the_empty_and_the_huge(void **state) {
    (void)state;
    histogram_clear(&histogram);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    assert_float_equal(histogram_mean(&histogram), 0, 0);
    histogram_record(&histogram, UINT64_MAX);
    histogram_record(&histogram, UINT64_C(1) << HISTOGRAM_TOP_BITS);
    assert_int_equal(histogram_quantile(&histogram, 1),
                     histogram_bucket_upper(HISTOGRAM_BUCKETS - 1));
}

static void adds_and_subtracts(void **state) {
    struct rand r;
    (void)state;
    rand_init(&r, 3);
    histogram_clear(&histogram);
    histogram_clear(&other);
    for (int i = 0; i < 3000; i++) {
        histogram_record(&histogram, rand_below(&r, 1000000));
        histogram_record(&other, rand_below(&r, 1000));
    }
    memcpy(&sum, &histogram, sizeof sum);
    histogram_add(&sum, &other);
    assert_int_equal(sum.total_count, 6000);
    struct histogram *back = calloc(1, sizeof *back);
    assert_non_null(back);
    histogram_difference(back, &sum, &histogram);
    assert_memory_equal(back, &other, sizeof other);
    free(back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_behaves_like_its_twin), cmocka_unit_test(heap_sorts),
        cmocka_unit_test(buckets_are_narrow),         cmocka_unit_test(buckets_are_in_order),
        cmocka_unit_test(quantiles_are_close),        cmocka_unit_test(the_empty_and_the_huge),
        cmocka_unit_test(adds_and_subtracts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
