# An interrupted run, a killed one and a changed limit do only what is missing and end alike.
. "$source/tests/cli/lib.sh"
make_tasks 60
"$make_tiny_model" hf-f32 tiny
tasks="--include_path tasks -t colors,say"
"$assay" run -q -m tiny,name=tiny --db whole.db $tasks >whole.txt

# by and by
run_tiny $tasks --limit 10 >/dev/null
echo "after --limit 10: $(rows samples) samples"
run_tiny $tasks --limit 25 >/dev/null
echo "after --limit 25: $(rows samples) samples"

# killed while it works
"$assay" run -q -m tiny,name=tiny --db t.db $tasks >/dev/null 2>&1 &
pid=$!
sleep 0.3
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null

# interrupted while it works: 75 says "run me again", 0 that it was done already
"$assay" run -q -m tiny,name=tiny --db t.db $tasks >/dev/null 2>&1 &
pid=$!
sleep 0.3
kill -INT $pid 2>/dev/null
wait $pid
code=$?
[ $code -eq 75 ] || [ $code -eq 0 ] || echo "interrupted run ended with $code"

run_tiny $tasks >resumed.txt
cmp whole.txt resumed.txt && echo "the same table"
echo "after all: $(rows samples) samples, $(sqlite3 t.db 'pragma integrity_check')"
for db in whole t; do
    sqlite3 $db.db "select task, doc_id, round(logprob_nats, 9), response from v_samples order by 1, 2, 3" >$db.rows
done
cmp whole.rows t.rows && echo "the same answers"
