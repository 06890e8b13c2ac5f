# What two models wrote, compared with each other: recorded answers, so that the figures are known.
# They are rouge_score 0.1.2's (no stemmer) and sacreBLEU 2.6.0's for the same texts.
. "$source/tests/cli/lib.sh"
make_tasks 4
cat >a.jsonl <<'J'
{"doc_id": 0, "response": "The cat sat on the mat, and the dog slept."}
{"doc_id": 1, "response": "Prices rose by 3.5 percent in May; analysts had expected less."}
{"doc_id": 2, "response": "I do not know."}
{"doc_id": 3, "response": "Einmal ist keinmal: so sagt man."}
J
cat >b.jsonl <<'J'
{"doc_id": 0, "response": "The cat sat on a mat and the dog was asleep."}
{"doc_id": 1, "response": "In May prices rose 3.5 percent, more than analysts had expected."}
{"doc_id": 2, "response": "I do not know."}
{"doc_id": 3, "response": "Once is never, as they say."}
J
cat >c.jsonl <<'J'
{"doc_id": 0, "response": ""}
J
for m in a b c; do
    "$assay" score -t say --include_path tasks -r $m.jsonl --name $m --db t.db >/dev/null
done
try compare a b --similarity --db t.db
"$assay" compare a b --similarity --db t.db --json | python3 -c '
import json, sys
[s] = json.load(sys.stdin)
want = {"rouge1": 0.6488095238095238, "rouge2": 0.5442583732057416, "rougel": 0.6071428571428572, "bleu": 27.538660694651206, "chrf": 53.532679054558244}
for name, value in want.items():
    got = s[name]
    print(name, "as the reference" if abs(got - value) < 1e-9 else got, s[name + "_low"] <= got <= s[name + "_high"])
print(s["n"], s["n_answers"], s["n_same"])'
try compare a a --similarity --db t.db
try compare a c --similarity --db t.db
"$assay" report --db t.db --html t.html -m a -m b >/dev/null
sed -n '/<h3>Answers alike/,/<\/table>/p' t.html |
    grep -o "<h3>Answers alike\|row.>say\|>25.0 %\|27.54"
# a model that gave no text to compare
"$make_tiny_model" hf-f32 tiny
"$assay" run -q -m tiny --include_path tasks -t colors,tell --db t.db >/dev/null
try compare a tiny --similarity --db t.db
try compare tiny tiny --similarity --db t.db
try compare a b --similarity --divergence --db t.db
try compare a nope --similarity --db t.db
