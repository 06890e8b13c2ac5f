# Files from somebody else: they may get a sentence, but no crash and no nonsense.
. "$source/tests/cli/lib.sh"
make_tasks 2
"$make_tiny_model" hf-f32 tiny
score() { "$assay" score --include_path tasks -t "$1" -r "$2" --db s.db; echo "exit $?"; }

# a file of whole pages whose last line is blank
i=0
while [ $i -lt 2 ]; do echo "{\"doc_id\": $i, \"response\": \"red\"}"; i=$((i + 1)); done >answers.jsonl
printf '%*s' $((65536 - $(wc -c <answers.jsonl))) '' >>answers.jsonl
score say answers.jsonl | sed 's/  */ /g'

# log-likelihoods that are none
echo '{"doc_id": 0, "responses": ["-1.5", "nan", -2]}' >nan.jsonl
score colors nan.jsonl
echo '{"doc_id": 0, "responses": ["-1.5", "-2 ", -2]}' >text.jsonl
score colors text.jsonl

# a store with other things where token numbers should be
run_tiny --include_path tasks -t colors >/dev/null
for tokens in 5 '"five"' '{"a": 1}' '["a", null, 1e300, 99999999999, -7, 3]' '[[' ''; do
    sqlite3 t.db "update texts set text = '$tokens' where id in
        (select prompt_tokens from requests union select tokens from requests)"
    "$assay" show colors 0 --tokens --db t.db | sed -n '/^--- tokens/,$p' | sed 1d
done
sqlite3 t.db "update scores set value = null; update measures set metric = 'a\"b' where metric = 'acc'"
"$assay" show colors 0 --json --db t.db | sed 's/.*"scores"/"scores"/'
