/* The program's own small parts: options, nearest names, queues, widths. */
#include <pthread.h>

#include "harness/options.h"
#include "harness/queue.h"
#include "harness/table.h"
#include "tests/check.h"

static struct {
    bool flag;
    int number;
    double fraction;
    size_t size;
    const char *text;
    struct strings list, split;
} got;

static const struct option rows[] = {
    {OPTION_GROUP, 0, "Things", NULL, NULL, NULL},
    {OPTION_FLAG, 'q', "be_quiet", NULL, &got.flag, "say less"},
    {OPTION_INT, 'n', "num_fewshot", "N", &got.number, "examples"},
    {OPTION_LIMIT, 0, "limit", "N", &got.fraction, "documents"},
    {OPTION_SIZE, 0, "memory", "SIZE", &got.size, "bytes"},
    {OPTION_STR, 0, "db", "FILE", &got.text, "store"},
    {OPTION_LIST, 'm', "model", "SPEC", &got.list, "models"},
    {OPTION_SPLIT, 't', "tasks", "NAMES", &got.split, "tasks"},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};
static const struct usage usage = {
    .command = "test", .synopsis = "", .summary = "", .options = rows};

static int parse(struct strings *rest, struct error *err, int n, const char *const *words)
{
    char *argv[16];
    for (int i = 0; i < n; i++)
        argv[i] = (char *)(uintptr_t)words[i];
    free(got.list.items);
    free(got.split.items);
    memset(&got, 0, sizeof got);
    return options_parse(&usage, n, argv, rest, err);
}
#define PARSE(...)                                                                                 \
    parse(&rest, &err, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                     \
          (const char *const[]){__VA_ARGS__})

static void options(void)
{
    struct strings rest = {0};
    struct error err = {0};
    EXPECT_OK(PARSE("-q", "--num-fewshot", "5", "--limit=0.25", "-mA,x=1", "-m", "B", "-t", "a,b",
                    "--tasks", "c", "plain", "--", "-x"),
              &err);
    EXPECT(got.flag);
    EXPECT_INT(got.number, 5);
    EXPECT_NEAR(got.fraction, 0.25, 0);
    EXPECT_INT(got.list.n, 2);
    EXPECT_Z(got.list.items[0], "A,x=1");
    EXPECT_INT(got.split.n, 3);
    EXPECT_Z(got.split.items[2], "c");
    EXPECT_INT(rest.n, 2);
    EXPECT_Z(rest.items[1], "-x");
    static const struct {
        const char *text;
        size_t bytes;
    } sizes[] = {{"100", 100},
                 {"1.5k", 1536},
                 {"512M", 512u << 20},
                 {"2GiB", (size_t)2 << 30},
                 {"1TB", (size_t)1 << 40}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        EXPECT_OK(PARSE("--memory", sizes[i].text), &err);
        EXPECT(got.size == sizes[i].bytes);
    }
    static const char *const no_sizes[] = {"",   "0",  "-1G", "2 ",      "2 G",
                                           "2Q", "Gi", "nan", "9999999T"};
    for (size_t i = 0; i < sizeof no_sizes / sizeof *no_sizes; i++)
        EXPECT_ERROR(PARSE("--memory", no_sizes[i]), &err, E_USAGE, "a size such as 2G");
    EXPECT_OK(PARSE("--be_quiet", "--no-be-quiet"), &err);
    EXPECT(!got.flag);
    EXPECT_OK(PARSE("--be-quiet=true"), &err);
    EXPECT(got.flag);
    EXPECT_ERROR(PARSE("--num_fewshot", "five"), &err, E_USAGE, "a whole number, not \"five\"");
    EXPECT_ERROR(PARSE("--num_fewshot", "99999999999"), &err, E_USAGE, "whole number");
    EXPECT_ERROR(PARSE("--limit"), &err, E_USAGE, "needs a value");
    EXPECT_ERROR(PARSE("--be-quiet=maybe"), &err, E_USAGE, "true or false");
    EXPECT_ERROR(PARSE("--num-fewshots", "5"), &err, E_USAGE, "did you mean --num_fewshot");
    EXPECT_ERROR(PARSE("-z"), &err, E_USAGE, "unknown option -z");
    EXPECT_OK(PARSE("rest"), &err);
    free(rest.items);
}

static void nearest(void)
{
    const char *const names[] = {"arc_easy", "arc_challenge", "hellaswag"};
    EXPECT_Z(nearest_name("arc_esay", names, 3), "arc_easy");
    EXPECT_Z(nearest_name("hella", names, 3), "hellaswag");
    EXPECT(nearest_name("winogrande", names, 3) == NULL);
}

static void widths(void)
{
    EXPECT_INT(text_width(STR("abc")), 3);
    EXPECT_INT(text_width(STR("0.5 \xc2\xb1 0.1")), 9);
    EXPECT_INT(text_width(STR("\xe6\xbc\xa2\xe5\xad\x97")), 4); /* two wide characters */
}

enum { N_ITEMS = 20000, CAP = 64 };
static struct queue there, back;

static void *bounce(void *arg)
{
    (void)arg;
    for (int item; (item = queue_pop(&there, true)) >= 0;)
        queue_push(&back, item);
    return NULL;
}

static void queue_hands_over(void)
{
    queue_init(&there, CAP);
    queue_init(&back, CAP);
    pthread_t thread;
    pthread_create(&thread, NULL, bounce, NULL);
    for (int i = 0; i < CAP; i++)
        queue_push(&back, i);
    for (int i = 0; i < N_ITEMS; i++) {
        int item = queue_pop(&back, true);
        EXPECT_INT(item, i % CAP); /* in order, whatever the threads do */
        queue_push(&there, item);
    }
    queue_close(&there);
    pthread_join(thread, NULL);
    EXPECT_INT(queue_pop(&there, true), -1);
    for (int i = 0; i < CAP; i++)
        EXPECT(queue_pop(&back, false) >= 0);
    EXPECT_INT(queue_pop(&back, false), -1);
    queue_destroy(&there);
    queue_destroy(&back);
}

CHECK_MAIN({"options", options}, {"nearest", nearest}, {"widths", widths},
           {"queue_hands_over", queue_hands_over})
