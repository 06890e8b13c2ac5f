# A task file that names a data set of the hub finds its files below --data, as the hub lays them
# out, and its Python functions by their source.
. "$source/tests/cli/lib.sh"
make_tasks 9
"$make_tiny_model" hf-f32 tiny
mkdir -p theirs hub/somebody/things/main
cat >theirs/utils.py <<'P'
def process_docs(dataset, kind):
    return dataset.filter(lambda x: x["kind"] == kind)


process_big = partial(process_docs, kind="big")
P
cat >theirs/things.yaml <<'Y'
task: things
dataset_path: somebody/things
dataset_name: main
test_split: test
process_docs: !function utils.process_big
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: answer
Y
try run -q -m tiny -t theirs/things.yaml --data hub
sed 's/"question"/"kind": "big", "question"/' data/colors.jsonl | head -n 4 >hub/somebody/things/main/test-00001-of-00002.jsonl
sed 's/"question"/"kind": "small", "question"/' data/colors.jsonl | tail -n 5 >hub/somebody/things/main/test-00000-of-00002.jsonl
"$assay" run -q -m tiny,name=tiny -t theirs/things.yaml --data hub --db t.db | sed 's/  */ /g'
sqlite3 t.db "select min(json_extract(doc, '$.question')), max(json_extract(doc, '$.kind')) from v_samples"
rm hub/somebody/things/main/*
: >hub/somebody/things/main/test-00000-of-00001.parquet
try run -q -m tiny -t theirs/things.yaml --data hub
