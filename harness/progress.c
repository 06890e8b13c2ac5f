#include "harness/progress.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

struct progress {
    pthread_mutex_t lock;
    bool quiet, terminal, color;
    bool shown; /* a line stands on the terminal and has no newline yet */
    const char *model;
    int64_t total, stored, done;
    struct engine_progress engine;
    double started, drawn; /* seconds */
    char task[80], metric[40];
    double score_sum;
    int64_t n_scores;
};

struct progress *progress_new(bool quiet)
{
    struct progress *p = mem_alloc(1, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool dumb = !term || strcmp(term, "dumb") == 0;
    p->quiet = quiet;
    p->terminal = isatty(STDERR_FILENO) && !dumb;
    p->color = p->terminal && !(no_color && *no_color);
    return p;
}

void progress_free(struct progress *p)
{
    if (p)
        pthread_mutex_destroy(&p->lock);
    free(p);
}

void progress_begin(struct progress *p, const char *model, int64_t total, int64_t stored)
{
    pthread_mutex_lock(&p->lock);
    p->model = model;
    p->total = total;
    p->stored = stored;
    p->done = p->n_scores = 0;
    p->engine = (struct engine_progress){0};
    p->score_sum = 0;
    p->task[0] = p->metric[0] = '\0';
    p->started = now_seconds();
    p->drawn = p->terminal ? 0 : p->started;
    pthread_mutex_unlock(&p->lock);
}

static void add_duration(struct buf *b, double seconds)
{
    long s = seconds < 0 ? 0 : seconds > 8640000 ? 8640000 : lround(seconds);
    if (s >= 3600)
        buf_printf(b, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        buf_printf(b, "%ld:%02ld", s / 60, s % 60);
}

static void put_line(struct buf *b, const struct progress *p, double seconds, bool color)
{
    double rate = seconds > 0 ? (double)p->done / seconds : 0;
    const char *bold = color ? "\033[1m" : "", *dim = color ? "\033[2m" : "",
               *plain = color ? "\033[0m" : "";
    buf_printf(b, "%s%s%s  %lld/%lld", bold, p->model, plain, (long long)p->done,
               (long long)p->total);
    if (p->total)
        buf_printf(b, " (%d%%)", (int)(100 * p->done / p->total));
    if (seconds > 0)
        buf_printf(b, "  %.0f tok/s  %.1f eval/s", (double)p->engine.computed / seconds, rate);
    if (p->done < p->total && rate > 0) {
        buf_puts(b, "  ETA ");
        add_duration(b, (double)(p->total - p->done) / rate);
    }
    if (p->n_scores)
        buf_printf(b, "  %s%s %s %.4f%s", dim, p->task, p->metric,
                   p->score_sum / (double)p->n_scores, plain);
}

/* A line that wraps could not be drawn over: what is too long is cut, and goes without colors. */
static void put_line_that_fits(struct buf *b, const struct progress *p, double seconds)
{
    struct winsize w = {0};
    size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
    put_line(b, p, seconds, false);
    if (b->n < columns) {
        b->n = 0;
        put_line(b, p, seconds, p->color);
        return;
    }
    b->n = columns - 1;
    while (b->n > 0 && ((unsigned char)b->p[b->n] & 0xc0) == 0x80)
        b->n--; /* not inside a character */
}

/* Draws the line now; the lock is held. */
static void draw(struct progress *p, double at)
{
    struct buf b = {0};
    if (p->terminal) {
        put_line_that_fits(&b, p, at - p->started);
        fprintf(stderr, "\r%.*s\033[K", (int)b.n, b.p);
        p->shown = true;
    } else {
        put_line(&b, p, at - p->started, false);
        fprintf(stderr, "%s\n", b.p);
    }
    buf_free(&b);
    fflush(stderr);
    p->drawn = at;
}

static void draw_if_due(struct progress *p)
{
    double at = now_seconds();
    if (!p->quiet && at - p->drawn >= (p->terminal ? 0.1 : 10.0))
        draw(p, at);
}

void progress_document(struct progress *p, const char *task, const char *metric, double score)
{
    pthread_mutex_lock(&p->lock);
    if (strcmp(p->task, task) != 0) {
        snprintf(p->task, sizeof p->task, "%s", task);
        p->score_sum = 0;
        p->n_scores = 0;
    }
    p->done++;
    if (!isnan(score)) {
        snprintf(p->metric, sizeof p->metric, "%s", metric);
        p->score_sum += score;
        p->n_scores++;
    }
    draw_if_due(p);
    pthread_mutex_unlock(&p->lock);
}

void progress_engine(struct progress *p, const struct engine_progress *e)
{
    pthread_mutex_lock(&p->lock);
    p->engine = *e;
    draw_if_due(p);
    pthread_mutex_unlock(&p->lock);
}

static void clear_line(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}

static void add_engine(struct buf *b, const struct engine_progress *e, double seconds)
{
    buf_printf(b, ", %.0f tok/s; %lld of %lld tokens computed, the engine waited %.1f s",
               seconds > 0 ? (double)e->computed / seconds : 0, (long long)e->computed,
               (long long)e->asked, e->seconds_waited);
}

void progress_end(struct progress *p)
{
    pthread_mutex_lock(&p->lock);
    clear_line(p);
    if (!p->quiet) {
        double seconds = now_seconds() - p->started;
        struct buf b = {0};
        buf_printf(&b, "%s: ", p->model);
        if (p->total)
            buf_printf(&b, "%lld of %lld documents answered in ", (long long)p->done,
                       (long long)p->total);
        if (p->total && seconds < 60)
            buf_printf(&b, "%.1f s", seconds);
        else if (p->total)
            add_duration(&b, seconds);
        if (p->done)
            add_engine(&b, &p->engine, seconds);
        if (p->stored)
            buf_printf(&b, "%s%lld documents were stored before", p->total ? "; " : "all ",
                       (long long)p->stored);
        fprintf(stderr, "%s\n", b.p);
        buf_free(&b);
    }
    pthread_mutex_unlock(&p->lock);
}

void progress_note(struct progress *p, const char *format, ...)
{
    pthread_mutex_lock(&p->lock);
    clear_line(p);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    pthread_mutex_unlock(&p->lock);
}
