#include "harness/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && !((a[i] == '-' || a[i] == '_') && (b[i] == '-' || b[i] == '_')))
            return false;
    return b[n] == '\0';
}

static const struct option *find_long(const struct option *o, const char *name, size_t n)
{
    for (; o->kind != OPTION_END; o++)
        if (o->kind != OPTION_GROUP && same_name(name, o->name, n))
            return o;
    return NULL;
}

static const struct option *find_letter(const struct option *o, char letter)
{
    for (; o->kind != OPTION_END; o++)
        if (o->kind != OPTION_GROUP && o->letter == letter)
            return o;
    return NULL;
}

static int unknown(const struct usage *u, const char *word, size_t n, struct error *err)
{
    const char *names[64];
    size_t n_names = 0;
    for (const struct option *o = u->options; o->kind != OPTION_END && n_names < 64; o++)
        if (o->kind != OPTION_GROUP)
            names[n_names++] = o->name;
    struct arena a = {0};
    const char *near = nearest_name(arena_copy(&a, word, n), names, n_names);
    int r = near ? error_set(err, E_USAGE,
                             "unknown option --%.*s; did you mean --%s? (assay %s --help lists "
                             "them all)",
                             (int)n, word, near, u->command)
                 : error_set(err, E_USAGE, "unknown option --%.*s; assay %s --help lists them all",
                             (int)n, word, u->command);
    arena_free(&a);
    return r;
}

static void push_split(struct strings *list, const char *value)
{
    static struct arena kept; /* options live as long as the program */
    for (const char *at = value; *at;) {
        size_t n = strcspn(at, ",");
        if (n)
            *ARRAY_PUSH(list) = arena_copy(&kept, at, n);
        at += n + (at[n] == ',');
    }
}

static int bad_value(const struct option *o, const char *value, const char *what, struct error *err)
{
    return error_set(err, E_USAGE, "--%s takes %s, not \"%s\"", o->name, what, value);
}

/* 2G, 1.5g, 512MiB, 100000000: powers of 1024. */
static bool parse_size(const char *value, size_t *ret)
{
    static const char units[] = "KMGT";
    char *end;
    double x = strtod(value, &end);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (end == value || !(x > 0))
        return false;
    if (unit) {
        x *= pow(1024, (double)(unit - units + 1));
        end++;
        end += strcmp(end, "iB") == 0 ? 2 : *end == 'B';
    }
    if (*end || !(x >= 1 && x < 0x1p60))
        return false;
    *ret = (size_t)x;
    return true;
}

static int take(const struct option *o, const char *value, struct error *err)
{
    char *end;
    errno = 0;
    switch (o->kind) {
    case OPTION_FLAG:
        if (strcmp(value, "true") && strcmp(value, "false"))
            return bad_value(o, value, "true or false", err);
        *(bool *)o->target = strcmp(value, "true") == 0;
        return 0;
    case OPTION_INT:
    case OPTION_COUNT: {
        long x = strtol(value, &end, 10), least = o->kind == OPTION_COUNT ? 0 : -2147483647L;
        if (!*value || *end || errno || x < least || x > 2147483647L)
            return bad_value(o, value, least == 0 ? "a whole number from 0" : "a whole number",
                             err);
        *(int *)o->target = (int)x;
        return 0;
    }
    case OPTION_SIZE:
        if (!parse_size(value, o->target))
            return bad_value(o, value, "a size such as 2G or 512M", err);
        return 0;
    case OPTION_LIMIT: {
        double x = strtod(value, &end);
        if (!*value || *end || errno || !(x > 0 && (x < 1 || (x <= 0x1p53 && x == floor(x)))))
            return bad_value(o, value, "a number of documents, or a fraction between 0 and 1", err);
        *(double *)o->target = x;
        return 0;
    }
    case OPTION_STR:
        *(const char **)o->target = value;
        return 0;
    case OPTION_LIST:
        *ARRAY_PUSH((struct strings *)o->target) = value;
        return 0;
    case OPTION_SPLIT:
        push_split(o->target, value);
        return 0;
    case OPTION_GROUP:
    case OPTION_END:
        break;
    }
    return 0;
}

static void print_help(const struct usage *u)
{
    printf("Usage: assay %s %s\n\n%s\n", u->command, u->synopsis, u->summary);
    if (u->options->kind != OPTION_GROUP)
        puts("\nOptions:");
    for (const struct option *o = u->options; o->kind != OPTION_END; o++) {
        if (o->kind == OPTION_GROUP) {
            printf("\n%s:\n", o->name);
            continue;
        }
        char left[64];
        int n = snprintf(left, sizeof left, "  %c%c%s--%s%s%s", o->letter ? '-' : ' ',
                         o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
                         o->arg ? " " : "", o->arg ? o->arg : "");
        if (n > 33)
            printf("%s\n%34s%s\n", left, "", o->help);
        else
            printf("%-34s%s\n", left, o->help);
    }
    if (u->example)
        printf("\nExample:\n%s\n", u->example);
}

static int parse_long(const struct usage *u, int argc, char **argv, int *i, struct error *err)
{
    const char *word = argv[*i] + 2, *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    const struct option *o = find_long(u->options, word, n);
    if (!o && n > 3 && strncmp(word, "no-", 3) == 0 && !equals) {
        o = find_long(u->options, word + 3, n - 3);
        if (o && o->kind == OPTION_FLAG)
            return take(o, "false", err);
        o = NULL;
    }
    if (!o)
        return unknown(u, word, n, err);
    if (equals)
        return take(o, equals + 1, err);
    if (o->kind == OPTION_FLAG)
        return take(o, "true", err);
    if (*i + 1 >= argc)
        return error_set(err, E_USAGE, "--%s needs a value: --%s %s", o->name, o->name, o->arg);
    return take(o, argv[++*i], err);
}

static int parse_letter(const struct usage *u, int argc, char **argv, int *i, struct error *err)
{
    const char *word = argv[*i];
    const struct option *o = find_letter(u->options, word[1]);
    if (!o)
        return error_set(err, E_USAGE, "unknown option -%c; assay %s --help lists them all",
                         word[1], u->command);
    if (o->kind == OPTION_FLAG && !word[2])
        return take(o, "true", err);
    if (word[2])
        return take(o, word + 2, err);
    if (*i + 1 >= argc)
        return error_set(err, E_USAGE, "-%c needs a value: -%c %s", o->letter, o->letter, o->arg);
    return take(o, argv[++*i], err);
}

int options_parse(const struct usage *u, int argc, char **argv, struct strings *positional,
                  struct error *err)
{
    bool only_positional = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        int r = 0;
        if (only_positional || word[0] != '-' || !word[1])
            *ARRAY_PUSH(positional) = word;
        else if (strcmp(word, "--") == 0)
            only_positional = true;
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(u);
            return 1;
        } else if (word[1] == '-')
            r = parse_long(u, argc, argv, &i, err);
        else
            r = parse_letter(u, argc, argv, &i, err);
        if (r < 0)
            return r;
    }
    return 0;
}
