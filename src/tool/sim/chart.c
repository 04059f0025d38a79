#include "tool/sim/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WIDTH 960
#define HEIGHT 300
#define LEFT 64
#define RIGHT 12
#define TOP 44
#define BOTTOM 28
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT (HEIGHT - TOP - BOTTOM)
#define MS_PER_DAY INT64_C(86400000)

void chart_write_text(const char *text, FILE *out) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
            break;
        }
    }
}

static double highest(const double *values, size_t from, size_t to) {
    double best = NAN;
    for (size_t i = from; i < to && values != NULL; i++) {
        best = fmax(best, values[i]); /* fmax passes over NaN */
    }
    return best;
}

static double chart_top(const struct chart *c) {
    double top = highest(c->band_high, 0, c->len);
    for (size_t i = 0; i < c->line_count; i++) {
        top = fmax(top, highest(c->lines[i].values, 0, c->len));
    }
    return top > 0 ? top * 1.05 : 1;
}

/* Points are gathered into at most one a pixel. */
static size_t columns_of(const struct chart *c) {
    return c->len < PLOT_WIDTH ? c->len : PLOT_WIDTH;
}

static double column_value(const struct chart *c, const double *values, size_t column) {
    size_t columns = columns_of(c);
    return highest(values, column * c->len / columns, (column + 1) * c->len / columns);
}

static double x_of(const struct chart *c, size_t column) {
    size_t columns = columns_of(c);
    return LEFT + (columns > 1 ? PLOT_WIDTH * (double)column / (double)(columns - 1) : 0);
}

static double y_of(double value, double top) {
    return TOP + PLOT_HEIGHT * (1 - value / top);
}

static void write_line(const struct chart *c, const struct chart_line *line, double top,
                       FILE *out) {
    bool pen_down = false;
    fprintf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" d=\"", line->colour);
    for (size_t i = 0; i < columns_of(c); i++) {
        double value = column_value(c, line->values, i);
        if (isnan(value)) {
            pen_down = false;
            continue;
        }
        if (pen_down && line->steps) {
            fprintf(out, "H%.1f", x_of(c, i));
        }
        fprintf(out, "%c%.1f %.1f", pen_down ? 'L' : 'M', x_of(c, i), y_of(value, top));
        pen_down = true;
    }
    fputs("\"/>\n", out);
}

static void write_band(const struct chart *c, double top, FILE *out) {
    bool any = false;
    fputs("<path fill=\"#2563eb\" fill-opacity=\"0.18\" d=\"", out);
    for (size_t i = 0; i < columns_of(c); i++) {
        double high = column_value(c, c->band_high, i);
        if (!isnan(high)) {
            fprintf(out, "%c%.1f %.1f", any ? 'L' : 'M', x_of(c, i), y_of(high, top));
            any = true;
        }
    }
    for (size_t i = columns_of(c); any && i-- > 0;) {
        double low = column_value(c, c->band_low, i);
        if (!isnan(low)) {
            fprintf(out, "L%.1f %.1f", x_of(c, i), y_of(low, top));
        }
    }
    fputs(any ? "Z\"/>\n" : "\"/>\n", out);
}

/* 1, 2 or 5 times a power of ten, so that about five lines fit. */
static double grid_step(double top) {
    double raw = top / 5, power = pow(10, floor(log10(raw)));
    double part = raw / power;
    return power * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

static void write_grid(const struct chart *c, double top, FILE *out) {
    double step = grid_step(top);
    for (int i = 0; i * step <= top; i++) {
        double value = i * step, y = y_of(value, top);
        fprintf(out,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#94a3b8\" "
                "stroke-opacity=\"0.35\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g"
                "</text>\n",
                LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, value);
    }
    int64_t span_ms = (int64_t)c->len * c->step_ms;
    for (int i = 0; i <= 4; i++) {
        char iso[CLOCK_ISO8601_BYTES];
        clock_format_iso8601(c->start_ms + span_ms * i / 4, iso);
        const char *from = span_ms > 4 * MS_PER_DAY ? iso : iso + 5;
        int len = span_ms > 4 * MS_PER_DAY ? 10 : span_ms < MS_PER_DAY / 24 ? 14 : 11;
        const char *anchor = i == 0 ? "start" : i == 4 ? "end" : "middle";
        fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%.*s</text>\n",
                LEFT + PLOT_WIDTH * i / 4, HEIGHT - 8, anchor, len, from);
    }
}

static void write_legend(const struct chart *c, FILE *out) {
    int x = LEFT;
    for (size_t i = 0; i < c->line_count; i++) {
        const struct chart_line *line = &c->lines[i];
        fprintf(out,
                "<rect x=\"%d\" y=\"25\" width=\"14\" height=\"4\" fill=\"%s\"/>"
                "<text x=\"%d\" y=\"32\">",
                x, line->colour, x + 20);
        chart_write_text(line->label, out);
        fputs("</text>\n", out);
        x += 40 + 7 * (int)strlen(line->label);
    }
}

void chart_write(const struct chart *c, FILE *out) {
    double top = chart_top(c);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#64748b\">\n"
            "<title>",
            WIDTH, HEIGHT);
    chart_write_text(c->title, out);
    fprintf(out, "</title>\n<text x=\"%d\" y=\"16\" font-size=\"14\" font-weight=\"600\">", LEFT);
    chart_write_text(c->title, out);
    fputs("</text>\n", out);
    write_grid(c, top, out);
    if (c->band_low != NULL) {
        write_band(c, top, out);
    }
    for (size_t i = 0; i < c->line_count; i++) {
        write_line(c, &c->lines[i], top, out);
    }
    write_legend(c, out);
    fputs("</svg>\n", out);
}

bool chart_write_file(const struct chart *c, const char *path, struct error *err) {
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        return error_system(err, "%s: open", path);
    }
    chart_write(c, out);
    bool failed = ferror(out) != 0;
    return (fclose(out) == 0 && !failed) || error_system(err, "%s: write", path);
}
