# An interrupted run, a killed one and a changed limit do only what is missing and end alike.
. "$source/tests/cli/lib.sh"
make_tasks 400
"$make_tiny_model" hf-f32 tiny
tasks="--include_path tasks -t colors,say"
"$assay" run -q -m tiny,name=tiny --db whole.db $tasks >whole.txt

# by and by: each run computes what the limit adds
run_tiny $tasks --limit 10 >limit10.txt
echo "after --limit 10: $(rows samples) samples"
run_tiny $tasks --limit 25 >/dev/null
echo "after --limit 25: $(rows samples) samples"
run_tiny $tasks --limit 10 >limit10.again
cmp limit10.txt limit10.again && echo "a smaller limit again: the same table"
run_tiny $tasks --limit 0.1 >/dev/null
echo "after --limit 0.1: $(rows samples) samples"
"$assay" ls --runs --json --db t.db | python3 -c '
import json, sys
runs = {r["run"]: r for r in json.load(sys.stdin)}
print("the run for nothing new computed", runs[3]["tokens"], "tokens")'

# a run's beginning of $1 more samples, then signal $2
samples_then() {
    goal=$(($(rows samples) + $1))
    "$assay" run -q -m tiny,name=tiny --db t.db $tasks >/dev/null 2>err &
    pid=$!
    while [ "$(rows samples)" -lt $goal ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
    sqlite3 t.db "select id from samples order by id" >stored.before
    kill -$2 $pid 2>/dev/null
    wait $pid 2>/dev/null
    code=$?
    sqlite3 t.db "select id from samples order by id" >stored.after
    [ -z "$(comm -23 stored.before stored.after)" ] || echo "stored samples were written anew"
}

samples_then 20 KILL
[ $code -eq 137 ] || echo "not killed: the run was done already"
samples_then 20 INT
[ $code -eq 75 ] && cat err || echo "not interrupted: exit $code"
samples_then 20 TERM
[ $code -eq 75 ] && cat err || echo "not terminated: exit $code"
"$assay" ls --runs --json --db t.db | python3 -c '
import json, sys
print("exit codes, the last first:", [r["exit"] for r in json.load(sys.stdin)])'
[ "$(rows samples)" -lt 800 ] || echo "nothing was left to resume"

cp stored.after stored.before
run_tiny $tasks >resumed.txt
sqlite3 t.db "select id from samples order by id" >stored.after
[ -z "$(comm -23 stored.before stored.after)" ] && echo "what was stored stayed"
cmp whole.txt resumed.txt && echo "the same table"
echo "after all: $(rows samples) samples, $(sqlite3 t.db 'pragma integrity_check')"
for db in whole t; do
    sqlite3 $db.db "select task, doc_id, position, logprob, is_greedy, continuation, response, tokens
        from v_requests order by 1, 2, 3;
        select task, doc_id, metric, score, answer, target from v_samples order by 1, 2, 3" >$db.rows
done
cmp whole.rows t.rows && echo "the same answers, bit for bit: $(wc -l <t.rows) rows"
"$assay" run -m tiny,name=tiny --db t.db $tasks >/dev/null
