# --divergence keeps two models in memory and stores what they make of each token of the prompts.
. "$source/tests/cli/lib.sh"
make_tasks 6
"$make_tiny_model" gguf-f16 base.gguf 7
"$make_tiny_model" gguf-q4_0 small.gguf 7
"$make_tiny_model" gguf-q8_0 large.gguf 7
three() {
    "$assay" run -q -m base.gguf,name=base -m small.gguf,name=small -m large.gguf,name=large \
        --include_path tasks -t all_three --divergence "$@"
}
# the last digits depend on the processor
rounded() { sed -E 's/[0-9]+\.[0-9]{3,}(e[+-][0-9]+)?/N/g; s/  +/  /g; s/--+/--/g'; }
tokens() {
    sqlite3 "$1" 'select model_a, model_b, task, doc_id, position, place, token, logprob_a,
        logprob_b, kl, same_top from v_exact_divergence order by 1, 2, 3, 4, 5, 6'
}

try run -m base.gguf --include_path tasks -t tell --divergence
three --limit 3 >/dev/null
sqlite3 assay.db 'select model_a, model_b, task, count(distinct doc_id) from v_exact_divergence
    group by 1, 2, 3 order by 1, 2, 3'
sqlite3 assay.db 'select max(id) from divergences' >before
three --limit 3 >/dev/null
sqlite3 assay.db 'select max(id) from divergences' | cmp - before && echo "nothing measured again"
three >/dev/null # the rest
three --db once.db --threads 2 --token-budget 5 --kv-memory 400K >/dev/null
tokens assay.db >by_parts
tokens once.db | cmp - by_parts && echo "the same bits"

try compare base small --divergence | rounded
try compare small base --divergence
python3 - "$assay" <<'P'
import json, sqlite3, subprocess, sys
out = subprocess.run([sys.argv[1], "compare", "base", "large", "--divergence", "--json"],
                     capture_output=True, check=True).stdout
db = sqlite3.connect("assay.db")
for d in json.loads(out):
    rows = db.execute("select kl, same_top, logprob_a - logprob_b, probability_change from "
                      "v_exact_divergence where model_a = 'base' and model_b = 'large' and task = ?",
                      (d["task"],)).fetchall()
    n, kl = len(rows), sorted(r[0] for r in rows)
    mean = lambda i, p: sum(r[i] ** p for r in rows) / n
    near = lambda x, y: abs(x - y) < 1e-12
    print(d["task"], d["exact"] == 1, d["n_tokens"] == n, near(d["kl"], mean(0, 1)),
          near(d["same_top"], mean(1, 1)), near(d["change_rms"], mean(3, 2) ** .5),
          near(d["kl_max"], kl[-1]), kl[int(.98 * n) - 1] <= d["kl_99"] <= kl[-1],
          d["kl_low"] <= d["kl"] <= d["kl_high"], d["remainder"] == 0)
# what --top_logprobs gives for the scored tokens never is more than the exact divergence
subprocess.run([sys.argv[1], "run", "-q", "-m", "base.gguf,name=base", "-m", "small.gguf,name=small",
                "--include_path", "tasks", "-t", "tell", "--top_logprobs", "64", "--db", "once.db"],
               capture_output=True, check=True)
subprocess.run([sys.argv[1], "run", "-q", "-m", "base.gguf,name=base", "-m", "small.gguf,name=small",
                "--include_path", "tasks", "-t", "tell", "--divergence", "--db", "once.db"],
               capture_output=True, check=True)
db = sqlite3.connect("once.db")
print(db.execute("select count(*) > 100, sum(e.kl < b.kl - 1e-7) from v_divergence b "
                 "join v_exact_divergence e using (model_a, model_b, task, doc_id, position) where model_b = 'small' "
                 "and e.place = b.place + 1 and e.token = b.token").fetchone())
P
# other tokens are no common ground
try run -q -m base.gguf -m small.gguf,max_length=16,name=short --include_path tasks -t tell --divergence
