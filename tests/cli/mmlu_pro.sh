# The publisher's cascade on what three models really answered to MMLU-Pro, held against the letters
# that the publisher found. Those are by the same three patterns for the two Llama models, with a
# letter of its own where nothing is found; Mistral's are by the first two patterns.
. "$source/tests/cli/lib.sh"
[ -f "$shared/data/mmlu_pro/test.jsonl.gz" ] || {
    echo "SKIP: MMLU-Pro and its published answers are not here"
    exit 77
}
cat >all.yaml <<'Y'
include: assay:mmlu_pro/_mmlu_pro_task.yaml
task: every_category
num_fewshot: 0
Y
cat >compare.py <<'P'
import gzip, json, re, sqlite3, subprocess, sys
assay, shared = sys.argv[1:]

def lines(name):
    with gzip.open(f"{shared}/data/mmlu_pro/{name}.jsonl.gz", "rt") as f:
        return [json.loads(line) for line in f]

def last_resort(text):
    return not re.search(r"answer is \(?([A-J])\)?", text) and not re.search(r".*[aA]nswer:\s*([A-J])", text)

questions = {q["question_id"]: (i, q["answer"]) for i, q in enumerate(lines("test"))}
for model in "Meta-Llama-3_1-70B-Instruct", "Meta-Llama-3_1-8B-Instruct", "Mistral-7B-Instruct-v0.2":
    rows = {questions[r["question_id"]][0]: r for r in lines("model_outputs/" + model)}
    with open(model + ".jsonl", "w") as f:
        for i, r in rows.items():
            f.write(json.dumps({"doc_id": i, "response": r["output"]}) + "\n")
    subprocess.run([assay, "score", "-t", "all.yaml", "-r", model + ".jsonl", "--name", model, "--data", shared + "/data",
                    "--db", model + ".db", "--bootstrap_iters", "0"], check=True, stdout=subprocess.DEVNULL)
    store = sqlite3.connect(model + ".db")
    def scores(metric, filter="publisher-extract"):
        return dict(store.execute("select doc_id, score from v_samples where metric = ? and filter = ?", (metric, filter)))
    score, nothing = scores("exact_match"), scores("no_answer")
    right = {i: float(rows[i]["pred"] == a) for i, a in questions.values()}
    differ = [i for i in score if score[i] != right[i]]
    print(f"{model}: {len(score)} answers; published {sum(right.values()) / len(right):.4f}, here {sum(score.values()) / len(score):.4f}, "
          f"by the first pattern alone {sum(scores('exact_match', 'custom-extract').values()) / len(score):.4f}")
    print(f"    {len(differ)} verdicts differ, {sum(int(nothing[i]) for i in differ)} of them where nothing is found, "
          f"{sum(not nothing[i] and last_resort(rows[i]['output']) for i in differ)} where only the last pattern finds a letter")
P
python3 compare.py "$assay" "$shared"
