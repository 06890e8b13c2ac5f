#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/embedded.h"
#include "base/file.h"
#include "metrics/metric.h"
#include "results/html.h"
#include "results/report_data.h"
#include "results/store_sql.h"

#define FLIPS_SHOWN   600  /* changed answers on the whole page, some 4 KB each */
#define PROMPT_SHOWN  3000 /* bytes of a prompt's end; its beginning is mostly examples */
#define ANSWER_SHOWN  3000
#define CHOICES_SHOWN 20

extern const struct embedded results_css[];

struct page {
    struct store *s;
    struct arena *a;
    const struct report_options *o;
    struct report report;
    struct buf b;
};

/* ---- text ---- */

static void text(struct page *p, struct str s)
{
    html_text(&p->b, s);
}

static void textz(struct page *p, const char *z)
{
    text(p, str_of(z));
}

static void put(struct page *p, const char *html)
{
    buf_puts(&p->b, html);
}

#define PUTF(p, ...) buf_printf(&(p)->b, __VA_ARGS__)

/* A code point's first byte at or after `i`: texts are cut between characters. */
static size_t boundary(struct str s, size_t i)
{
    while (i < s.n && ((unsigned char)s.p[i] & 0xc0) == 0x80)
        i++;
    return i;
}

static void text_end(struct page *p, struct str s, size_t most)
{
    size_t from = s.n > most ? boundary(s, s.n - most) : 0;
    if (from)
        PUTF(p, "<span class=\"soft\">[%zu bytes before] \xe2\x80\xa6</span>", from);
    text(p, str_slice(s, from, s.n));
}

static void text_start(struct page *p, struct str s, size_t most)
{
    size_t to = s.n > most ? boundary(s, most) : s.n;
    text(p, str_slice(s, 0, to));
    if (to < s.n)
        PUTF(p, "<span class=\"soft\">\xe2\x80\xa6 [%zu bytes more]</span>", s.n - to);
}

/* ---- numbers ---- */

/* Four digits behind the point as other harnesses print scores; fewer for large perplexities. */
static int digits(double x)
{
    return fabs(x) < 10 ? 4 : fabs(x) < 1000 ? 2 : 0;
}

static void number(struct page *p, double x)
{
    if (isnan(x))
        put(p, "\xe2\x80\x93");
    else
        PUTF(p, "%s%.*f", x < 0 ? "\xe2\x88\x92" : "", digits(x), fabs(x));
}

static void signed_number(struct page *p, double x)
{
    if (x > 0)
        put(p, "+");
    number(p, x);
}

static void p_value(struct page *p, double x)
{
    if (isnan(x))
        put(p, "\xe2\x80\x93");
    else if (x < 0.001)
        put(p, "&lt; 0.001");
    else
        PUTF(p, "%.3f", x);
}

/* ---- tables of scores ---- */

/* A task that stands in the line above is not shown again. */
static void row_start(struct page *p, bool is_group, bool again)
{
    PUTF(p, "<tr class=\"%s%s\">", is_group ? "group" : "task", again ? " again" : "");
}

static void metric_cell(struct page *p, const char *metric, const char *filter, bool higher)
{
    put(p, "<td>");
    textz(p, metric);
    put(p, higher ? " <small title=\"higher is better\">\xe2\x86\x91</small>"
                  : " <small title=\"lower is better\">\xe2\x86\x93</small>");
    if (strcmp(filter, "none") != 0) {
        put(p, " <small>");
        textz(p, filter);
        put(p, "</small>");
    }
    put(p, "</td>");
}

static bool higher_is_better(const char *metric)
{
    const struct metric_info *info = metric_find(metric);
    return !info || info->higher_is_better;
}

/* `n`: the documents that the line's end shows; a cell over others says so. */
static void score_cell(struct page *p, const struct report_score *s, int64_t n)
{
    put(p, "<td class=\"score num\">");
    if (!s) {
        put(p, "<span class=\"soft\">\xe2\x80\x93</span></td>");
        return;
    }
    number(p, s->value);
    if (!isnan(s->stderr_))
        PUTF(p, " <small>\xc2\xb1 %.*f</small>", digits(s->value), s->stderr_);
    if (s->n != n)
        PUTF(p, " <small>n = %lld</small>", (long long)s->n);
    if (higher_is_better(s->metric) && s->value >= 0 && s->value <= 1)
        PUTF(p, "<span class=\"bar\"><i style=\"width:%.1f%%\"></i></span>", 100 * s->value);
    put(p, "</td>");
}

static const struct report_score *find_line(const struct report_scores *l,
                                            const struct report_score *like)
{
    for (size_t i = 0; i < l->n; i++)
        if (report_same_line(&l->items[i], like))
            return &l->items[i];
    return NULL;
}

static void scores_row(struct page *p, const struct report_scores *all,
                       const struct report_score *like, const struct report_score *above)
{
    row_start(p, like->is_group,
              above && above->is_group == like->is_group && strcmp(above->task, like->task) == 0 &&
                  strcmp(above->setting, like->setting) == 0);
    html_task(&p->b, like->alias, like->task, like->setting);
    metric_cell(p, like->metric, like->filter, higher_is_better(like->metric));
    for (int i = 0; i < p->report.n_models; i++)
        score_cell(p, find_line(&all[i], like), like->n);
    PUTF(p, "<td class=\"num\">%lld</td></tr>\n", (long long)like->n);
}

/* A line appears where the first model that has it lists it. */
static void scores_table(struct page *p)
{
    struct report_scores *all = arena_array(p->a, (size_t)p->report.n_models, sizeof *all);
    put(p, "<section><h2 id=\"scores\">Scores</h2>\n<p class=\"soft\">Over each model's own "
           "documents, with the standard error behind \xc2\xb1.</p>\n<div class=\"wide\"><table>"
           "<thead><tr><th>Task</th><th>Metric</th>");
    for (int i = 0; i < p->report.n_models; i++) {
        all[i] = report_scores_of(p->a, &p->report.models[i]);
        put(p, "<th class=\"num model\">");
        textz(p, p->report.models[i].name);
        put(p, "</th>");
    }
    put(p, "<th class=\"num\">n</th></tr></thead>\n<tbody>\n");
    const struct report_score *above = NULL;
    for (int groups = 1; groups >= 0; groups--)
        for (int i = 0; i < p->report.n_models; i++)
            for (size_t k = 0; k < all[i].n; k++) {
                const struct report_score *like = &all[i].items[k];
                bool seen = like->is_group != (groups == 1);
                for (int m = 0; m < i && !seen; m++)
                    seen = find_line(&all[m], like) != NULL;
                if (!seen) {
                    scores_row(p, all, like, above);
                    above = like;
                }
            }
    put(p, "</tbody></table></div></section>\n");
}

static void models_table(struct page *p)
{
    put(p, "<section><h2 id=\"models\">Models</h2>\n<div class=\"wide\"><table><thead><tr>"
           "<th>Model</th><th>Weights</th><th>Re-quantized</th><th class=\"num\">Parameters</th>"
           "<th class=\"num\">Context</th><th>Numerics</th><th>File</th></tr></thead><tbody>\n");
    for (int i = 0; i < p->report.n_models; i++) {
        const struct report_model *m = &p->report.models[i];
        if (m->evaluations.n == 0)
            continue;
        const struct evaluation_line *e = &m->evaluations.items[0];
        const char *const cells[] = {e->format,
                                     strcmp(e->quant, "none") ? e->quant : "\xe2\x80\x93"};
        put(p, "<tr><th scope=\"row\">");
        textz(p, m->name);
        put(p, "</th>");
        for (size_t k = 0; k < sizeof cells / sizeof *cells; k++) {
            put(p, "<td>");
            textz(p, cells[k]);
            put(p, "</td>");
        }
        PUTF(p, "<td class=\"num\">%.1f M</td><td class=\"num\">%d</td><td>",
             (double)e->n_params / 1e6, e->max_length);
        textz(p, e->numerics);
        put(p, "</td><td><small>");
        textz(p, e->model_path);
        put(p, "</small></td></tr>\n");
    }
    put(p, "</tbody></table></div></section>\n");
}

/* ---- comparison ---- */

/* Worse or better when the whole interval lies on one side of 0. */
static const char *verdict(const struct comparison *c)
{
    double low = c->higher_is_better ? c->low : -c->high;
    double high = c->higher_is_better ? c->high : -c->low;
    return high < 0 ? "worse" : low > 0 ? "better" : "same";
}

/* Differences of scores between 0 and 1 share a scale, so that rows can be compared by eye. */
static bool is_fraction(const struct comparison *c)
{
    return c->a >= 0 && c->a <= 1 && c->b >= 0 && c->b <= 1;
}

static double reach(const struct comparison *c)
{
    double low = isnan(c->low) ? c->difference : c->low;
    double high = isnan(c->high) ? c->difference : c->high;
    return fmax(fabs(low), fabs(high));
}

static double shared_scale(const struct comparison_list *l)
{
    double most = 0;
    for (size_t i = 0; i < l->n; i++)
        if (is_fraction(&l->items[i]))
            most = fmax(most, reach(&l->items[i]));
    return most;
}

/* 160 units wide; 0 in the middle. */
static void interval_drawing(struct page *p, const struct comparison *c, double shared)
{
    double scale = is_fraction(c) ? shared : reach(c);
    double unit = scale > 0 ? 74 / scale : 0;
    PUTF(p,
         "<svg class=\"interval\" viewBox=\"0 0 160 20\" role=\"img\" aria-label=\"%.4g, from "
         "%.4g to %.4g\"><path class=\"axis\" d=\"M4 10H156\"/>"
         "<path class=\"zero\" d=\"M80 2V18\"/>",
         c->difference, c->low, c->high);
    if (!isnan(c->low) && !isnan(c->high))
        PUTF(p, "<path class=\"range\" d=\"M%.2f 10H%.2f\"/>", 80 + c->low * unit,
             80 + c->high * unit);
    PUTF(p, "<circle class=\"point\" cx=\"%.2f\" cy=\"10\" r=\"3.5\"/></svg>",
         80 + c->difference * unit);
}

static void flips_text(struct page *p, const struct comparison *c)
{
    PUTF(p,
         "<span class=\"flips\"><span class=\"%s\">\xe2\x88\x92%lld</span>"
         "<span class=\"%s\">+%lld</span></span>",
         c->lost ? "worse" : "same", (long long)c->lost, c->gained ? "better" : "same",
         (long long)c->gained);
}

static void comparison_row(struct page *p, const struct comparison *c, bool again, double shared)
{
    row_start(p, c->is_group, again);
    html_task(&p->b, c->task_alias, c->task, c->setting);
    metric_cell(p, c->metric, c->filter, c->higher_is_better);
    put(p, "<td class=\"num\">");
    number(p, c->a);
    put(p, "</td><td class=\"num\">");
    number(p, c->b);
    put(p, "</td><td class=\"num\">");
    if (c->near_chance)
        put(p, "<small title=\"the reference is no better than guessing: recovery says little\">"
               "\xe2\x89\x88 chance</small> ");
    if (isnan(c->recovery_percent))
        put(p, "\xe2\x80\x93");
    else
        PUTF(p, "%.1f %%", c->recovery_percent);
    PUTF(p, "</td><td class=\"num %s\">", verdict(c));
    signed_number(p, c->difference);
    PUTF(p, "</td><td class=\"drawn %s\">", verdict(c));
    interval_drawing(p, c, shared);
    put(p, "</td><td class=\"num\">");
    p_value(p, c->is_01 ? c->mcnemar_p : c->p);
    put(p, "</td>");
    put(p, "<td>");
    if (c->is_01)
        flips_text(p, c);
    PUTF(p, "</td><td class=\"num\">%lld</td></tr>\n", (long long)c->n);
}

static void heading_of_pair(struct page *p, const struct report_model *m, int i)
{
    PUTF(p, "<section><h2 id=\"compare-%d\">", i);
    textz(p, m->name);
    put(p, " <span class=\"soft\">against</span> ");
    textz(p, p->report.models[0].name);
    put(p, "</h2>\n");
}

static void comparison_table(struct page *p, const struct report_model *m)
{
    const struct comparison_list *l = &m->comparison;
    put(p, "<p class=\"soft\">On the documents that both have answered. The difference is drawn "
           "with its 95 % interval; it is coloured where that excludes 0. <i>p</i> is McNemar's "
           "exact test where scores are 0 or 1, else that of the paired difference. Flips: right "
           "to wrong, wrong to right.</p>\n<div class=\"wide\"><table><thead><tr><th>Task</th>"
           "<th>Metric</th><th class=\"num model\">");
    textz(p, l->model_a);
    put(p, "</th><th class=\"num model\">");
    textz(p, l->model_b);
    put(p, "</th><th class=\"num\">Recovery</th><th class=\"num\" colspan=\"2\">Difference</th>"
           "<th class=\"num\"><i>p</i></th><th>Flips</th><th "
           "class=\"num\">n</th></tr></thead>\n<tbody>\n");
    double shared = shared_scale(l);
    for (size_t i = 0; i < l->n; i++) {
        const struct comparison *c = &l->items[i], *above = i ? c - 1 : NULL;
        bool again = above && above->is_group == c->is_group && strcmp(above->task, c->task) == 0 &&
                     above->evaluation_a == c->evaluation_a &&
                     above->evaluation_b == c->evaluation_b;
        comparison_row(p, c, again, shared);
    }
    put(p, "</tbody></table></div>\n");
    html_notes(&p->b, l->notes, l->n_notes);
}

/* ---- answers that changed ---- */

static void choices(struct page *p, const struct sample_view *v)
{
    put(p, "<table class=\"choices\"><tbody>");
    for (int i = 0; i < v->n_requests && i < CHOICES_SHOWN; i++) {
        const struct request_view *q = &v->requests[i];
        if (q->row.unconditional)
            continue;
        put(p, q->best ? "<tr class=\"picked\"><td>" : "<tr><td>");
        text_start(p, q->row.continuation, ANSWER_SHOWN);
        PUTF(p, "</td><td class=\"num\">%.3f</td></tr>", q->row.logprob_nats);
    }
    put(p, "</tbody></table>");
}

static void answer(struct page *p, const char *model, const struct sample_view *v, double score)
{
    put(p, "<div><h4>");
    textz(p, model);
    PUTF(p, " <small>score %g</small></h4>", score);
    bool generated = v->n_requests > 0 && isnan(v->requests[0].row.logprob_nats);
    if (generated) {
        put(p, "<pre>");
        text_start(p, v->requests[0].row.response, ANSWER_SHOWN);
        put(p, "</pre>");
    } else
        choices(p, v);
    put(p, "</div>");
}

static int flip_details(struct page *p, const struct report_model *m, const struct comparison *c,
                        const struct flip *f, bool lost, struct error *err)
{
    struct arena scratch = {0};
    struct sample_view a, b;
    int r = query_sample(p->s, &scratch, c->evaluation_a, f->doc_id, &a, err);
    if (r == 0)
        r = query_sample(p->s, &scratch, c->evaluation_b, f->doc_id, &b, err);
    if (r == 0) {
        PUTF(p, "<details><summary>Document %lld <span class=\"%s\">%s</span> <small>",
             (long long)f->doc_id, lost ? "worse" : "better", lost ? "lost" : "gained");
        struct str prompt = a.n_requests ? a.requests[0].row.prompt : STR("");
        struct str last =
            str_slice(prompt, prompt.n > 90 ? boundary(prompt, prompt.n - 90) : 0, prompt.n);
        put(p, prompt.n > 90 ? "\xe2\x80\xa6" : "");
        text(p, last);
        put(p, "</small></summary><div class=\"sample\"><h4>Prompt</h4><pre>");
        text_end(p, prompt, PROMPT_SHOWN);
        put(p, "</pre><h4>Right answer</h4><pre>");
        text_start(p, a.target, ANSWER_SHOWN);
        put(p, "</pre><div class=\"answers\">");
        answer(p, m->comparison.model_a, &a, f->score_a);
        answer(p, m->comparison.model_b, &b, f->score_b);
        put(p, "</div></div></details>\n");
    }
    arena_free(&scratch);
    return r;
}

static int flips_of_task(struct page *p, const struct report_model *m, const struct comparison *c,
                         int max, struct error *err)
{
    PUTF(p, "<details><summary>");
    textz(p, c->task_alias[0] ? c->task_alias : c->task);
    put(p, " <small>");
    textz(p, c->metric);
    put(p, "</small> ");
    flips_text(p, c);
    put(p, "</summary>\n");
    int r = 0;
    for (int lost = 1; r == 0 && lost >= 0; lost--) {
        struct flip *flips;
        int n;
        r = compare_flips(p->s, p->a, c, lost, max, &flips, &n, err);
        for (int i = 0; r == 0 && i < n; i++)
            r = flip_details(p, m, c, &flips[i], lost, err);
    }
    put(p, "</details>\n");
    return r;
}

/* A task's answers are shown once, by its first metric of 0 and 1 that has flips. */
static bool shows_flips(const struct comparison_list *l, size_t i)
{
    const struct comparison *c = &l->items[i];
    if (c->is_group || !c->is_01 || c->lost + c->gained == 0)
        return false;
    for (size_t k = 0; k < i; k++) {
        const struct comparison *before = &l->items[k];
        if (before->is_01 && before->evaluation_a == c->evaluation_a &&
            before->evaluation_b == c->evaluation_b && before->lost + before->gained > 0)
            return false;
    }
    return true;
}

/* The page's share of changed answers is divided among the pairs, then among a pair's tasks. */
static int flips(struct page *p, const struct report_model *m, struct error *err)
{
    const struct comparison_list *l = &m->comparison;
    int n_tasks = 0, r = 0;
    for (size_t i = 0; i < l->n; i++)
        n_tasks += shows_flips(l, i);
    if (n_tasks == 0 || p->o->max_flips <= 0)
        return 0;
    int share = FLIPS_SHOWN / 2 / (p->report.n_models - 1);
    int max = share / n_tasks;
    max = max < 1 ? 1 : max > p->o->max_flips ? p->o->max_flips : max;
    PUTF(p,
         "<h3>Answers that changed</h3>\n<p class=\"soft\">Up to %d a task each way%s; "
         "<code>assay show</code> has them all.</p>\n<div class=\"stack\">\n",
         max, n_tasks > share ? ", and not of every task" : "");
    for (size_t i = 0; r == 0 && i < l->n && share > 0; i++)
        if (shows_flips(l, i)) {
            r = flips_of_task(p, m, &l->items[i], max, err);
            share -= max;
        }
    put(p, "</div>\n");
    return r;
}

static int besides_scores(struct page *p, int i, struct error *err)
{
    const char *const *given = p->o->models;
    const char *reference = given ? given[0] : p->report.models[0].name;
    const char *model = given ? given[i] : p->report.models[i].name;
    struct error why;
    int r = html_pair(p->s, &p->b, reference, model, p->o->task, &why);
    if (r == E_INPUT && p->report.models[i].not_compared)
        return 0; /* the page says why */
    return r < 0 ? error_set(err, why.code, "%s", why.msg) : 0;
}

static int comparisons(struct page *p, struct error *err)
{
    int r = 0;
    for (int i = 1; r == 0 && i < p->report.n_models; i++) {
        const struct report_model *m = &p->report.models[i];
        heading_of_pair(p, m, i);
        if (m->not_compared) {
            html_notes(&p->b, &m->not_compared, 1);
        } else {
            comparison_table(p, m);
        }
        r = besides_scores(p, i, err);
        if (r == 0 && !m->not_compared)
            r = flips(p, m, err);
        put(p, "</section>\n");
    }
    return r;
}

/* ---- the page ---- */

static void head(struct page *p)
{
    char now[32];
    time_t t = time(NULL);
    struct tm tm;
    strftime(now, sizeof now, "%Y-%m-%d %H:%M UTC", gmtime_r(&t, &tm));
    put(p, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
           "<title>assay: ");
    textz(p, p->report.models[0].name);
    put(p, "</title>\n<style>\n");
    put(p, results_css[0].text);
    put(p, "</style></head>\n<body>\n<header><h1>");
    textz(p, p->report.models[0].name);
    if (p->report.n_models > 1)
        PUTF(p, " <span class=\"soft\">and %d other%s</span>", p->report.n_models - 1,
             p->report.n_models > 2 ? "s" : "");
    put(p, "</h1>\n<div class=\"soft\">assay report of ");
    textz(p, path_base(store_sql(p->s)->path));
    PUTF(p, ", %s</div>\n<nav>", now);
    if (p->report.n_models > 1)
        put(p, "<a href=\"#study\">Recovery</a>");
    for (int i = 1; i < p->report.n_models; i++) {
        PUTF(p, "<a href=\"#compare-%d\">", i);
        textz(p, p->report.models[i].name);
        put(p, "</a>");
    }
    put(p, "<a href=\"#scores\">Scores</a><a href=\"#models\">Models</a></nav></header>\n");
}

static void foot(struct page *p)
{
    put(p, "<footer class=\"soft\"><p><small>Everything here is a query of the store, which is an "
           "SQLite file: <code>SELECT * FROM v_scores</code>, <code>SELECT task, avg(difference) "
           "FROM v_compare WHERE model_a = ? AND model_b = ? AND metric = 'acc' GROUP BY "
           "task</code>; <code>v_samples</code> and <code>v_requests</code> hold every answer."
           "</small></p></footer>\n</body></html>\n");
}

int report_html(struct store *s, const struct report_options *o, const char *path,
                struct error *err)
{
    struct arena a = {0};
    struct page p = {.s = s, .a = &a, .o = o};
    int r = report_gather(s, &a, o, &p.report, err);
    struct study study;
    if (r == 0)
        r = study_of(s, &a, o, &p.report, &study, err);
    if (r == 0) {
        head(&p);
        html_study(&p.b, &study);
        r = comparisons(&p, err);
        scores_table(&p);
        models_table(&p);
        foot(&p);
    }
    if (r == 0)
        r = file_write(path, buf_view(&p.b), err);
    buf_free(&p.b);
    arena_free(&a);
    return r;
}
