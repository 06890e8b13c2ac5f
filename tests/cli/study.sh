# Several models against the first: recovery with intervals, what they take, how far they moved.
. "$source/tests/cli/lib.sh"
make_tasks 40
"$make_tiny_model" gguf-f16 base.gguf 7
for kind in q4_0 q8_0; do "$make_tiny_model" gguf-$kind $kind.gguf 7; done
# speeds vary; the last digits depend on the processor
steady() {
    awk '/^What/ {print; getline; print; getline; print; costs = 1; next}
         costs {$5 = "X"; $6 = "X"; $7 = "X"; $8 = "X"; $9 = "X"; $10 = "X"; $11 = "X"; $12 = "X"} {print}' |
    sed -E 's/[0-9]+\.[0-9]+ \([0-9.]+ \.\. [0-9.]+\)/R (L .. H)/g; s/-?[0-9]+\.[0-9]{3,}(e\+[0-9]+)?/N/g; s/  +/  /g; s/--+/--/g'
}
"$assay" run -q -m base.gguf,name=base -m q4_0.gguf,name=q4 -m q8_0.gguf,name=q8 \
    --include_path tasks -t all_three --divergence --speed >/dev/null
try compare base q4 q8 | steady
try compare base q4 --study -t colors | steady
try compare base q4 q8 --divergence
try compare base
try compare base q4 none
"$assay" report --html r.html >/dev/null
sed -n '/id="study"/,/<\/section>/p' r.html >study.html
grep -o '<h[23][^>]*>[^<]*' study.html
grep -c '<circle class="point"' study.html
grep -o 'class="name"[^/]*' study.html | sed 's/.*>//'
grep -o '&times;\|×' study.html | wc -l
python3 - "$assay" <<'P'
import json, math, sqlite3, subprocess, sys
rows = json.loads(subprocess.run([sys.argv[1], "compare", "base", "q4", "q8", "--json"],
                                 capture_output=True, check=True).stdout)
db = sqlite3.connect("assay.db")
for r in rows:
    kl, same = db.execute("select avg(kl), avg(same_top) from v_exact_divergence where model_a = 'base' "
                          "and model_b = ?", (r["model"],)).fetchone()
    cost = db.execute("select stored_bytes, held_bytes, prefill, decode from v_models where model = ?",
                      (r["model"],)).fetchone()
    ratio = r["base_score"] / r["score"] if "perplexity" in r["metric"] else r["score"] / (r["base_score"] or math.nan)
    near = lambda x, y: abs(x - y) < 1e-9
    known = r["recovery_low"] is not None
    print(r["model"], r["task"], r["metric"], near(r["kl"], kl), near(r["same_top"], same),
          cost == (r["stored_bytes"], r["held_bytes"], r["prefill"], r["decode"]), min(cost) > 0,
          not r["recovery_percent"] or near(r["recovery_percent"], 100 * ratio), known,
          not known or r["recovery_low"] <= r["recovery_percent"] <= r["recovery_high"])
P
