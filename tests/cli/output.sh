# --output writes lm-evaluation-harness' layout: the keys that people's tools read.
. "$source/tests/cli/lib.sh"
make_tasks 5
"$make_tiny_model" hf-f32 tiny
"$make_tiny_model" gguf-f16 other.gguf 5
"$assay" run -q -m tiny --include_path tasks -t all_three --num_fewshot 1 --output one >/dev/null
"$assay" run -q -m tiny -m other.gguf --include_path tasks -t colors --limit 2 --output two >/dev/null
find one two | sort
cat >filters.yaml <<'Y'
include: tasks/say.yaml
task: filtered
filter_list:
  - name: first-letter
    filter:
      - function: regex
        regex_pattern: "([a-z])"
      - function: take_first
  - name: whole
    filter:
      - function: take_first
metric_list:
  - metric: exact_match
    higher_is_better: false
Y
# what only assay counts (no_answer) stays in the store; a direction is the file's word
"$assay" run -q -m tiny -t filters.yaml --limit 2 --output three >/dev/null
sqlite3 assay.db "select metric, filter, higher_is_better, n from v_scores where task = 'filtered' order by 1, 2"
python3 - <<'P'
import json, os
def rows(path): return [json.loads(line) for line in open(path)]
def folder(top): return next(d for d, _, files in os.walk(top) if "results.json" in files)
r = json.load(open(folder("one") + "/results.json"))
print(sorted(r))
for task in ("colors", "say", "tell"):
    print(task, sorted(r["results"][task]), r["versions"][task], r["n-shot"][task], r["n-samples"][task])
print(r["configs"]["colors"]["doc_to_text"], r["configs"]["colors"]["num_fewshot"], sep=" | ")
print(sorted(r["config"]))
for task in ("colors", "say", "tell"):
    samples = rows(folder("one") + f"/samples_{task}.jsonl")
    print(task, [s["doc_id"] for s in samples], sorted(samples[0]))
    print(json.dumps(samples[3]["arguments"])[:400], json.dumps(samples[3]["doc"]), samples[3]["target"])
c = rows(folder("one") + "/samples_colors.jsonl")[0]
print(len(c["resps"]), len(c["filtered_resps"]), c["acc"] in (0, 1))
mean = sum(s["acc"] for s in rows(folder("one") + "/samples_colors.jsonl")) / 5
print("acc is the samples' mean:", mean == r["results"]["colors"]["acc,none"])
print([(s["doc_id"], s["filter"]) for s in rows(folder("three") + "/samples_filtered.jsonl")])
r = json.load(open(folder("three") + "/results.json"))
print(sorted(r["results"]["filtered"]), r["higher_is_better"])
P
