# The main job: a tiny model over the user's own tasks of each kind, found by folder and by file.
. "$source/tests/cli/lib.sh"
make_tasks 40
"$make_tiny_model" hf-f32 tiny
"$make_tiny_model" gguf-q8_0 tiny.gguf
# times depend on the machine, the last digits of large numbers on its processor
untimed() { sed -E 's/in [0-9.]+ s, [0-9]+ tok.s; [0-9]+ of/in T s, R tok\/s; N of/; s/waited [0-9.]+/waited T/; s/( [0-9]{3,}\.)[0-9]{4}/\1XXXX/'; }

try run -m tiny --include_path tasks -t all_three | untimed
try run -m tiny -t tasks/tell.yaml --limit 4 -q | untimed
try run -m tiny --include_path tasks -t colors,say --limit 0.11 -q
try run -m tiny --include_path tasks -t 'c*' --num_fewshot 2 --limit 7 -q
try run -m tiny,name=base -m tiny.gguf,name=q8 -m tiny,name=requantized,quant=q8_0 \
    --include_path tasks -t colors -q
"$assay" run -m tiny --include_path tasks -t all_three --limit 5 -q --json | python3 -c '
import json, sys
for row in json.load(sys.stdin):
    print(row["task"], row["metric"], row["n"], "%.4g" % row["value"],
          type(row["stderr"]).__name__, row["version"], row["num_fewshot"])'

# the same numbers by SQL, in words that README gives
sqlite3 -header assay.db "select model, task, num_fewshot, metric, round(value, 4) as value, n
    from v_scores where metric not like '%per%' order by model, task, num_fewshot, metric"
