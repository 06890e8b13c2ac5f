# assay tasks check: a folder of task files, those that load and those that do not, by cause.
. "$source/tests/cli/lib.sh"
make_tasks 3
mkdir -p tree/sub
cp tasks/*.yaml tree
cat >tree/sub/utils.py <<'P'
def process_docs(dataset, subject):
    return dataset.filter(lambda x: x["subject"] == subject)


process_law = partial(process_docs, subject="law")


def process_results(doc, results):
    return {"acc": 1}
P
task() { # task NAME LINES...: a task that includes the common part
    name=$1
    shift
    printf 'task: %s\ninclude: _common\n' "$name" >"tree/sub/$name.yaml"
    printf '%s\n' "$@" >>"tree/sub/$name.yaml"
}
cat >tree/sub/_common <<'Y'
dataset_path: somebody/questions
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: options
doc_to_target: answer
Y
task law 'process_docs: !function utils.process_law'
task own1 'process_results: !function utils.process_results'
task own2 'process_results: !function utils.process_results'
task far 'process_docs: !function lm_eval.tasks.utils.process_docs'
task python 'class: !function utils.Task'
task generated 'custom_dataset: !function utils.load'
task image 'doc_to_image: image'
task typo 'doc_to_txt: question'
task metric 'metric_list:' '  - metric: accc'
task filter 'filter_list:' '  - {name: f, filter: [{function: rejex}]}'
task template 'description: "{{"'
printf 'task: [broken\n' >tree/sub/broken.yaml
printf 'group: some\ntask: [colors, law]\n' >tree/sub/some.yaml
printf 'group: lost\ntask: [colours]\n' >tree/sub/lost.yaml
printf 'test_split: test\n' >tree/sub/part.yaml
printf 'task: alone\ninclude: nowhere\n' >tree/sub/alone.yaml
try tasks check tree | sed 's/  *$//'
"$assay" tasks check tree --json | grep -c fingerprint
try tasks check tasks
try tasks check nowhere
try tasks
