# --top_logprobs keeps each scored token and the most probable ones; compare says how far they moved.
. "$source/tests/cli/lib.sh"
make_tasks 6
"$make_tiny_model" gguf-f16 base.gguf 7
"$make_tiny_model" gguf-q4_0 small.gguf 7
both() { "$assay" run -q -m base.gguf,name=base -m small.gguf,name=small --include_path tasks "$@"; }
# the last digits depend on the processor
rounded() { sed -E 's/[0-9]+\.[0-9]{3,}(e[+-][0-9]+)?/N/g; s/  +/  /g; s/--+/--/g'; }

both -t tell,say >plain.txt
try compare base small -t tell | grep -c Divergence
try compare base small --divergence
sqlite3 assay.db 'select count(*) from token_logprobs'
sqlite3 assay.db 'select sample, position, logprob, tokens from v_requests order by 1, 2' >before.rows

# asked again for what is missing; the scores stay, bit for bit
both -t tell,say --top_logprobs 5 >top.txt
cmp plain.txt top.txt && echo "the same scores"
sqlite3 assay.db 'select count(*) > 0, min((select count(*) from json_each(top))),
    max((select count(*) from json_each(top))) from v_tokens'
sqlite3 assay.db 'select abs(max(s - logprob)) < 1e-9 from (select sum(k.logprob) as s, r.logprob as logprob
    from v_tokens k join v_requests r on r.sample = k.sample group by k.sample)'
sqlite3 assay.db "select max(id) from samples" >count
both -t tell,say --top_logprobs 3 >/dev/null
sqlite3 assay.db "select max(id) from samples" | cmp - count && echo "nothing asked again"

try compare base small -t tell | rounded
try compare base small --divergence | rounded
python3 - "$assay" <<'P'
import json, sqlite3, subprocess, sys
out = subprocess.run([sys.argv[1], "compare", "base", "small", "--divergence", "--json"],
                     capture_output=True, check=True).stdout
[d] = json.loads(out)
kl, same, n, largest = sqlite3.connect("assay.db").execute(
    "select avg(kl), avg(same_top), count(*), max(abs(probability_change)) from v_divergence "
    "where model_a = 'base' and model_b = 'small'").fetchone()
print(d["task"], d["n_docs"], d["n_tokens"] == n, abs(d["kl"] - kl) < 1e-9, d["kl_low"] <= kl <= d["kl_high"],
      abs(d["same_top"] - same) < 1e-9, abs(abs(d["largest_change"]) - largest) < 1e-9)
P

"$assay" report --html d.html >/dev/null
sed -n '/<h3>Distribution/,/<\/table>/p; /<h3>Answers alike/,/<\/table>/p' d.html |
    grep -o "<h3>Distribution over tokens\|<h3>Answers alike\|row.>tell"
# another tokenization of the text, or other text, is not compared
"$assay" run -q -m base.gguf,max_length=16,name=short --include_path tasks -t tell --top_logprobs 5 >/dev/null
try compare base short --divergence
try run -m base.gguf -t tell --include_path tasks --top_logprobs 65
sqlite3 assay.db "update token_logprobs set top = '{\"1\":nan}'"
try compare base small --divergence
