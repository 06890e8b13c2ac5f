# A result depends on its request alone: not on the batch, the threads, the order or the company.
. "$source/tests/cli/lib.sh"
make_tasks 60
"$make_tiny_model" hf-bf16 tiny
run_as() { # run_as DB SPEC OPTIONS...: the rows of a run, without ids and times
    db=$1 spec=$2
    shift 2
    "$assay" run -q -m "tiny,name=tiny$spec" --db $db.db --include_path tasks "$@" >/dev/null
    sqlite3 $db.db "select task, doc_id, position, idx, prompt, continuation, response, logprob,
            is_greedy, n_tokens_prompt, n_tokens_scored, n_tokens_generated, finish, tokens
        from v_requests order by 1, 2, 3;
        select task, doc_id, metric, filter, score, weight, target, answer from v_samples
        order by 1, 2, 3, 4;
        select task, metric, value, stderr, n from v_scores order by 1, 2" >$db.rows
}
run_as plain "" -t colors,say,tell
wc -l <plain.rows
run_as narrow "" --token-budget 7 -t colors,say,tell
run_as wide "" --token_budget 4096 -t colors,say,tell
run_as threads "" --threads 3 -t colors,say,tell
run_as single "" --threads 1 -t colors,say,tell
run_as order "" -t tell,say,colors
run_as small "" --kv-memory 300K -t colors,say,tell
run_as apart "" -t colors --limit 9
run_as apart "" -t say
run_as apart "" -t tell,colors
for other in narrow wide threads single order small apart; do
    cmp plain.rows $other.rows && echo "$other: the same, bit for bit"
done
