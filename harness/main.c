/* main.c: picks the command, prints what went wrong, turns errors into exit codes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "harness/commands.h"
#include "harness/options.h"

static const struct {
    const char *name;
    command_function *run;
    const char *summary;
} commands[] = {
    {"run", cmd_run, "run models over tasks and store every answer and score"},
    {"compare", cmd_compare, "is the difference between two models real?"},
    {"report", cmd_report, "write what the store holds as HTML and CSV"},
    {"card", cmd_card, "write the evaluation section of a model card, in Markdown"},
    {"ls", cmd_ls, "list what is stored: evaluations, models, runs; or the tasks"},
    {"show", cmd_show, "one sample: prompt, answers, scores, of one or two models"},
    {"bench", cmd_bench, "how fast a model runs on this machine, beside what the machine could do"},
    {"quantize", cmd_quantize, "write a quantized model as a Hugging Face folder"},
    {"rescore", cmd_rescore,
     "score stored answers again by a changed definition, without the model"},
    {"score", cmd_score, "score recorded outputs, without a model"},
    {"tasks", cmd_tasks, "tasks check DIR: which task files load, and why others do not"},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *f)
{
    fputs("Usage: assay COMMAND [options]\n\n"
          "Measures what a change to a language model costs or gains on real tasks.\n\nCommands:\n",
          f);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs("\nassay COMMAND --help explains one command; assay --version prints the version.\n\n"
          "Example:\n"
          "  assay run -m model.gguf,name=base -m model.gguf,name=q8,quant=q8_0 -t arc_easy\n"
          "  assay compare base q8\n",
          f);
}

static int unknown_command(const char *name)
{
    const char *names[N_COMMANDS + 2] = {[N_COMMANDS] = "--help", "--version"};
    for (int i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = nearest_name(name, names, N_COMMANDS + 2);
    fprintf(stderr, "assay: no command \"%s\"; %s%s%s\n", name, near ? "did you mean \"" : "",
            near ? near : "assay --help lists the commands", near ? "\"?" : "");
    return EXIT_USAGE;
}

/* Where one of the three standard files is closed, the next file opened would take its place, and
 * what is printed would go into it. The place is held by one that cannot be used either. */
static void hold_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            return;
}

int main(int argc, char **argv)
{
    hold_standard_files();
    mapping_guard(exit_code(E_IO));
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("assay " ASSAY_VERSION);
        return EXIT_DONE;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        struct error err = {0};
        int r = commands[i].run(argc - 2, argv + 2, &err);
        if (fflush(stdout) != 0 && r >= 0)
            r = error_set(&err, E_IO, "cannot write to standard output: is its disk full?");
        if (r >= 0)
            return r;
        fprintf(stderr, "assay %s: %s\n", commands[i].name, err.msg);
        return exit_code(r);
    }
    return unknown_command(argv[1]);
}
