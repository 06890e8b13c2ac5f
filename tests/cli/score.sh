# Recorded outputs, scored without a model: plain rows, and the samples_TASK.jsonl that a run wrote.
. "$source/tests/cli/lib.sh"
make_tasks 6
"$make_tiny_model" hf-f32 tiny
options="--include_path tasks"
"$assay" run -q -m tiny $options -t colors,say,tell --output out --json >run.json
for task in colors say tell; do
    "$assay" score -t $task -r out/samples_$task.jsonl --name recorded $options --json >$task.json
done
python3 - <<'P'
import json
run = json.load(open("run.json"))
for row in run:
    again = [r for r in json.load(open(row["task"] + ".json")) if r["metric"] == row["metric"]]
    same = [(r["value"], r["n"], r["stderr"]) for r in again] == [(row["value"], row["n"], row["stderr"])]
    print(row["task"], row["metric"], "the same" if same else (row, again))
P
"$assay" compare tiny recorded | cut -c1-80 | grep -v perplexity

rows() { cat >rows.jsonl; }
score() { try score -t $1 -r rows.jsonl --name mine --include_path tasks --db mine.db; }
rows <<'R'
{"doc_id": 0, "response": "red"}
{"doc_id": 2, "response": "green"}
{"doc_id": 1, "response": "blue"}
R
score say
"$assay" show say 1 --db mine.db | sed -n '/--- answers/,$p'
rows <<'R'
{"doc_id": 0, "responses": [-1, -2, -3]}
{"doc_id": 1, "responses": [[-1.5, true], [-0.5, false], [-9, false]]}
R
score colors
"$assay" ls --db mine.db

# one object of predictions, as publishers have them: an id in the data, an answer or JSON
cat >data/ids.jsonl <<'R'
{"uid": "x-1", "q": "one?", "a": "1"}
{"uid": "x-2", "q": "two?", "a": "2"}
{"uid": "x-3", "q": "three?", "a": "3"}
R
cat >ids.yaml <<'R'
task: ids
dataset_path: json
dataset_kwargs: {data_files: {test: data/ids.jsonl}}
test_split: test
doc_to_text: "{{q}}"
doc_to_target: "{{a}}"
R
echo '{"x-1": "1", "x-2": 2}' >rows.jsonl
try score -t ids.yaml -r rows.jsonl --db ids.db
echo '{"x-1": "1", "y-2": "2"}' >rows.jsonl
try score -t ids.yaml -r rows.jsonl --db none.db

# rows that cannot be used: nothing of them is stored
refused() { rows; try score -t ${1:-say} -r rows.jsonl --include_path tasks --db none.db; ls none.db 2>/dev/null; }
good='{"doc_id": 0, "response": "red"}'
refused </dev/null
printf '%s\n{"doc_id": 1, "response": "dark\n' "$good" | refused
printf '%s\n{"doc_id": 77, "response": "red"}\n' "$good" | refused
printf '%s\n{"doc_id": -1, "response": "red"}\n' "$good" | refused
printf '%s\n{"id": 1, "response": "red"}\n' "$good" | refused
printf '%s\n{"doc_id": 1}\n' "$good" | refused
printf '%s\n{"doc_id": 1, "response": 5}\n' "$good" | refused
printf '%s\n{"doc_id": 1, "response": ["red", "blue"]}\n' "$good" | refused
printf '%s\n["doc_id"]\n' "$good" | refused
echo '{"doc_id": 0, "responses": [-1, -2]}' | refused colors
echo '{"doc_id": 0, "responses": [-1, -2, "x"]}' | refused colors
echo "$good" | refused colors
printf '%s\n%s\n' "$good" "$good" | refused
try score -t colors,say -r rows.jsonl $options
try score -t colors -r absent.jsonl $options
