/* HPA: the Kubernetes HorizontalPodAutoscaler (autoscaling/v2) on CPU, with its published algorithm
 * and defaults (kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale, v1.31):
 *   every 15 s: ratio = utilisation / target (80 %); within 1 +- 0.1 nothing happens;
 *   desired = ceil(instances x ratio); when scaling up, pods not ready yet count with 0
 * utilisation; down: the highest desired of the last 300 s; up: at most max(4 pods, 100 %) in 15 s.
 * CPU saturates: utilisation is at most 1, whatever the demand. */
#pragma once
#include <stdint.h>

#define HPA_TARGET_RATIO 0.8
#define HPA_TOLERANCE_RATIO 0.1
#define HPA_SYNC_MS 15000
#define HPA_DOWN_STABILISATION_MS 300000
#define HPA_UP_PODS 4
#define HPA_WINDOW (HPA_DOWN_STABILISATION_MS / HPA_SYNC_MS + 1)

struct hpa {
    uint32_t min, max;
    uint32_t desired[HPA_WINDOW]; /* ring of the last recommendations */
    uint64_t syncs;
};

void hpa_init(struct hpa *h, uint32_t min, uint32_t max);

/* One sync: `utilisation` is the mean of the serving instances since the last one. */
uint32_t hpa_sync(struct hpa *h, uint32_t serving, uint32_t starting, double utilisation_ratio);
