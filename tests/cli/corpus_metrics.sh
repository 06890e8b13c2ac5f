# Metrics of whole corpora: from recorded answers to the table, the parts in the store, a comparison.
. "$source/tests/cli/lib.sh"
mkdir tasks
cat >tasks/translate.yaml <<'T'
task: translate
output_type: generate_until
dataset_path: json
dataset_kwargs:
  data_files:
    test: translate.jsonl
test_split: test
doc_to_text: "{{source}}"
doc_to_target: "{{target}}"
generation_kwargs: {until: ["\n"]}
metric_list:
  - {metric: bleu, aggregation: bleu, higher_is_better: true}
  - {metric: chrf, aggregation: chrf, higher_is_better: true}
  - {metric: chrf++, aggregation: chrf++, higher_is_better: true}
  - {metric: ter, aggregation: ter, higher_is_better: false}
  - {metric: rougeL, aggregation: mean, higher_is_better: true, use_stemmer: true}
T
cat >tasks/sense.yaml <<'T'
task: sense
output_type: multiple_choice
dataset_path: json
dataset_kwargs:
  data_files:
    test: sense.jsonl
test_split: test
doc_to_text: "{{text}}"
doc_to_choice: ["no", "yes"]
doc_to_target: label
metric_list:
  - {metric: f1, aggregation: f1, higher_is_better: true}
  - {metric: mcc, aggregation: matthews_corrcoef, higher_is_better: true}
  - {metric: likelihood, aggregation: mean, higher_is_better: true}
T
python3 - <<'P'
import json, random
rnd = random.Random(5)
words = "the cat sat on a mat while dogs ran home, and nobody knew why.".split()
def dump(name, rows):
    with open(name, "w") as f:
        for row in rows:
            f.write(json.dumps(row) + "\n")
texts = [" ".join(rnd.choices(words, k=rnd.randrange(5, 15))) for _ in range(20)]
dump("tasks/translate.jsonl", [{"source": str(i), "target": t} for i, t in enumerate(texts)])
labels = [rnd.randrange(2) for _ in range(20)]
dump("tasks/sense.jsonl", [{"text": f"Sentence {i}.", "label": l} for i, l in enumerate(labels)])
for name, share in (("good", 0.1), ("bad", 0.4)):
    dump(f"{name}_translate.jsonl", [
        {"doc_id": i, "response": " ".join(rnd.choice(words) if rnd.random() < share else w
                                           for w in t.split())} for i, t in enumerate(texts)])
    dump(f"{name}_sense.jsonl", [
        {"doc_id": i, "responses": [-1.5, -1] if (l == 1) != (rnd.random() < share) else [-1, -2]}
        for i, l in enumerate(labels)])
P
for name in good bad; do
    for task in translate sense; do
        try score -t $task -r ${name}_$task.jsonl --name $name --include_path tasks --db a.db
    done
done
"$assay" compare good bad --db a.db
sqlite3 a.db "select metric, sum(json_extract(parts, '\$[0]')), json_array_length(parts)
              from scores c join measures u on u.id = c.measure where parts is not null
              group by metric, json_array_length(parts) order by metric"
