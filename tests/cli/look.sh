# What a store shows: compare, show, ls and report over two tiny models, as tables and as JSON.
. "$source/tests/cli/lib.sh"
make_tasks 12
"$make_tiny_model" hf-f32 tiny
"$make_tiny_model" gguf-f16 other.gguf 5
"$assay" run -q -m tiny -m other.gguf,name=other --include_path tasks -t all_three >/dev/null
"$assay" run -q -m tiny --include_path tasks -t colors --num_fewshot 1 --limit 4 >/dev/null
# log-probabilities, but for their whole part, depend on the processor; numbers of runs on the clock
rounded() { sed -E 's/(-[0-9]+\.)[0-9]{3,4}\b/\1XXXX/g; s/ ([0-9]{3,}\.)[0-9]{4}/ \1XXXX/; s/  cpu-[a-z0-9-]+,/  cpu-X,/'; }

try compare tiny other -t colors
try compare '#1' '#4'
try compare tiny other | grep -c '^tell'
try ls | rounded
try ls --task say
try ls --models | rounded
try show colors 3 | rounded
try show colors 3 -m other -m tiny | sed -n '1p; /^!/p'
try show colors 3 -m tiny --tokens | sed -n '/--- tokens/,$p' | grep -v note
try show say 2 -m other | sed '/^ *0 /d; /filtered/d'
try show tell 2 -m tiny | rounded
try report --html report.html --csv scores.csv
grep -c '' scores.csv
grep -Eio '(src|href)="?(https?:)?//' report.html

# for programs
python3 - "$assay" <<'P'
import json, subprocess, sys
def read(*words):
    return json.loads(subprocess.run([sys.argv[1], *words, "--json"], capture_output=True, check=True).stdout)
for c in read("compare", "tiny", "other"):
    print(c["task"], c["metric"], c["n"], type(c["difference"]).__name__, c["lost"], c["gained"])
print(sorted(read("ls")[0]))
print([m["model"] for m in read("ls", "--models")], [r["exit"] for r in read("ls", "--runs")])
a, b = read("show", "colors", "3")
print(a["model"], b["model"], a["doc"] == b["doc"], [q["continuation"] for q in a["requests"]],
      sorted(a["scores"]))
assert all(len(q["tokens"]) > 0 and q["logprob"] < 0 for q in a["requests"])
print([t for t in read("ls", "--tasks") if t["name"] in ("arc_easy", "mmlu", "humaneval")])
P

# what is not there
try show colors 99
try show nope 3
try show colors 1 -m nope
try compare tiny nope
try compare tiny other -t nope
try ls -m nope
try ls -t nope
try ls --db nope.db
try report --html nope/report.html
try report --csv scores.csv -m nope
