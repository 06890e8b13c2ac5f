# The evaluation section of a model card, from the store alone.
. "$source/tests/cli/lib.sh"
make_tasks 40
sed 's/^task: colors/task: shades/; s/  - metric: acc_norm//' tasks/colors.yaml >tasks/shades.yaml
cat >tasks/suite.yaml <<'Y'
group: suite
group_alias: The Suite
task: [colors, shades]
leaderboard_mean:
  "Colors | of things": {metric: acc_norm, tasks: {colors: 4}}
  Shades: {metric: acc, tasks: [shades]}
metadata:
  version: 1
Y
"$make_tiny_model" gguf-f16 base.gguf 7
"$make_tiny_model" gguf-q4_0 small.gguf 7
"$assay" run -q -m base.gguf,name=base -m small.gguf,name=small_q4 --include_path tasks -t tell,say,suite >/dev/null
"$assay" run -q -m base.gguf,name=base -m small.gguf,name=small_q4 --include_path tasks -t say --num_fewshot 2 --limit 8 >/dev/null
steady() { sed -E 's/cpu-[a-z0-9-]+,/cpu-X,/; s/on 20[0-9-]+/on DATE/; s/assay [0-9.]+/assay V/; /word\\_perplexity/s/[0-9]+\.[0-9]{2}/N/g'; }
try card small_q4 --base base | steady
try card small_q4 | steady
try card nobody
try card
# every figure again, from the views
"$assay" card small_q4 --base base >card.md
python3 - <<'P'
import re, sqlite3
db = sqlite3.connect("assay.db")
def score(model, task, metric):
    return db.execute("select value from v_scores where model = ? and task = ? and metric = ? and num_fewshot = 0",
                      (model, task, metric)).fetchone()[0]
def normal(x, baseline):
    return max(0, (x - baseline) / (1 - baseline))
want = {}
for name, task, metric, baseline in (("Colors", "colors", "acc_norm", .25), ("Shades", "shades", "acc", 0)):
    want[name] = [normal(score(m, task, metric), baseline) for m in ("base", "small_q4")]
want["**Average**"] = [sum(v[i] for v in want.values()) / 2 for i in (0, 1)]
for line in open("card.md"):
    name = line.strip("| ").split(" ")[0]
    if name in want and line.startswith("|"):
        a, b = want.pop(name)
        got = [float(x) for x in re.findall(r"(?<![\w-])\d+\.\d", line)]
        print(name, got[0] == round(100 * a, 1), got[1] == round(100 * b, 1), abs(got[2] - 100 * b / a) < 0.06)
print(want)
P
