#include "act/control/sense.h"

#include <string.h>

void sense_read_service(const struct vitals *vitals, unsigned index, struct service_reading *out) {
    memset(out, 0, sizeof *out);
    for (unsigned w = 0; w < vitals->worker_count; w++) {
        const struct vitals_service *from = &vitals->workers[w].services[index];
        for (int stage = 0; stage < STAGE_COUNT; stage++) {
            out->offered[stage] += vitals_get(&from->offered[stage]);
            out->served[stage] += vitals_get(&from->served[stage]);
            out->refused[stage] += vitals_get(&from->refused[stage]);
            out->failed[stage] += vitals_get(&from->failed[stage]);
            histogram_add(&out->latency_us[stage], &from->latency_us[stage]);
        }
        out->retries += vitals_retries(from);
        out->retries_refused += vitals_get(&from->retries_refused);
        out->hedges += vitals_get(&from->hedges_sent);
        out->hedges_won += vitals_get(&from->hedges_won);
    }
}

static uint64_t since(const uint64_t now[STAGE_COUNT], const uint64_t before[STAGE_COUNT]) {
    uint64_t sum = 0;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        sum += now[stage] - before[stage];
    }
    return sum;
}

static uint32_t quantile_us(const struct histogram *h, double q) {
    uint64_t value = histogram_quantile(h, q);
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static uint32_t count_above(const struct histogram *h, uint32_t limit_us) {
    uint64_t above = 0;
    for (unsigned i = HISTOGRAM_BUCKETS; i-- > 0 && histogram_bucket_upper(i) > limit_us;) {
        above += vitals_get(&h->count[i]);
    }
    return (uint32_t)above;
}

static void sense_latency(const struct service_reading *now, const struct service_reading *before,
                          uint32_t objective_us, struct service_second *out) {
    static struct histogram all, stage_only; /* 8 KiB each: not for the stack of a callback */
    memset(&all, 0, sizeof all);
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        histogram_difference(&stage_only, &now->latency_us[stage], &before->latency_us[stage]);
        out->stage_us_p50[stage] = quantile_us(&stage_only, 0.50);
        out->stage_us_p95[stage] = quantile_us(&stage_only, 0.95);
        out->stage_us_p99[stage] = quantile_us(&stage_only, 0.99);
        histogram_add(&all, &stage_only);
    }
    out->latency_us_p50 = quantile_us(&all, 0.50);
    out->latency_us_p95 = quantile_us(&all, 0.95);
    out->latency_us_p99 = quantile_us(&all, 0.99);
    out->answers = vitals_get(&all.total_count);
    out->over_objective = count_above(&all, objective_us);
}

static void sense_now(const struct vitals *vitals, unsigned index, struct service_second *out) {
    for (unsigned w = 0; w < vitals->worker_count; w++) {
        const struct vitals_service *from = &vitals->workers[w].services[index];
        out->in_flight += atomic_load_explicit(&from->in_flight, memory_order_relaxed);
        out->waiting += atomic_load_explicit(&from->waiting, memory_order_relaxed);
    }
}

bool sense_service(const struct vitals *vitals, unsigned index, uint32_t objective_us,
                   uint64_t now_us, struct service_reading *last, struct service_second *out) {
    static struct service_reading now;
    sense_read_service(vitals, index, &now);
    now.at_us = now_us;
    bool first = last->at_us == 0 || now_us <= last->at_us;
    memset(out, 0, sizeof *out);
    if (!first) {
        out->seconds = (double)(now_us - last->at_us) / 1e6;
        out->offered_rps = (double)since(now.offered, last->offered) / out->seconds;
        out->served_rps = (double)since(now.served, last->served) / out->seconds;
        out->refused_rps = (double)since(now.refused, last->refused) / out->seconds;
        out->failed_rps = (double)since(now.failed, last->failed) / out->seconds;
        out->retries_rps = (double)(now.retries - last->retries) / out->seconds;
        out->retries_refused_rps =
            (double)(now.retries_refused - last->retries_refused) / out->seconds;
        out->hedges_rps = (double)(now.hedges - last->hedges) / out->seconds;
        out->hedges_won_rps = (double)(now.hedges_won - last->hedges_won) / out->seconds;
        for (int stage = 0; stage < STAGE_COUNT; stage++) {
            uint64_t offered = now.offered[stage] - last->offered[stage];
            out->offered_stage_rps[stage] = (double)offered / out->seconds;
            out->served_stage[stage] = now.served[stage] - last->served[stage];
        }
        sense_latency(&now, last, objective_us, out);
        sense_now(vitals, index, out);
    }
    *last = now;
    return !first;
}

void sense_read_endpoint(const struct vitals *vitals, unsigned slot, uint32_t generation,
                         struct endpoint_reading *out) {
    memset(out, 0, sizeof *out);
    out->generation = generation;
    for (unsigned w = 0; w < vitals->worker_count; w++) {
        const struct vitals_endpoint *from = &vitals->workers[w].endpoints[slot];
        if (atomic_load_explicit(&from->generation, memory_order_acquire) != generation) {
            continue;
        }
        out->requests += vitals_get(&from->requests);
        out->failures += vitals_get(&from->failures);
        out->connect_failures += vitals_get(&from->connect_failures);
        out->status_5xx += vitals_get(&from->status_5xx);
        out->latency_us_sum += vitals_get(&from->latency_us_sum);
        out->answers += vitals_get(&from->answers);
        histogram_add(&out->first_byte_us, &from->first_byte_us);
    }
}

void sense_endpoint(const struct vitals *vitals, unsigned slot, uint32_t generation,
                    const struct endpoint_reading *before, const struct endpoint_reading *now,
                    uint64_t now_us, struct endpoint_window *out) {
    static struct histogram window;
    uint64_t oldest_us = vitals_endpoint_oldest_us(vitals, slot, generation);
    memset(out, 0, sizeof *out);
    out->in_flight = vitals_endpoint_in_flight(vitals, slot, generation);
    out->awaiting = vitals_endpoint_awaiting(vitals, slot, generation);
    if (oldest_us != 0 && now_us > oldest_us) {
        out->oldest_age_ms = (uint32_t)((now_us - oldest_us) / 1000);
    }
    if (before->generation != generation) {
        return; /* another endpoint had the slot: nothing to compare with yet */
    }
    out->requests = now->requests - before->requests;
    out->failures = now->failures - before->failures;
    out->status_5xx = now->status_5xx - before->status_5xx;
    out->answers = now->answers - before->answers;
    out->latency_us_sum = now->latency_us_sum - before->latency_us_sum;
    histogram_difference(&window, &now->first_byte_us, &before->first_byte_us);
    out->latency_us_p50 = quantile_us(&window, 0.50);
    out->latency_us_p99 = quantile_us(&window, 0.99);
}
