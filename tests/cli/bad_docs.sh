# Documents that cannot be asked stop a run before any model time is spent; with --skip_bad_rows
# they are left out, counted and stored, and the others are scored.
. "$source/tests/cli/lib.sh"
make_tasks 3
"$make_tiny_model" hf-f32 tiny
good=$(head -n 1 data/colors.jsonl)
bad=$(echo "$good" | sed 's,"choices","chances",')
for line in 1 2 3; do echo "$good"; done >data/colors.jsonl
i=0
while [ $i -lt 30 ]; do echo "$bad"; i=$((i + 1)); done >>data/colors.jsonl
echo "$good" >>data/colors.jsonl
try run -q -m tiny --include_path tasks -t colors --db t.db
ls t.db 2>/dev/null

# documents that are not asked do not matter
run_tiny --include_path tasks -t colors --limit 3 | grep "acc " | sed 's/  */ /g'
rm t.db

run_tiny --include_path tasks -t colors --skip-bad-rows >table.txt
echo "exit $?"
grep "acc " table.txt | sed 's/  */ /g'
sqlite3 t.db "select error is not null, count(*), min(error) from samples group by 1"

# asked again, they are counted again, all of them
run_tiny --include_path tasks -t colors --skip-bad-rows 2>&1 >again.txt | grep -o "^task.*left out"
cmp table.txt again.txt && echo "the same table"

# the first one too
{ echo "$bad"; echo "$good"; } >data/colors.jsonl
run_tiny --include_path tasks -t colors --skip-bad-rows | grep "acc " | sed 's/  */ /g'

# only the task with the bad rows fails; the store says why, and its group has no mean
echo "$bad" >>data/colors.jsonl
echo "$good" >data/good.jsonl
sed 's,colors,fine,' tasks/colors.yaml | sed 's,fine.jsonl,good.jsonl,' >tasks/fine.yaml
printf 'group: both\ntask: [colors, fine]\naggregate_metric_list: [{metric: acc}]\n' >tasks/both.yaml
try run -q -m tiny --include_path tasks -t both --db other.db
sqlite3 other.db "select model, task, error from v_failures; select exit_code from runs"
"$assay" ls --runs --db other.db --json | sed 's/.*"exit/"exit/'

# a line that is no JSON is a row that cannot be asked
{ echo "$good"; echo '{"broken": '; echo "$good"; } >data/colors.jsonl
try run -q -m tiny --include_path tasks -t colors --db lines.db
run_tiny --include_path tasks -t colors --skip-bad-rows --db lines.db 2>&1 | sed 's/  */ /g'

echo '{"broken": ' >data/colors.jsonl
try run -q -m tiny --include_path tasks -t colors --db t.db --skip-bad-rows
