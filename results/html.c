#include "results/html.h"

#include <math.h>

#include "base/utf8.h"
#include "results/divergence.h"
#include "results/similarity.h"

void html_text(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t from = i;
        int32_t c = utf8_next(s, &i);
        bool bad = c < 0 || (c < 32 && c != '\n' && c != '\t') || (c >= 127 && c < 160);
        if (c == '&')
            buf_puts(b, "&amp;");
        else if (c == '<')
            buf_puts(b, "&lt;");
        else if (c == '>')
            buf_puts(b, "&gt;");
        else if (c == '"')
            buf_puts(b, "&quot;");
        else if (bad)
            buf_puts(b, c == '\r' ? "" : "\xef\xbf\xbd");
        else
            buf_add(b, s.p + from, i - from);
    }
}

void html_task(struct buf *b, const char *alias, const char *task, const char *setting)
{
    buf_puts(b, "<th scope=\"row\">");
    html_text(b, str_of(alias[0] ? alias : task));
    if (setting[0]) {
        buf_puts(b, " <small>");
        html_text(b, str_of(setting));
        buf_puts(b, "</small>");
    }
    buf_puts(b, "</th>");
}

void html_notes(struct buf *b, const char *const *notes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_puts(b, "<p class=\"note\">");
        html_text(b, str_of(notes[i]));
        buf_puts(b, "</p>\n");
    }
}

static void estimate_cell(struct buf *b, const struct estimate *e, int digits)
{
    buf_printf(b, "<td class=\"num\">%.*f", digits, e->value);
    if (isfinite(e->low) && isfinite(e->high))
        buf_printf(b, " <span class=\"soft\">%.*f to %.*f</span>", digits, e->low, digits, e->high);
    buf_puts(b, "</td>");
}

static void table_start(struct buf *b, const char *const *headings, size_t n)
{
    buf_puts(b, "<div class=\"wide\"><table><thead><tr><th>Task</th>");
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "<th class=\"num\">%s</th>", headings[i]);
    buf_puts(b, "</tr></thead>\n<tbody>\n");
}

#define TABLE_END "</tbody></table></div>\n"

static void divergence_table(struct buf *b, const struct divergence_list *l)
{
    static const char *const headings[] = {"Tokens",   "Mean KL",          "Median, 99 %",
                                           "Same top", "Perplexity ratio", "Largest change",
                                           "Remainder"};
    buf_puts(b, "<h3>Distribution over tokens</h3>\n<p class=\"soft\">Means over the tokens that "
                "both have scored, with 95 % intervals over documents; KL in nats a token. It is "
                "exact where both read the prompts side by side; else a lower bound, since tokens "
                "that only one model lists count as one outcome: the remainder.</p>\n");
    table_start(b, headings, sizeof headings / sizeof *headings);
    for (size_t i = 0; i < l->n; i++) {
        const struct divergence *d = &l->items[i];
        buf_puts(b, "<tr class=\"task\">");
        html_task(b, d->task_alias, d->task, d->setting);
        buf_printf(b, "<td class=\"num\">%lld</td>", (long long)d->n_tokens);
        estimate_cell(b, &d->kl, 6);
        buf_printf(b, "<td class=\"num\">%.6f, %.4f</td>", d->kl_median, d->kl_99);
        estimate_cell(b, &d->same_top, 4);
        estimate_cell(b, &d->perplexity_ratio, 4);
        buf_printf(b, "<td class=\"num\">%+.4f <span class=\"soft\">document %lld</span></td>",
                   d->largest_change, (long long)d->largest_doc_id);
        buf_printf(b,
                   d->exact ? "<td class=\"num\">exact</td></tr>\n"
                            : "<td class=\"num\">%.4f</td></tr>\n",
                   d->remainder);
    }
    buf_puts(b, TABLE_END);
    html_notes(b, l->notes, l->n_notes);
}

static void similarity_table(struct buf *b, const struct similarity_list *l)
{
    static const char *const headings[] = {"Documents", "Same", "ROUGE-1", "ROUGE-2",
                                           "ROUGE-L",   "BLEU", "chrF"};
    buf_puts(b, "<h3>Answers alike</h3>\n<p class=\"soft\">What was written, with what the first "
                "model wrote as the reference, and 95 % intervals over documents. ROUGE is between "
                "0 and 1, BLEU and chrF between 0 and 100.</p>\n");
    table_start(b, headings, sizeof headings / sizeof *headings);
    for (size_t i = 0; i < l->n; i++) {
        const struct similarity *s = &l->items[i];
        buf_puts(b, "<tr class=\"task\">");
        html_task(b, s->task_alias, s->task, s->setting);
        buf_printf(b, "<td class=\"num\">%lld</td><td class=\"num\">%.1f %%</td>", (long long)s->n,
                   100 * (double)s->n_same / (double)s->n_answers);
        for (int m = 0; m < SIMILARITY_METRICS; m++)
            estimate_cell(b, &s->metrics[m], m < SIMILARITY_BLEU ? 4 : 2);
        buf_puts(b, "</tr>\n");
    }
    buf_puts(b, TABLE_END); /* its notes are those of the scores' table */
}

int html_pair(struct store *s, struct buf *b, const char *reference, const char *model,
              const char *task, struct error *err)
{
    struct arena a = {0};
    struct divergence_list moved;
    struct similarity_list alike = {0};
    struct error none;
    int r = divergence_models(s, &a, reference, model, task, &moved, err);
    if (r == 0) {
        r = similarity_models(s, &a, reference, model, task, &alike, &none);
        if (r < 0 && r != E_INPUT)
            *err = none;
        r = r == E_INPUT ? 0 : r; /* they wrote nothing to the same documents */
    }
    if (r == 0 && moved.n)
        divergence_table(b, &moved);
    if (r == 0 && alike.n)
        similarity_table(b, &alike);
    arena_free(&a);
    return r;
}
