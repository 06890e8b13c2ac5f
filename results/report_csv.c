#include <math.h>

#include "base/file.h"
#include "base/value.h"
#include "metrics/metric.h"
#include "results/report_data.h"

/* RFC 4180: quoted where a comma, a quote or a line break is in it, quotes doubled. A cell that a
 * spreadsheet would take for a formula is quoted too, and starts with an apostrophe. */
static void cell(struct buf *b, const char *text)
{
    if (b->n && b->p[b->n - 1] != '\n')
        buf_char(b, ',');
    bool formula = text[0] && strchr("=+-@\t\r", text[0]);
    if (!formula && !strpbrk(text, ",\"\r\n")) {
        buf_puts(b, text);
        return;
    }
    buf_puts(b, formula ? "\"'" : "\"");
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            buf_char(b, '"');
        buf_char(b, *p);
    }
    buf_char(b, '"');
}

static void number(struct buf *b, double x)
{
    buf_char(b, ',');
    if (!isnan(x))
        buf_float(b, x);
}

static void whole(struct buf *b, int64_t x)
{
    buf_printf(b, ",%lld", (long long)x);
}

static const char csv_columns[] =
    "model,task,kind,version,setting,num_fewshot,metric,filter,higher_is_better,value,stderr,n,"
    "evaluation," /* its number in the store; 0 for a group */
    "reference,reference_value,value_on_common,n_common,recovery_percent,"
    "difference,difference_low,difference_high,p,mcnemar_p,lost,gained,"
    "recovery_low,recovery_high\n";

/* Documents that only one of the two answered do not count here, so the values may differ from
 * those over all documents. */
static void comparison_cells(struct buf *b, const char *reference, const struct comparison *c)
{
    cell(b, reference);
    const double numbers[] = {c->recovery_percent, c->difference, c->low, c->high, c->p};
    number(b, c->a);
    number(b, c->b);
    whole(b, c->n);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        number(b, numbers[i]);
    if (c->is_01) {
        number(b, c->mcnemar_p);
        whole(b, c->lost);
        whole(b, c->gained);
    } else {
        buf_puts(b, ",,,");
    }
    number(b, c->recovery_low);
    number(b, c->recovery_high);
}

static void row(struct buf *b, const struct report *r, const struct report_model *m,
                const struct report_score *s)
{
    const struct metric_info *info = metric_find(s->metric);
    const struct comparison *c = report_find(&m->comparison, s);
    cell(b, m->name);
    cell(b, s->task);
    cell(b, s->is_group ? "group" : "task");
    cell(b, s->version);
    cell(b, s->setting);
    whole(b, s->num_fewshot);
    cell(b, s->metric);
    cell(b, s->filter);
    whole(b, info ? info->higher_is_better : true);
    number(b, s->value);
    number(b, s->stderr_);
    whole(b, s->n);
    whole(b, s->evaluation);
    if (c)
        comparison_cells(b, r->models[0].name, c);
    else
        buf_puts(b, ",,,,,,,,,,,,,,");
    buf_char(b, '\n');
}

int report_csv(struct store *s, const struct report_options *o, const char *path, struct error *err)
{
    struct arena a = {0};
    struct report report;
    struct buf b = {0};
    int r = report_gather(s, &a, o, &report, err);
    if (r == 0)
        buf_puts(&b, csv_columns);
    for (int i = 0; r == 0 && i < report.n_models; i++) {
        struct report_scores scores = report_scores_of(&a, &report.models[i]);
        for (size_t k = 0; k < scores.n; k++)
            row(&b, &report, &report.models[i], &scores.items[k]);
    }
    if (r == 0)
        r = file_write(path, buf_view(&b), err);
    buf_free(&b);
    arena_free(&a);
    return r;
}
