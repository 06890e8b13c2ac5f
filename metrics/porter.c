/* porter.c: Porter's stemmer (1980) with NLTK's extensions, which rouge_score stems with.
 *
 * Words are of a-z and 0-9; whatever is not a, e, i, o, u or such a y is a consonant. A word is
 * rewritten in place: no rule makes it longer than it was at first. */
#include "metrics/porter.h"

struct word {
    char *p;
    size_t n;
};

/* ---- conditions ---- */

static bool is_vowel_letter(char c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

/* A y is a vowel behind a consonant: along a run of them every other one. */
static bool is_consonant(struct word w, size_t i)
{
    bool negate = false;
    if (w.p[i] != 'y')
        return !is_vowel_letter(w.p[i]);
    for (; i > 0 && w.p[i] == 'y'; i--)
        negate = !negate;
    return !is_vowel_letter(w.p[i]) != negate;
}

/* How often a consonant follows a vowel. */
static int measure(struct word w)
{
    int n = 0;
    bool consonant = true;
    for (size_t i = 0; i < w.n; i++) {
        bool before = consonant;
        consonant = w.p[i] == 'y' ? i == 0 || !before : !is_vowel_letter(w.p[i]);
        n += consonant && !before;
    }
    return n;
}

static bool has_vowel(struct word w)
{
    for (size_t i = 0; i < w.n; i++)
        if (is_vowel_letter(w.p[i]) || (w.p[i] == 'y' && i > 0 && !is_vowel_letter(w.p[i - 1])))
            return true; /* the first y behind a consonant; one behind a y needs that one */
    return false;
}

static bool ends_double_consonant(struct word w)
{
    return w.n >= 2 && w.p[w.n - 1] == w.p[w.n - 2] && is_consonant(w, w.n - 1);
}

/* Consonant, vowel, consonant but w, x or y; or (NLTK) a word of vowel and consonant. */
static bool ends_short(struct word w)
{
    if (w.n == 2)
        return !is_consonant(w, 0) && is_consonant(w, 1);
    char last = w.n ? w.p[w.n - 1] : '\0';
    return w.n >= 3 && last != 'w' && last != 'x' && last != 'y' && is_consonant(w, w.n - 3) &&
           !is_consonant(w, w.n - 2) && is_consonant(w, w.n - 1);
}

/* ---- rules ---- */

static bool ends(struct word w, const char *suffix, struct word *stem)
{
    size_t n = strlen(suffix);
    if (w.n < n || memcmp(w.p + w.n - n, suffix, n) != 0)
        return false;
    *stem = (struct word){w.p, w.n - n};
    return true;
}

static void put(struct word *w, struct word stem, const char *replacement)
{
    size_t n = strlen(replacement);
    memcpy(stem.p + stem.n, replacement, n);
    w->n = stem.n + n;
}

struct rule {
    const char *suffix, *replacement;
    int above; /* the stem's measure must be above this */
};

/* The first rule whose suffix fits decides, applied or not. */
static void apply(struct word *w, const struct rule *rules, size_t n)
{
    struct word stem;
    for (size_t i = 0; i < n; i++)
        if (ends(*w, rules[i].suffix, &stem)) {
            if (rules[i].above < 0 || measure(stem) > rules[i].above)
                put(w, stem, rules[i].replacement);
            return;
        }
}

static void step_1a(struct word *w)
{
    static const struct rule rules[] = {
        {"sses", "ss", -1}, {"ies", "i", -1}, {"ss", "ss", -1}, {"s", "", -1}};
    struct word stem;
    if (w->n == 4 && ends(*w, "ies", &stem))
        put(w, stem, "ie");
    else
        apply(w, rules, sizeof rules / sizeof *rules);
}

/* What -ed or -ing has left is made a word again: conflat(ed) is conflate, hopp(ing) hop. */
static void mend(struct word *w)
{
    struct word stem;
    char last = w->p[w->n - 1];
    if (ends(*w, "at", &stem) || ends(*w, "bl", &stem) || ends(*w, "iz", &stem))
        put(w, *w, "e");
    else if (ends_double_consonant(*w))
        w->n -= last != 'l' && last != 's' && last != 'z';
    else if (measure(*w) == 1 && ends_short(*w))
        put(w, *w, "e");
}

static void step_1b(struct word *w)
{
    struct word stem;
    if (ends(*w, "ied", &stem)) {
        put(w, stem, w->n == 4 ? "ie" : "i");
    } else if (ends(*w, "eed", &stem)) {
        if (measure(stem) > 0)
            put(w, stem, "ee");
    } else if ((ends(*w, "ed", &stem) || ends(*w, "ing", &stem)) && has_vowel(stem)) {
        w->n = stem.n;
        mend(w);
    }
}

/* NLTK's: not after a vowel ("enjoy"), and not in a word of two letters. */
static void step_1c(struct word *w)
{
    struct word stem;
    if (ends(*w, "y", &stem) && stem.n > 1 && is_consonant(stem, stem.n - 1))
        put(w, stem, "i");
}

static void step_2(struct word *w)
{
    static const struct rule rules[] = {
        {"ational", "ate", 0}, {"tional", "tion", 0}, {"enci", "ence", 0},   {"anci", "ance", 0},
        {"izer", "ize", 0},    {"bli", "ble", 0},     {"alli", "al", 0},     {"entli", "ent", 0},
        {"eli", "e", 0},       {"ousli", "ous", 0},   {"ization", "ize", 0}, {"ation", "ate", 0},
        {"ator", "ate", 0},    {"alism", "al", 0},    {"iveness", "ive", 0}, {"fulness", "ful", 0},
        {"ousness", "ous", 0}, {"aliti", "al", 0},    {"iviti", "ive", 0},   {"biliti", "ble", 0},
        {"fulli", "ful", 0},
    };
    struct word stem;
    while (ends(*w, "alli", &stem) && measure(stem) > 0) /* NLTK: the step is taken again */
        put(w, stem, "al");
    if (!ends(*w, "logi", &stem))
        apply(w, rules, sizeof rules / sizeof *rules);
    else if (measure((struct word){w->p, w->n - 3}) > 0) /* of what keeps its l */
        put(w, stem, "log");
}

static void step_3(struct word *w)
{
    static const struct rule rules[] = {
        {"icate", "ic", 0}, {"ative", "", 0}, {"alize", "al", 0}, {"iciti", "ic", 0},
        {"ical", "ic", 0},  {"ful", "", 0},   {"ness", "", 0},
    };
    apply(w, rules, sizeof rules / sizeof *rules);
}

static void step_4(struct word *w)
{
    static const struct rule rules[] = {
        {"al", "", 1},   {"ance", "", 1}, {"ence", "", 1}, {"er", "", 1},    {"ic", "", 1},
        {"able", "", 1}, {"ible", "", 1}, {"ant", "", 1},  {"ement", "", 1}, {"ment", "", 1},
        {"ent", "", 1},  {"ou", "", 1},   {"ism", "", 1},  {"ate", "", 1},   {"iti", "", 1},
        {"ous", "", 1},  {"ive", "", 1},  {"ize", "", 1},
    };
    struct word stem;
    if (!ends(*w, "ion", &stem))
        apply(w, rules, sizeof rules / sizeof *rules);
    else if (measure(stem) > 1 && (stem.p[stem.n - 1] == 's' || stem.p[stem.n - 1] == 't'))
        w->n = stem.n;
}

static void step_5(struct word *w)
{
    struct word stem;
    if (ends(*w, "e", &stem)) {
        int m = measure(stem);
        if (m > 1 || (m == 1 && !ends_short(stem)))
            w->n = stem.n;
    }
    if (ends(*w, "ll", &stem) && measure((struct word){w->p, w->n - 1}) > 1)
        w->n--;
}

/* ---- a word ---- */

static const struct {
    const char *form, *stem;
} irregular[] = {
    {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},        {"lying", "lie"},
    {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
    {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
    {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"},
};

static bool is_irregular(struct word *w)
{
    if (w->n > 8)
        return false;
    for (size_t i = 0; i < sizeof irregular / sizeof *irregular; i++) {
        const char *form = irregular[i].form;
        if (form[0] == w->p[0] && strlen(form) == w->n && memcmp(form, w->p, w->n) == 0) {
            put(w, (struct word){w->p, 0}, irregular[i].stem);
            return true;
        }
    }
    return false;
}

size_t porter_stem(char *word, size_t n)
{
    struct word w = {word, n};
    if (n == 0 || is_irregular(&w) || n <= 2)
        return w.n;
    step_1a(&w);
    step_1b(&w);
    step_1c(&w);
    step_2(&w);
    step_3(&w);
    step_4(&w);
    step_5(&w);
    return w.n;
}
