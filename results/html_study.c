/* html_study.c: the report's first section: a row for each model, and size against recovery. */
#include <math.h>

#include "results/html.h"

#define DASH "\xe2\x80\x93"

/* ---- the tables ---- */

static void name_cell(struct buf *b, const char *name)
{
    buf_puts(b, "<th scope=\"row\">");
    html_text(b, str_of(name));
    buf_puts(b, "</th>");
}

/* Scores of the first model are shown as they are. */
static void base_cell(struct buf *b, const struct comparison *c)
{
    if (!c)
        buf_puts(b, "<td class=\"num soft\">" DASH "</td>");
    else
        buf_printf(b, "<td class=\"num\">%.*f</td>", fabs(c->a) < 10 ? 4 : 2, c->a);
}

static const char *verdict(const struct comparison *c)
{
    return c->recovery_high < 100 ? "worse" : c->recovery_low > 100 ? "better" : "same";
}

static void recovery_cell(struct buf *b, const struct comparison *c)
{
    if (!c || isnan(c->recovery_percent)) {
        buf_puts(b, "<td class=\"num soft\">" DASH "</td>");
        return;
    }
    buf_printf(b, "<td class=\"num\"><span class=\"%s\">%.1f %%</span>",
               c->near_chance ? "soft" : verdict(c), c->recovery_percent);
    if (isfinite(c->recovery_low) && isfinite(c->recovery_high))
        buf_printf(b, " <small class=\"below\">%.1f to %.1f</small>", c->recovery_low,
                   c->recovery_high);
    if (c->near_chance)
        buf_puts(b, " <small class=\"below\" title=\"the reference is no better than guessing: "
                    "recovery says "
                    "little\">\xe2\x89\x88 chance</small>");
    buf_puts(b, "</td>");
}

static void column_heading(struct buf *b, const struct study_column *c)
{
    buf_puts(b, "<th class=\"num\">");
    html_text(b, str_of(c->alias));
    buf_puts(b, " <small class=\"below\">");
    if (c->setting[0]) {
        html_text(b, str_of(c->setting));
        buf_puts(b, ", ");
    }
    html_text(b, str_of(c->metric));
    buf_puts(b, "</small></th>");
}

static void recovery_table(struct buf *b, const struct study *s)
{
    buf_puts(b, "<div class=\"wide\"><table><thead><tr><th>Model</th>");
    for (int c = 0; c < s->n_columns; c++)
        column_heading(b, &s->columns[c]);
    buf_puts(b, "<th class=\"num\">Mean</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < s->n_models; i++) {
        const struct study_model *m = &s->models[i];
        buf_puts(b, i ? "<tr>" : "<tr class=\"group\">");
        name_cell(b, m->name);
        for (int c = 0; c < s->n_columns; c++)
            (i ? recovery_cell : base_cell)(b, m->cells[c]);
        if (isnan(m->recovery))
            buf_puts(b, "<td></td></tr>\n");
        else
            buf_printf(b, "<td class=\"num%s\">%.1f %%</td></tr>\n", m->near_chance ? " soft" : "",
                       m->recovery);
    }
    buf_puts(b, "</tbody></table></div>\n");
}

/* A figure with its ratio to the first model's. */
static void cost_cell(struct buf *b, int digits, double x, double base, bool is_base)
{
    buf_puts(b, "<td class=\"num\">");
    if (x > 0)
        buf_printf(b, "%.*f", digits, x);
    else
        buf_puts(b, "<span class=\"soft\">" DASH "</span>");
    if (x > 0 && base > 0 && !is_base)
        buf_printf(b, " <small>\xc3\x97%.2f</small>", x / base);
    buf_puts(b, "</td>");
}

static void moved_cells(struct buf *b, const struct study_model *m, bool is_base)
{
    if (m->n_tokens)
        buf_printf(b, "<td class=\"num\">%s%.5f</td><td class=\"num\">%.1f %%</td>",
                   m->exact ? "" : "\xe2\x89\xa5 ", m->kl, 100 * m->same_top);
    else
        buf_puts(b, "<td></td><td></td>");
    if (is_base || m->not_compared)
        buf_puts(b, "<td></td>");
    else
        buf_printf(b,
                   "<td><span class=\"flips\"><span class=\"%s\">\xe2\x88\x92%lld</span>"
                   "<span class=\"%s\">+%lld</span></span></td>",
                   m->lost ? "worse" : "same", (long long)m->lost, m->gained ? "better" : "same",
                   (long long)m->gained);
}

static double mib(int64_t bytes)
{
    return (double)bytes / 0x1p20;
}

static void cost_table(struct buf *b, const struct study *s)
{
    static const char *const headings[] = {"Size, MiB",     "Memory, MiB", "Prefill, tok/s",
                                           "Decode, tok/s", "Mean KL",     "Same top"};
    const struct model_cost *base = &s->models[0].cost;
    buf_puts(b,
             "<h3>What they take, and how far they moved</h3>\n<div class=\"wide\"><table><thead>"
             "<tr><th>Model</th><th>Weights</th>");
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        buf_printf(b, "<th class=\"num\">%s</th>", headings[i]);
    buf_puts(b, "<th>Flips</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < s->n_models; i++) {
        const struct study_model *m = &s->models[i];
        const struct model_cost *c = &m->cost;
        buf_puts(b, i ? "<tr>" : "<tr class=\"group\">");
        name_cell(b, m->name);
        buf_puts(b, "<td>");
        html_text(b, str_of(strcmp(m->quant, "none") != 0 ? m->quant : m->format));
        buf_puts(b, "</td>");
        cost_cell(b, 1, mib(c->stored_bytes), mib(base->stored_bytes), i == 0);
        cost_cell(b, 1, mib(c->held_bytes), mib(base->held_bytes), i == 0);
        cost_cell(b, c->prefill < 100, c->prefill, base->prefill, i == 0);
        cost_cell(b, c->decode < 100, c->decode, base->decode, i == 0);
        moved_cells(b, m, i == 0);
        buf_puts(b, "</tr>\n");
    }
    buf_puts(b, "</tbody></table></div>\n");
}

/* ---- size against recovery ---- */

enum { WIDTH = 720, HEIGHT = 340, LEFT = 56, RIGHT = 20, TOP = 26, BOTTOM = 44, MOST_LABELS = 64 };

struct axis {
    double low, high, step; /* in the data's unit */
    double from, to;        /* in the drawing's */
};

/* Steps of 1, 2 or 5 times a power of ten, some five of them. */
static double nice_step(double range)
{
    double power = pow(10, floor(log10(range / 5)));
    double part = range / 5 / power;
    return power * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

static struct axis axis_of(double low, double high, double from, double to)
{
    struct axis a = {.from = from, .to = to};
    a.step = nice_step(high > low ? high - low : 1);
    a.low = floor(low / a.step) * a.step;
    a.high = ceil(high / a.step) * a.step;
    return a;
}

static double at(const struct axis *a, double x)
{
    double share = (x - a->low) / (a->high - a->low);
    return a->from + (a->to - a->from) * (share < 0 ? 0 : share > 1 ? 1 : share);
}

static bool is_drawn(const struct study_model *m, bool is_base)
{
    return m->cost.stored_bytes > 0 && (is_base || !isnan(m->recovery));
}

/* What the mean is made of. */
static bool is_part(const struct study_model *m, const struct comparison *c)
{
    return c && !isnan(c->recovery_percent) && c->near_chance == m->near_chance &&
           strcmp(c->metric, "leaderboard_mean") != 0;
}

/* 100 % for the first model, which stands for itself. */
static double height_of(const struct study *s, int i)
{
    return i ? s->models[i].recovery : 100;
}

static void grid(struct buf *b, const struct axis *x, const struct axis *y)
{
    int n_x = (int)lround((x->high - x->low) / x->step),
        n_y = (int)lround((y->high - y->low) / y->step);
    for (int i = 0; i <= n_y; i++) {
        double value = y->low + i * y->step, h = at(y, value);
        buf_printf(b,
                   "<path class=\"%s\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
                   "text-anchor=\"end\">%.*f</text>",
                   fabs(value - 100) < 1e-9 ? "zero" : "axis", LEFT, h, WIDTH - RIGHT, LEFT - 8,
                   h + 4, y->step < 1, value);
    }
    for (int i = 0; i <= n_x; i++) {
        double value = x->low + i * x->step;
        buf_printf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.*f</text>", at(x, value),
                   HEIGHT - BOTTOM + 18, x->step < 1, value);
    }
    buf_printf(b,
               "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">size, MiB</text>"
               "<text x=\"%d\" y=\"%d\">recovery, %%</text>",
               WIDTH - RIGHT, HEIGHT - 6, LEFT + 4, TOP - 8);
}

/* Names that would lie on one another go down. */
struct labels {
    double x[MOST_LABELS], y[MOST_LABELS];
    int n;
};

static double free_height(struct labels *l, double x, double y)
{
    for (int i = 0; i < l->n; i++)
        if (fabs(l->x[i] - x) < 150 && fabs(l->y[i] - y) < 22) {
            y = l->y[i] + 22;
            i = -1;
        }
    if (l->n < MOST_LABELS) {
        l->x[l->n] = x;
        l->y[l->n++] = y;
    }
    return y;
}

static void mark(struct buf *b, const struct study *s, int i, const struct axis *x,
                 const struct axis *y, struct labels *labels)
{
    const struct study_model *m = &s->models[i];
    double h = at(x, mib(m->cost.stored_bytes)), v = at(y, height_of(s, i));
    for (int c = 0; c < s->n_columns && i > 0; c++) {
        const struct comparison *cell = m->cells[c];
        if (is_part(m, cell))
            buf_printf(b, "<circle class=\"part\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", h,
                       at(y, cell->recovery_percent));
    }
    bool left = h > WIDTH * 0.72;
    double text = free_height(labels, h, v - 10);
    buf_printf(b,
               "<circle class=\"point\" cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\"/><text class=\"name\" "
               "x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
               h, v, left ? h + 4 : h - 4, text, left ? "end" : "start");
    html_text(b, str_of(m->name));
    buf_puts(b, "</text>");
}

/* The extent of what is drawn; false: fewer than two models have a size and a recovery. */
static bool extent(const struct study *s, struct axis *x, struct axis *y)
{
    double most = 0, low = 100, high = 100;
    int n = 0;
    for (int i = 0; i < s->n_models; i++) {
        const struct study_model *m = &s->models[i];
        if (!is_drawn(m, i == 0))
            continue;
        n++;
        most = fmax(most, mib(m->cost.stored_bytes));
        for (int c = 0; c < s->n_columns && i > 0; c++) {
            const struct comparison *cell = m->cells[c];
            if (!is_part(m, cell))
                continue;
            low = fmin(low, cell->recovery_percent);
            high = fmax(high, cell->recovery_percent);
        }
    }
    *x = axis_of(0, most, LEFT, WIDTH - RIGHT);
    *y = axis_of(low - 1, fmin(high + 1, 200), HEIGHT - BOTTOM, TOP);
    return n > 1 && most > 0;
}

static void plot(struct buf *b, const struct study *s)
{
    struct axis x, y;
    struct labels labels = {.n = 0};
    if (!extent(s, &x, &y))
        return;
    buf_printf(b,
               "<h3>Size against recovery</h3>\n<p class=\"soft\">The mean of the columns above, "
               "without those near chance unless all are; each of them is a small point.</p>\n<div "
               "class=\"wide plot\"><svg class=\"size\" "
               "viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"size of each model against its "
               "mean recovery\">",
               WIDTH, HEIGHT);
    grid(b, &x, &y);
    for (int i = 0; i < s->n_models; i++)
        if (is_drawn(&s->models[i], i == 0))
            mark(b, s, i, &x, &y, &labels);
    buf_puts(b, "</svg></div>\n");
}

void html_study(struct buf *b, const struct study *s)
{
    if (s->n_models < 2 || s->n_columns == 0)
        return;
    buf_puts(b, "<section><h2 id=\"study\">Recovery</h2>\n<p class=\"soft\">Scores of ");
    html_text(b, str_of(s->models[0].name));
    buf_puts(b, ", and how much of them the others reach, with 95 % intervals (Fieller's; of what "
                "is no mean, by bootstrap). Coloured where the interval excludes 100 %.</p>\n");
    recovery_table(b, s);
    cost_table(b, s);
    plot(b, s);
    buf_puts(b, "</section>\n");
}
