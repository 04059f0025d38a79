/* What an encoder costs: CPU, bytes left and memory, for each coding and level, on one file.
 *   encoders FILE       pieces of 16 KiB, every fourth flushed; a line per level. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "wire/http/encoder.h"

#define PIECE_BYTES 16384
#define ROUNDS 5

static const int level_max[HTTP_CODINGS] = { 0, ENCODER_GZIP_LEVEL_MAX, ENCODER_BROTLI_LEVEL_MAX,
                                             ENCODER_ZSTD_LEVEL_MAX };

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static size_t code(struct encoder *e, const char *text, size_t len, size_t *most_bytes) {
    static char out[PIECE_BYTES];
    size_t total = 0;
    encoder_begin(e, ENCODER_SIZE_UNKNOWN);
    for (size_t at = 0, number = 1; at < len; at += PIECE_BYTES, number++) {
        struct slice piece = slice_sub(slice_of(text, len), at, PIECE_BYTES);
        enum encoder_action action = at + piece.len == len ? ENCODER_END
                                     : number % 4 == 0     ? ENCODER_FLUSH
                                                           : ENCODER_CONTINUE;
        size_t written;
        enum encoder_result result;
        do {
            result = encoder_run(e, action, &piece, out, sizeof out, &written);
            total += written;
            *most_bytes = encoder_bytes(e) > *most_bytes ? encoder_bytes(e) : *most_bytes;
        } while (result == ENCODER_MORE);
        if (result == ENCODER_FAILED) {
            fprintf(stderr, "an encoder failed\n");
            exit(3);
        }
    }
    return total;
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    static char text[1 << 24];
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    if (len == 0) {
        fprintf(stderr, "usage: encoders FILE\n");
        return 2;
    }
    printf("| %zu bytes | left | MB/s | us | memory |\n| --- | ---: | ---: | ---: | ---: |\n", len);
    for (int coding = HTTP_CODING_GZIP; coding < HTTP_CODINGS; coding++) {
        for (int level = 1; level <= level_max[coding]; level++) {
            struct encoder *e = encoder_new((enum http_coding)coding, level);
            size_t most = 0, left = 0;
            double best = 1e9;
            for (int i = 0; i < ROUNDS; i++) {
                double start = cpu_seconds();
                left = code(e, text, len, &most);
                double took = cpu_seconds() - start;
                best = took < best ? took : best;
            }
            printf("| %s %d | %.1f %% | %.0f | %.0f | %zu KiB |\n",
                   http_coding_name((enum http_coding)coding).data, level,
                   100.0 * (double)left / (double)len, (double)len / best / 1e6, best * 1e6,
                   most >> 10);
            encoder_free(e);
        }
    }
    return 0;
}
