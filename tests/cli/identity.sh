# What changes the answers makes another evaluation; what does not, does not.
. "$source/tests/cli/lib.sh"
make_tasks 4
"$make_tiny_model" hf-f32 tiny
common="--include_path tasks -t colors,say"
count() { echo "$1: $(rows evaluations) evaluations, $(rows samples) samples"; }

run_tiny $common >/dev/null
count "first"
run_tiny $common --limit 2 --threads 2 --score_threads 4 --bootstrap_iters 10 --seed 7 >/dev/null
"$assay" run -q -m tiny,name=other --kv-memory 256K --token-budget 7 --db t.db $common >/dev/null
run_tiny $common --max_gen_toks 8 >/dev/null
count "nothing new"
run_tiny $common --max_gen_toks 3 >/dev/null
count "fewer tokens"
sqlite3 t.db "select n_tokens_generated, count(*) from requests where n_tokens_generated > 0 group by 1"
run_tiny $common --system_instruction "Be brief." >/dev/null
count "a system instruction"
run_tiny $common --num_fewshot 1 >/dev/null
count "an example"
run_tiny $common --apply_chat_template >/dev/null
count "a chat template"
"$assay" run -q -m tiny,max_length=128 --db t.db $common >/dev/null
count "a shorter context"
"$assay" run -q -m tiny,dtype=bf16 --db t.db $common >/dev/null
count "another dtype"
"$assay" run -q -m tiny,quant=q8_0 --db t.db $common >/dev/null
count "quantized"
