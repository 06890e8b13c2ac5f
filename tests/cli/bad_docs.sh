# Documents that cannot be asked are theirs alone: the others are answered, however many there are.
. "$source/tests/cli/lib.sh"
make_tasks 3
"$make_tiny_model" hf-f32 tiny
good=$(head -n 1 data/colors.jsonl)
bad=$(echo "$good" | sed 's,"choices","chances",')
for line in 1 2 3; do echo "$good"; done >data/colors.jsonl
i=0
while [ $i -lt 30 ]; do echo "$bad"; i=$((i + 1)); done >>data/colors.jsonl
echo "$good" >>data/colors.jsonl
run_tiny --include_path tasks -t colors >table.txt
echo "exit $?"
grep "acc " table.txt | sed 's/  */ /g'
sqlite3 t.db "select error is not null, count(*) from samples group by 1"

# asked again, they fail again, all of them
run_tiny --include_path tasks -t colors 2>&1 >again.txt | grep -o "^task.*failed"
cmp table.txt again.txt && echo "the same table"
