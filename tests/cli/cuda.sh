# A model on the CUDA kernels, which run on this processor in a build with -Dcuda=host.
. "$source/tests/cli/lib.sh"
make_tasks 4
"$make_tiny_model" hf-bf16 tiny
try run -q -m tiny,device=gpu -t colors --include_path tasks
try run -q -m tiny,device=cuda:7 -t colors --include_path tasks

rows() { # rows DB: what was answered, without ids and times
    sqlite3 "$1" "select task, doc_id, position, idx, response, logprob, is_greedy, tokens
        from v_requests order by 1, 2, 3, 4"
}
run_as() { # run_as DB SPEC OPTIONS...
    db=$1 as=$2
    shift 2
    "$assay" run -q -m "tiny,name=tiny$as" --db $db.db --include_path tasks "$@" >$db.out
    rows $db.db >$db.rows
}
for spec in "" ,dtype=bf16 ,quant=q8_0 ,quant=w8a8-int ,quant=w4a16,group_size=32; do
    run_as cpu "$spec" -t colors,say,tell
    run_as cuda "$spec,device=cuda" -t colors,say,tell
    run_as narrow "$spec,device=cuda" -t colors,say,tell --token-budget 5 --kv-memory 100K
    cmp cuda.rows narrow.rows && echo "tiny$spec: the same at any budget, bit for bit"
    paste -d'|' cpu.rows cuda.rows | awk -F'|' -v spec="$spec" '
        $6 != "" { off = $6 - $14; if (off < 0) off = -off; if (off > most) most = off; n++ }
        END { bound = spec ~ /bf16|w8a8/ ? 0.2 : 0.001
              if (most > bound) print "off by " most
              else print n " log-probabilities are the processor'"'"'s" }'
    rm -f cpu.db cuda.db narrow.db
done
