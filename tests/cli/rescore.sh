# Stored answers scored again by changed definitions, without the model and without the data.
. "$source/tests/cli/lib.sh"
make_tasks 12
"$make_tiny_model" hf-f32 tiny
"$make_tiny_model" gguf-f16 other.gguf 5
for m in tiny other.gguf; do
    "$assay" run -q -m $m,name=${m%.gguf} --include_path tasks -t all_three --limit 8 >/dev/null
done
"$assay" run -q -m tiny --include_path tasks -t colors,say --num_fewshot 2 --limit 3 >/dev/null
"$assay" run -q -m tiny --include_path tasks -t say --apply_chat_template --limit 3 >/dev/null
mv data away
mv tiny tiny.away
count() { sqlite3 assay.db "select count(*) from samples union all select count(*) from evaluations" | tr '\n' ' '; }
changed() { sed "$2" "tasks/$1.yaml" >"$1.yaml"; }
again() { try rescore --include_path tasks "$@" | sed 's/  */ /g; s/--*/-/g'; }

# only the version: the same scores, bit for bit
changed colors 's/version: 1.0/version: 1.1/'
again --task_file colors.yaml -m '#1'
sqlite3 assay.db "select count(*) from scores a join samples s on s.id = a.sample and s.evaluation = 1
    join samples t on t.doc_id = s.doc_id and t.evaluation = (select max(id) from evaluations)
    join scores b on b.sample = t.id and b.measure = a.measure where a.value is b.value"
sqlite3 assay.db "select source, (select count(*) from v_requests r where r.evaluation = e.id),
    (select count(*) from v_requests r where r.evaluation = e.source) from evaluations e where source > 0"
count; echo
again --task_file colors.yaml -m '#1' >/dev/null
count; echo "(nothing is done twice)"

# another metric; another filter, for every model and setting
changed colors 's/metric: acc$/metric: acc_bytes/; s/version: 1.0/version: 2.0/'
again --task_file colors.yaml
{ cat tasks/say.yaml; printf 'filter_list:\n  - name: letters\n    filter:\n      - function: regex\n        regex_pattern: "([a-z]+)"\n      - function: take_first\n'; } >say.yaml
again --task_file say.yaml | cut -d' ' -f1-7
again --task_file say.yaml -m other --json
try compare '#5' '#2' -t say
sed 's/task: say/task: said/' say.yaml >said.yaml
again --task_file said.yaml
again --task_file said.yaml -t say -m other | cut -d' ' -f1-7

try ls -t say -m tiny | sed 's/  */ /g; s/--*/-/g'

# without a file: by what the tasks are now
again -t colors,say,tell
cp tasks/tell.yaml kept.yaml
sed -i 's/version: 2.0/version: 2.1/' tasks/tell.yaml
again | grep -v "^!" | cut -d" " -f1-7
cp kept.yaml tasks/tell.yaml

# what would ask something else is refused, and leaves nothing
count >before
refuse() { sed "$2" "tasks/$1.yaml" >"$1.yaml"; shift 2; again "$@"; }
refuse say 's/It is/It was/' --task_file say.yaml -m '#2'
refuse colors 's/Answer:/A:/' --task_file colors.yaml -m '#1'
refuse colors 's/doc_to_choice: choices/doc_to_choice: "{{choices[1:]}}"/' --task_file colors.yaml -m '#1'
refuse colors 's/doc_to_choice: choices/doc_to_choice: "{{[choices[0], choices[2], choices[1]]}}"/' --task_file colors.yaml -m '#1'
refuse colors 's/- metric: acc$/- metric: acc_mutual_info/' --task_file colors.yaml -m '#1'
refuse say 's/max_gen_toks: 8/max_gen_toks: 9/' --task_file say.yaml -m '#2'
refuse say 's/doc_to_target: .*/doc_to_target: "{{question}}"/' --task_file say.yaml -m '#8'
refuse say 's/It is/It was/' --task_file say.yaml -m '#9'
refuse colors 's/output_type: .*/output_type: generate_until/' --task_file colors.yaml -m '#1'
count | cmp - before && echo "nothing was stored"
# a target that nobody saw may change
refuse say 's/doc_to_target: .*/doc_to_target: "{{question}}"/' --task_file say.yaml -m '#2'

# a damaged store gives a sentence
for text in '[[1, 2]]' '"x"' '{'; do
    cp assay.db damaged.db
    sqlite3 damaged.db "update texts set text = '$text' where id in (select config from tasks where name = 'say')"
    again --task_file say.yaml -m '#2' --db damaged.db
done

# a longer run: only its new documents are scored
mv away data
mv tiny.away tiny
changed colors 's/version: 1.0/version: 1.1/'
sqlite3 assay.db "select max(id) from samples" >last
"$assay" run -q -m tiny --include_path tasks -t colors >/dev/null
again --task_file colors.yaml -m '#1'
sqlite3 assay.db "select group_concat(evaluation || ':' || doc_id, ' ') from
    (select * from samples where id > $(cat last) order by evaluation, doc_id)"

try rescore --db nope.db
try rescore -t nope
try rescore --task_file nope.yaml
try rescore extra
