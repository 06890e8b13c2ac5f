# The two leaderboards, whole, on two documents a task: their lines, and their means by the formula.
. "$source/tests/cli/lib.sh"
[ -f "$shared/data/ifeval/input_data.jsonl" ] || {
    echo "SKIP: the data sets of the leaderboards are not here"
    exit 77
}
"$make_tiny_model" hf-f32 tiny
for group in openllm_v1 openllm_v2; do
    "$assay" run -q -m tiny -t $group --limit 2 --max_gen_toks 16 --data "$source/tests/tasks/rows" --data "$shared/data" \
        --db $group.db >$group.txt
    # the lines of the group and of its members, without the scores, which depend on the processor
    grep -E "^(Task|openllm|  - )" $group.txt | sed -E 's/[01]\.[0-9]{4}( ± [0-9.]+)?/N/; s/  +/  /g'
    "$assay" run -q -m tiny -t $group --limit 2 --max_gen_toks 16 --data "$source/tests/tasks/rows" --data "$shared/data" \
        --db $group.db --json >$group.json
done
python3 - <<'P'
import json, sqlite3

def scores(group):
    rows = json.load(open(group + ".json"))
    leaves = {(r["task"], r["metric"], r["filter"]): (r["value"], r["n"]) for r in rows if r["task"] != group}
    return leaves, [r["value"] for r in rows if r["metric"] == "leaderboard_mean"]

def weighted(rows):
    return sum(v * n for v, n in rows) / sum(n for _, n in rows)

s, shown = scores("openllm_v1")
tasks = [r[0] for r in sqlite3.connect("openllm_v1.db").execute("select distinct task from v_samples where task like 'mmlu_%'")]
mean = (s["arc_challenge", "acc_norm", "none"][0] + s["hellaswag", "acc_norm", "none"][0] + weighted([s[t, "acc", "none"] for t in tasks])
        + s["truthfulqa_mc2", "acc", "none"][0] + s["winogrande", "acc", "none"][0] + s["gsm8k", "exact_match", "strict-match"][0]) / 6
print("openllm_v1:", len(tasks), "subjects; the mean is by the formula:", [abs(v - mean) < 1e-12 for v in shown])

s, shown = scores("openllm_v2")
store = sqlite3.connect("openllm_v2.db")
choices = dict(store.execute("select task, max(n) from (select task, doc_id, count(*) as n from v_requests group by 1, 2) group by 1"))
choices.update({"leaderboard_musr_object_placements": 5, "leaderboard_mmlu_pro": 10})  # of some questions fewer

def beyond_chance(task, metric):
    chance = 1 / choices[task]
    return max(0, (s[task, metric, "none"][0] - chance) / (1 - chance))

def of(start):
    return [t for t, _, _ in s if t.startswith(start) and t in choices and t != start]

def average(values):
    return sum(values) / len(values)

tasks = {k: sorted(set(of("leaderboard_" + k + "_"))) for k in ("bbh", "gpqa", "musr", "math")}
gpqa = weighted([s[t, "acc_norm", "none"] for t in tasks["gpqa"]])  # together, then normalized
benchmarks = [
    average([s["leaderboard_ifeval", m, "none"][0] for m in ("inst_level_strict_acc", "prompt_level_strict_acc")]),
    average([beyond_chance(t, "acc_norm") for t in tasks["bbh"]]),
    weighted([s[t, "exact_match", "none"] for t in tasks["math"]]),
    average([beyond_chance(t, "acc_norm") for t in tasks["musr"]]),
    beyond_chance("leaderboard_mmlu_pro", "acc"),
    max(0, (gpqa - 0.25) / 0.75),
]
print("openllm_v2:", {k: len(t) for k, t in tasks.items()})
print("the mean is by the formula:", [abs(v - average(benchmarks)) < 1e-12 for v in shown])
P
# scored again, GPQA's choices keep their order, drawn by place or by the document
printf 'include: assay:leaderboard/leaderboard_gpqa_main.yaml\nmetadata: {version: 9.0}\n' >changed.yaml
for draws in lm-eval keyed; do
    "$assay" run -q -m tiny,name=$draws -t leaderboard_gpqa_main --draws $draws --data "$source/tests/tasks/rows" --db gpqa.db >/dev/null
done
"$assay" rescore --task_file changed.yaml --db gpqa.db >/dev/null
sqlite3 gpqa.db "select count(*), sum(a.score = b.score), sum(json_extract(a.doc, '\$.shuffle') = json_extract(b.doc, '\$.shuffle'))
    from v_samples a join v_samples b using (model, doc_id, metric) where a.evaluation < b.evaluation and metric = 'acc_norm'" \
    "select count(distinct json_extract(doc, '\$.shuffle')) > 1 from v_samples where doc_id < 3"
