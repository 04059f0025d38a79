/* What is known of an endpoint, after one more answer. */
#include "decide/balance/balance.h"

#define KEEP_RATIO 0.875F    /* a new sample counts an eighth */
#define KEEP_PEAK_RATIO 0.5F /* a latency above the average counts half */
/* A success counts half of that: what had been sent before it began to fail still comes back. */
#define KEEP_FAILING_RATIO 0.9375F
#define USUAL_KEEP_LEAST 0.5F /* one answer after a long silence may be luck */
#define USUAL_STEP 16         /* the part by which the median moves */
#define ERROR_PPM_LEAST 8     /* less is none */

float balance_faded(uint64_t idle_us) {
    uint64_t halvings = idle_us / BALANCE_FADE_US;
    if (halvings >= BALANCE_FADE_HALVINGS_MAX) {
        return 0;
    }
    float rest = (float)(idle_us % BALANCE_FADE_US) / BALANCE_FADE_US;
    return (1 - rest / 2) / (float)(1u << halvings);
}

static float blend(float before, float sample, float keep) {
    return before * keep + sample * (1 - keep);
}

/* At least 1: 0 is "not known". */
static uint32_t whole_us(uint64_t sample_us) {
    return sample_us >= UINT32_MAX ? UINT32_MAX : (uint32_t)sample_us + (sample_us == 0);
}

static uint32_t blend_us(uint32_t before_us, uint32_t sample_us, float keep) {
    float us = blend((float)before_us, (float)sample_us, keep);
    return us >= (float)UINT32_MAX ? UINT32_MAX : us < 1 ? 1 : (uint32_t)us;
}

uint32_t balance_add_latency(uint32_t ewma_us, uint64_t sample_us, uint64_t idle_us) {
    uint32_t sample = whole_us(sample_us);
    float keep = sample > ewma_us ? KEEP_PEAK_RATIO : KEEP_RATIO;
    return ewma_us == 0 ? sample : blend_us(ewma_us, sample, keep * balance_faded(idle_us));
}

uint32_t balance_add_usual(uint32_t usual_us, uint32_t trials, uint64_t sample_us,
                           uint64_t idle_us) {
    uint32_t sample = whole_us(sample_us);
    if (trials < BALANCE_TRIALS) {
        return trials == 0 || sample < usual_us ? sample : usual_us;
    }
    if (idle_us > BALANCE_FADE_US / 64) { /* else it moves by less than a step */
        float keep = balance_faded(idle_us);
        usual_us = blend_us(usual_us, sample, keep < USUAL_KEEP_LEAST ? USUAL_KEEP_LEAST : keep);
    }
    uint32_t step = usual_us / USUAL_STEP + 1;
    if (sample > usual_us) {
        return sample - usual_us < step ? sample : usual_us + step;
    }
    return usual_us - sample < step ? sample : usual_us - step;
}

uint32_t balance_add_error(uint32_t error_ppm, bool failed, uint64_t idle_us) {
    if (error_ppm == 0 && !failed) {
        return 0; /* the usual case */
    }
    float keep = (failed ? KEEP_RATIO : KEEP_FAILING_RATIO) * balance_faded(idle_us);
    float after = blend((float)error_ppm, failed ? BALANCE_PPM : 0, keep);
    return after < ERROR_PPM_LEAST ? 0 : (uint32_t)after;
}
