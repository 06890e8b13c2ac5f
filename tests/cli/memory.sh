# Memory does not grow with the number of documents, and loading maps the weights.
. "$source/tests/cli/lib.sh"
unset MALLOC_PERTURB_ # meson sets it: malloc would touch what we only reserve
"$make_tiny_model" hf-f32 tiny
cat >peak.py <<'P'
"""peak.py COMMAND...: runs it and prints the most KiB of memory of its own that it had: what it
allocated, without the pages of files that it mapped."""
import re, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
peak = 0
while child.poll() is None:
    status = open(f"/proc/{child.pid}/status").read()
    peak = max([peak] + [int(n) for n in re.findall(r"RssAnon:\s*(\d+) kB", status)])
    time.sleep(0.005)
print(peak if child.returncode == 0 else f"exit {child.returncode}")
P
cat >few.yaml <<'Y'
task: few
dataset_path: json
dataset_kwargs:
  data_files:
    test: few.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{q}}"
doc_to_choice: ["a", "b"]
doc_to_target: 0
Y
sed 's/few/many/' few.yaml >many.yaml
# What is not asked makes the rows big. The few fill SQLite's page cache (32 MiB) already.
python3 - <<'P'
for name, n in ("few", 1500), ("many", 2500):
    with open(name + ".jsonl", "w") as f:
        for i in range(n):
            f.write('{"q": "%d?", "page": "%s"}\n' % (i, ("%d " % i) * (24000 // len("%d " % i))))
P
for task in few many; do
    python3 peak.py "$assay" run -q -m tiny -t $task.yaml --db $task.db --threads 1 >$task.kb
    sqlite3 $task.db "select count(*) from samples where error is null"
    rm $task.db
done
few=$(cat few.kb) many=$(cat many.kb)
# 1,000 documents more hold 24 MB
if [ $((many - few)) -lt 8000 ]; then
    echo "more documents do not need more memory"
else
    echo "$few KiB for the few documents, $many KiB for the many"
fi
