# --draws keyed: a document keeps its few-shot examples, whatever is asked beside it.
. "$source/tests/cli/lib.sh"
make_tasks 12
"$make_tiny_model" hf-f32 tiny
prompts() { # prompts DB: what each question was shown, by question
    sqlite3 "$1" "select json_extract(doc, '$.question'), prompt from v_samples where metric = 'acc'
        order by 1"
}
run() { # run DB ARGUMENTS...
    db=$1
    shift
    "$assay" run -q -m tiny --include_path tasks -t colors --num_fewshot 3 --db "$db" "$@" >/dev/null
}
run keyed.db --draws keyed
prompts keyed.db >keyed.txt
grep -c "Question" keyed.txt
run limited.db --draws keyed --limit 5
prompts limited.db >limited.txt
python3 - <<'P'
def read(name):
    parts, lines = {}, open(name).read()
    for record in lines.split("\nWhich color"):
        question, _, prompt = ("Which color" + record.removeprefix("Which color")).partition("|")
        parts[question] = prompt.strip()
    return parts
whole, some = read("keyed.txt"), read("limited.txt")
print(len(whole), len(some), all(whole[q] == some[q] for q in some))
P
tac data/colors.jsonl >turned.jsonl
mv turned.jsonl data/colors.jsonl
run turned.db --draws keyed
prompts turned.db | cmp - keyed.txt && echo "the same in another order"
run place.db
prompts place.db | cmp -s - keyed.txt || echo "by place: others"
run keyed.db
sqlite3 keyed.db "select count(*) from evaluations"
run keyed.db --draws keyed --seed 5
sqlite3 keyed.db "select count(distinct prompt) from v_samples where metric = 'acc'"

# one more document in the pool changes one example of a question at most
head -n 11 data/colors.jsonl >fewer.jsonl
mv fewer.jsonl data/colors.jsonl
run fewer.db --draws keyed
prompts fewer.db >fewer.txt
python3 - <<'P'
def read(name):
    parts = {}
    for record in open(name).read().split("\nWhich color"):
        question, _, prompt = ("Which color" + record.removeprefix("Which color")).partition("|")
        parts[question] = set(prompt.strip().split("\n\n"))
    return parts
whole, fewer = read("keyed.txt"), read("fewer.txt")
print(max(len(whole[q] - fewer[q]) for q in fewer), sum(whole[q] != fewer[q] for q in fewer) < 11)
P
try run -q -m tiny --include_path tasks -t colors --draws kyed

# stored answers are known for those of these draws
run keyed.db -t say --draws keyed
"$assay" rescore --task_file tasks/say.yaml --db keyed.db 2>&1 | grep -o "nothing to do"
