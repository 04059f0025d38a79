#include "tool/sim/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WIDTH 960
#define HEIGHT 312
#define LEFT 64
#define RIGHT 12
#define TOP 52
#define BOTTOM 32
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT (HEIGHT - TOP - BOTTOM)
#define BAND_COLOUR "#2563eb"
#define MARK_COLOUR "#dc2626"

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

static double lowest(const double *values, size_t from, size_t to) {
    double best = NAN;
    for (size_t i = from; i < to && values != NULL; i++) {
        best = fmin(best, values[i]);
    }
    return best;
}

double chart_highest(const struct chart *c) {
    double top = highest(c->band_high, 0, c->len);
    for (size_t i = 0; i < c->line_count; i++) {
        top = fmax(top, highest(c->lines[i].values, 0, c->len));
    }
    return top > 0 ? top : 0;
}

static double chart_top(const struct chart *c) {
    double top = c->top > 0 ? c->top : chart_highest(c);
    return top > 0 ? top * 1.05 : 1;
}

/* Points are gathered into at most one a pixel. */
static size_t columns_of(const struct chart *c) {
    return c->len < PLOT_WIDTH ? c->len : PLOT_WIDTH;
}

static size_t column_start(const struct chart *c, size_t column) {
    return column * c->len / columns_of(c);
}

static double column_highest(const struct chart *c, const double *values, size_t column) {
    return highest(values, column_start(c, column), column_start(c, column + 1));
}

static double column_lowest(const struct chart *c, const double *values, size_t column) {
    return lowest(values, column_start(c, column), column_start(c, column + 1));
}

static double x_of(const struct chart *c, size_t column) {
    size_t columns = columns_of(c);
    return LEFT + (columns > 1 ? PLOT_WIDTH * (double)column / (double)(columns - 1) : 0);
}

static double y_of(double value, double top) {
    return TOP + PLOT_HEIGHT * (1 - value / top);
}

static void write_stroke(const struct chart_line *line, FILE *out) {
    fprintf(out, "fill=\"none\" stroke=\"%s\" stroke-width=\"%g\"", line->colour,
            line->width > 0 ? line->width : 1.5);
    if (line->dash != NULL) {
        fprintf(out, " stroke-dasharray=\"%s\"", line->dash);
    }
}

static void write_line(const struct chart *c, const struct chart_line *line, double top,
                       FILE *out) {
    bool pen_down = false;
    fputs("<path class=\"line\" ", out);
    write_stroke(line, out);
    fputs(" d=\"", out);
    for (size_t i = 0; i < columns_of(c); i++) {
        double value = column_highest(c, line->values, i);
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

/* From a column on as far as it goes without a gap. */
static size_t write_band_part(const struct chart *c, size_t from, double top, FILE *out) {
    size_t to = from;
    for (; to < columns_of(c) && !isnan(column_highest(c, c->band_high, to)); to++) {
        fprintf(out, "%c%.1f %.1f", to == from ? 'M' : 'L', x_of(c, to),
                y_of(column_highest(c, c->band_high, to), top));
    }
    for (size_t i = to; i-- > from;) {
        double low = column_lowest(c, c->band_low, i);
        fprintf(out, "L%.1f %.1f", x_of(c, i), y_of(isnan(low) ? 0 : low, top));
    }
    fputs(to > from ? "Z" : "", out);
    return to;
}

static void write_band(const struct chart *c, double top, FILE *out) {
    fprintf(out, "<path class=\"band\" fill=\"%s\" fill-opacity=\"0.3\" d=\"", BAND_COLOUR);
    for (size_t i = 0; i < columns_of(c); i++) {
        i = write_band_part(c, i, top, out);
    }
    fputs("\"/>\n", out);
}

static void write_marks(const struct chart *c, FILE *out) {
    for (size_t i = 0; i < columns_of(c); i++) {
        size_t from = i;
        while (i < columns_of(c) && column_highest(c, c->marks, i) > 0) {
            i++;
        }
        if (i > from) {
            double x = x_of(c, from), width = x_of(c, i - 1) - x + 2;
            fprintf(
                out,
                "<path class=\"mark\" fill=\"%s\" fill-opacity=\"0.2\" "
                "d=\"M%.1f %dh%.1fv%dh-%.1fz\"/><path fill=\"%s\" d=\"M%.1f %dh%.1fv5h-%.1fz\"/>\n",
                MARK_COLOUR, x, TOP, width, PLOT_HEIGHT, width, MARK_COLOUR, x, TOP + PLOT_HEIGHT,
                width, width);
        }
    }
}

/* 1, 2 or 5 times a power of ten, so that about five lines fit. */
static double grid_step(double top) {
    double raw = top / 5, power = pow(10, floor(log10(raw)));
    double part = raw / power;
    return power * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

/* "1.2 M": a manager reads no 1.2e+06. */
static void write_amount(double value, FILE *out) {
    double unit = value >= 1e9 ? 1e9 : value >= 1e6 ? 1e6 : value >= 1e4 ? 1e3 : 1;
    fprintf(out, "%g%s", value / unit,
            unit >= 1e9   ? " G"
            : unit >= 1e6 ? " M"
            : unit >= 1e3 ? " k"
                          : "");
}

static void write_scale(double top, FILE *out) {
    double step = grid_step(top);
    for (int i = 0; i * step <= top; i++) {
        double y = y_of(i * step, top);
        fprintf(out,
                "<path stroke=\"#94a3b8\" stroke-opacity=\"0.35\" d=\"M%d %.1fH%d\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
                LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 4);
        write_amount(i * step, out);
        fputs("</text>\n", out);
    }
}

static void write_times(const struct chart *c, FILE *out) {
    int64_t span_ms = (int64_t)c->len * c->step_ms;
    for (int i = 0; i <= 4; i++) {
        char iso[CLOCK_ISO8601_BYTES];
        clock_format_iso8601(c->start_ms + span_ms * i / 4, iso);
        iso[10] = ' ';
        const char *from = span_ms > 4 * MS_PER_DAY ? iso : iso + 5;
        int len = span_ms > 4 * MS_PER_DAY ? 10 : span_ms < MS_PER_DAY / 24 ? 14 : 11;
        const char *anchor = i == 0 ? "start" : i == 4 ? "end" : "middle";
        fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%.*s</text>\n",
                LEFT + PLOT_WIDTH * i / 4, HEIGHT - 8, anchor, len, from);
    }
}

/* A label after its swatch; returns where the next one begins. */
static int write_label(const char *label, int x, FILE *out) {
    fprintf(out, "<text x=\"%d\" y=\"36\">", x + 30);
    chart_write_text(label, out);
    fputs("</text>\n", out);
    return x + 50 + 7 * (int)strlen(label);
}

static void write_legend(const struct chart *c, FILE *out) {
    int x = LEFT;
    for (size_t i = 0; i < c->line_count; i++) {
        fprintf(out, "<path d=\"M%d 32h24\" ", x);
        write_stroke(&c->lines[i], out);
        fputs("/>", out);
        x = write_label(c->lines[i].label, x, out);
    }
    if (c->band_low != NULL && c->band_label != NULL) {
        fprintf(out, "<path fill=\"%s\" fill-opacity=\"0.3\" d=\"M%d 26h24v12h-24z\"/>",
                BAND_COLOUR, x);
        x = write_label(c->band_label, x, out);
    }
    if (c->marks != NULL && c->marks_label != NULL) {
        fprintf(out, "<path fill=\"%s\" d=\"M%d 29h24v6h-24z\"/>", MARK_COLOUR, x);
        write_label(c->marks_label, x, out);
    }
}

/* For those who hear the page. */
static void write_description(const struct chart *c, FILE *out) {
    fputs("<desc>", out);
    for (size_t i = 0; i < c->line_count; i++) {
        double low = lowest(c->lines[i].values, 0, c->len);
        chart_write_text(c->lines[i].label, out);
        if (isnan(low)) {
            fputs(": not known. ", out);
        } else {
            fprintf(out, ": from %.4g to %.4g. ", low, highest(c->lines[i].values, 0, c->len));
        }
    }
    fputs("</desc>\n", out);
}

void chart_write(const struct chart *c, FILE *out) {
    double top = chart_top(c);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "font-family=\"system-ui, sans-serif\" font-size=\"12\" color=\"#64748b\" "
            "fill=\"currentColor\">\n<title>",
            WIDTH, HEIGHT);
    chart_write_text(c->title, out);
    fputs("</title>\n", out);
    write_description(c, out);
    fprintf(out, "<text x=\"%d\" y=\"16\" font-size=\"14\" font-weight=\"600\">", LEFT);
    chart_write_text(c->title, out);
    fputs("</text>\n", out);
    write_scale(top, out);
    write_times(c, out);
    if (c->marks != NULL) {
        write_marks(c, out);
    }
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
