/* ter.c: translation edit rate as sacreBLEU 2.6.0 computes it (Snover et al. 2006; Tercom's
 * heuristics).
 *
 * Runs of words that the hypothesis and the reference share are tried at other places of the
 * hypothesis, the best such shift is made, and so on while the edit distance falls; a shift costs
 * one edit. The distance is searched in a band round the diagonal.
 *
 * Every try needs the distance of a hypothesis that differs from the current one in one window. So
 * the current one's rows are kept, a try begins with the row before its window, and it ends as soon
 * as a row behind the window is the kept one plus a constant: from there on nothing else changes.
 */
#include <math.h>
#include <stdlib.h>

#include "metrics/segments.h"
#include "metrics/sequence.h"

enum {
    MAX_SHIFT_SIZE = 10,
    MAX_SHIFT_DISTANCE = 50,
    BEAM_WIDTH = 25,
    MAX_TRIES = 1000,
    FAR = 1 << 29, /* a cell outside the band */
};

enum op { OP_NONE, OP_KEEP, OP_REPLACE, OP_INSERT, OP_DELETE };

/* Row i of the table is [lows[i], highs[i]) of the reference's n + 1 columns; rows[i] is where its
 * first cell lies. */
struct search {
    const uint32_t *reference;
    uint32_t *hypothesis;
    size_t n_reference, n_hypothesis;
    size_t *lows, *highs, *rows;
    int32_t *costs;
    uint8_t *ops;
    int32_t *turns[2];             /* two rows of a try */
    uint32_t *window;              /* the words of a try's window */
    int64_t *aligned;              /* [n_reference] the word of the hypothesis, or -1 */
    uint32_t *errors_h, *errors_r; /* [n + 1] how many words before are not kept */
    int tries;
};

/* ---- the band ---- */

static void set_band(struct arena *a, struct search *s)
{
    size_t n_h = s->n_hypothesis, n_r = s->n_reference, cells = n_r + 1, widest = n_r + 1;
    double ratio = (double)n_r / (double)n_h;
    int64_t width = BEAM_WIDTH < ratio / 2 ? (int64_t)ceil(ratio / 2 + BEAM_WIDTH) : BEAM_WIDTH;
    s->lows = arena_array(a, n_h + 1, sizeof *s->lows);
    s->highs = arena_array(a, n_h + 1, sizeof *s->highs);
    s->rows = arena_array(a, n_h + 1, sizeof *s->rows);
    s->highs[0] = n_r + 1;
    for (size_t i = 1; i <= n_h; i++) {
        int64_t diagonal = (int64_t)floor((double)i * ratio);
        s->lows[i] = diagonal > width ? (size_t)(diagonal - width) : 0;
        s->highs[i] = (size_t)(diagonal + width) < n_r + 1 ? (size_t)(diagonal + width) : n_r + 1;
        if (i == n_h)
            s->highs[i] = n_r + 1;
        s->rows[i] = cells;
        cells += s->highs[i] - s->lows[i];
    }
    s->costs = arena_array(a, cells, sizeof *s->costs);
    s->ops = arena_array(a, cells, sizeof *s->ops);
    s->turns[0] = arena_array(a, widest, sizeof **s->turns);
    s->turns[1] = arena_array(a, widest, sizeof **s->turns);
}

/* A cell of the row above, which reaches from `low` to `high`. */
static int32_t above(const int32_t *row, size_t low, size_t high, size_t j)
{
    return j >= low && j < high ? row[j - low] : FAR;
}

/* Row i from the one above it; `word` is the hypothesis' i-th. `ops` NULL: only costs. Of equal
 * costs a kept or replaced word comes first, then a deletion. */
static void fill_row(const struct search *s, size_t i, uint32_t word, const int32_t *before,
                     int32_t *row, uint8_t *ops)
{
    size_t low = s->lows[i], from = s->lows[i - 1], to = s->highs[i - 1];
    int32_t left = FAR;
    for (size_t j = low; j < s->highs[i]; j++) {
        bool same = j && word == s->reference[j - 1];
        int32_t cost = (j ? above(before, from, to, j - 1) : FAR) + !same;
        int32_t deletion = above(before, from, to, j) + 1;
        enum op op = same ? OP_KEEP : OP_REPLACE;
        if (deletion < cost)
            cost = deletion, op = OP_DELETE;
        if (left + 1 < cost)
            cost = left + 1, op = OP_INSERT;
        if (cost >= FAR)
            cost = FAR, op = OP_NONE;
        row[j - low] = left = cost;
        if (ops)
            ops[j - low] = (uint8_t)op;
    }
}

/* The current hypothesis' rows behind the first `from`; its distance. */
static int32_t fill_rows(struct search *s, size_t from)
{
    size_t n_h = s->n_hypothesis, last = s->rows[n_h] + s->n_reference - s->lows[n_h];
    for (size_t j = 0; from == 0 && j <= s->n_reference; j++) {
        s->costs[j] = (int32_t)j;
        s->ops[j] = OP_INSERT;
    }
    for (size_t i = from + 1; i <= n_h; i++)
        fill_row(s, i, s->hypothesis[i - 1], s->costs + s->rows[i - 1], s->costs + s->rows[i],
                 s->ops + s->rows[i]);
    return s->costs[last];
}

/* ---- what stands where ---- */

/* Walks back through the rows: which word each word of the reference is aligned to (the one before,
 * if it is an insertion), and how many words are wrong before each. */
static void align(struct search *s)
{
    size_t i = s->n_hypothesis, j = s->n_reference;
    memset(s->errors_h, 0, (s->n_hypothesis + 1) * sizeof *s->errors_h);
    memset(s->errors_r, 0, (s->n_reference + 1) * sizeof *s->errors_r);
    while (i > 0 || j > 0) {
        enum op op = s->ops[s->rows[i] + j - s->lows[i]];
        bool in_h = op != OP_INSERT, in_r = op != OP_DELETE;
        if (in_h)
            s->errors_h[i] = op != OP_KEEP;
        if (in_r) {
            s->errors_r[j] = op != OP_KEEP;
            s->aligned[j - 1] = (int64_t)i - 1;
        }
        i -= in_h, j -= in_r;
    }
    for (i = 0; i < s->n_hypothesis; i++)
        s->errors_h[i + 1] += s->errors_h[i];
    for (j = 0; j < s->n_reference; j++)
        s->errors_r[j + 1] += s->errors_r[j];
}

/* ---- shifts ---- */

struct shift {
    int32_t gain;
    size_t start, length, target;
};

/* The words that a shift moves: hypothesis[from, to) becomes window[0, to - from). */
struct range {
    size_t from, to;
};

static struct range make_window(struct search *s, struct shift h)
{
    const uint32_t *words = s->hypothesis;
    size_t end = h.start + h.length, n = s->n_hypothesis;
    struct range r;
    size_t head; /* of the window, what comes before the moved words */
    if (h.target < h.start) {
        r = (struct range){h.target, end};
        head = 0;
    } else if (h.target > end) {
        r = (struct range){h.start, h.target};
        head = h.target - end;
    } else { /* into itself: it changes places with as many words behind it */
        r = (struct range){h.start, h.length + h.target < n ? h.length + h.target : n};
        head = r.to - end;
    }
    const uint32_t *others = h.target < h.start ? words + h.target : words + end;
    size_t n_others = r.to - r.from - h.length;
    memcpy(s->window, others, head * sizeof *words);
    memcpy(s->window + head, words + h.start, h.length * sizeof *words);
    memcpy(s->window + head + h.length, others + head, (n_others - head) * sizeof *words);
    return r;
}

/* Whether row i of a try is the kept one plus a constant. */
static bool differs_by_constant(const struct search *s, size_t i, const int32_t *row, int32_t *ret)
{
    const int32_t *kept = s->costs + s->rows[i];
    size_t n = s->highs[i] - s->lows[i];
    int32_t off = row[n - 1] - kept[n - 1];
    for (size_t j = 0; j < n; j++)
        if (row[j] - kept[j] != (kept[j] == FAR ? 0 : off))
            return false;
    *ret = off;
    return true;
}

/* The distance with the window in place, less the current one. */
static int32_t change_by(struct search *s, struct range r)
{
    const int32_t *before = s->costs + s->rows[r.from];
    int32_t off = 0;
    for (size_t i = r.from + 1; i <= s->n_hypothesis; i++) {
        uint32_t word = i <= r.to ? s->window[i - 1 - r.from] : s->hypothesis[i - 1];
        int32_t *row = s->turns[i & 1];
        fill_row(s, i, word, before, row, NULL);
        before = row;
        if (i >= r.to && differs_by_constant(s, i, row, &off))
            return off;
    }
    size_t last = s->n_reference - s->lows[s->n_hypothesis];
    return before[last] - s->costs[s->rows[s->n_hypothesis] + last];
}

/* Greater gain, then longer, then earlier, then an earlier target. */
static bool is_better(struct shift x, struct shift y)
{
    if (x.gain != y.gain)
        return x.gain > y.gain;
    if (x.length != y.length)
        return x.length > y.length;
    return x.start != y.start ? x.start < y.start : x.target < y.target;
}

/* Tries the run of words [start, start + length) before each word of the reference's run at `r`. */
static void try_targets(struct search *s, size_t start, size_t r, size_t length, struct shift *best,
                        bool *any)
{
    size_t before = SIZE_MAX;
    for (size_t k = 0; k <= length; k++) {
        size_t target = r + k == 0 ? 0 : (size_t)(s->aligned[r + k - 1] + 1);
        if (target == before)
            continue;
        before = target;
        struct shift h = {0, start, length, target};
        h.gain = -change_by(s, make_window(s, h));
        s->tries++;
        if (!*any || is_better(h, *best))
            *best = h;
        *any = true;
    }
}

/* Whether a run is worth a try: wrong on both sides, and not already where it would go. */
static bool is_misplaced(const struct search *s, size_t start, size_t r, size_t length)
{
    int64_t at = s->aligned[r];
    return s->errors_h[start + length] > s->errors_h[start] &&
           s->errors_r[r + length] > s->errors_r[r] &&
           !(at >= (int64_t)start && at < (int64_t)(start + length));
}

/* All runs of the hypothesis that begin at `start` and stand in the reference at `r`. */
static void try_runs(struct search *s, size_t start, size_t r, struct shift *best, bool *any)
{
    size_t length = 0;
    while (length < MAX_SHIFT_SIZE && start + length < s->n_hypothesis &&
           r + length < s->n_reference &&
           s->hypothesis[start + length] == s->reference[r + length]) {
        length++;
        if (!is_misplaced(s, start, r, length))
            continue;
        try_targets(s, start, r, length, best, any);
        if (s->tries >= MAX_TRIES)
            return;
    }
}

/* The best shift of the current hypothesis; false: none was tried. */
static bool find_shift(struct search *s, struct shift *best)
{
    bool any = false;
    for (size_t start = 0; start < s->n_hypothesis; start++) {
        size_t reach =
            start + MAX_SHIFT_SIZE < s->n_hypothesis ? start + MAX_SHIFT_SIZE : s->n_hypothesis;
        if (s->errors_h[reach] == s->errors_h[start])
            continue; /* no run from here holds a wrong word */
        size_t r = start > MAX_SHIFT_DISTANCE ? start - MAX_SHIFT_DISTANCE : 0;
        for (; r < s->n_reference && r <= start + MAX_SHIFT_DISTANCE; r++) {
            if (s->hypothesis[start] == s->reference[r])
                try_runs(s, start, r, best, &any);
            if (s->tries >= MAX_TRIES)
                return any;
        }
    }
    return any;
}

/* ---- one pair ---- */

static int64_t edits(struct arena *a, struct sequence hypothesis, struct sequence reference)
{
    if (!reference.n || !hypothesis.n)
        return (int64_t)(hypothesis.n + reference.n);
    struct search s = {.reference = reference.ids,
                       .hypothesis = arena_array(a, hypothesis.n, sizeof(uint32_t)),
                       .n_reference = reference.n,
                       .n_hypothesis = hypothesis.n,
                       .window = arena_array(a, hypothesis.n, sizeof(uint32_t)),
                       .aligned = arena_array(a, reference.n, sizeof *s.aligned),
                       .errors_h = arena_array(a, hypothesis.n + 1, sizeof(uint32_t)),
                       .errors_r = arena_array(a, reference.n + 1, sizeof(uint32_t))};
    memcpy(s.hypothesis, hypothesis.ids, hypothesis.n * sizeof *hypothesis.ids);
    set_band(a, &s);
    int64_t shifts = 0, distance = fill_rows(&s, 0);
    for (;;) {
        struct shift best;
        align(&s);
        if (distance == 0 || !find_shift(&s, &best) || s.tries >= MAX_TRIES || best.gain <= 0)
            return shifts + distance;
        struct range r = make_window(&s, best);
        memcpy(s.hypothesis + r.from, s.window, (r.to - r.from) * sizeof *s.window);
        distance = fill_rows(&s, r.from);
        shifts++;
    }
}

/* sacreBLEU puts references through its tokenizer twice, which shows where a second look separates
 * more: "..1" becomes ". .1" and then ". . 1". */
static struct words reference_words(struct arena *a, struct str text, const struct ter_options *o)
{
    struct words once = ter_words(a, text, o);
    return o->normalized ? ter_words(a, join_words(a, once), o) : once;
}

void ter_count(struct arena *a, struct str hypothesis, const struct str *references,
               size_t n_references, const struct ter_options *o, struct ter_stats *stats)
{
    struct arena_mark mark = arena_mark(a);
    struct vocabulary v = {.a = a};
    struct sequence h = number_words(&v, ter_words(a, hypothesis, o));
    double length = 0, best = 0;
    for (size_t i = 0; i < n_references; i++) {
        struct sequence r = number_words(&v, reference_words(a, references[i], o));
        double n = (double)edits(a, h, r);
        length += (double)r.n;
        best = i == 0 || n < best ? n : best;
    }
    stats->edits += best;
    stats->ref_length += n_references ? length / (double)n_references : 0;
    arena_reset(a, mark);
}

double ter_score(const struct ter_stats *stats)
{
    if (stats->ref_length > 0)
        return 100 * (stats->edits / stats->ref_length);
    return stats->edits > 0 ? 100 : 0;
}
