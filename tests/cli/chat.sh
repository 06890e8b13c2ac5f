# Chat templates: applied or not, examples as turns or not; a prompt that would begin with BOS twice
# is refused with a sentence.
. "$source/tests/cli/lib.sh"
make_tasks 6
"$make_tiny_model" hf-f32 chat
"$make_tiny_model" hf-f32+plain plain
"$make_tiny_model" hf-f32+bos bos
prompt() { "$assay" show colors 1 --db "$@" 2>/dev/null | sed -n '/--- prompt/,/--- answers/p'; }

run="run -q --include_path tasks -t colors --limit 2 --apply_chat_template"
"$assay" $run -m chat --db a.db >/dev/null
prompt a.db
"$assay" $run -m chat --num_fewshot 1 --db b.db >/dev/null
prompt b.db
"$assay" $run -m chat --num_fewshot 1 --no-fewshot_as_multiturn --db c.db >/dev/null
prompt c.db
"$assay" $run -m chat --system_instruction "You are brief." --db d.db >/dev/null
prompt d.db
"$assay" ls --db b.db
"$assay" ls --db d.db | cut -c1-60
"$assay" run -q -m chat --include_path tasks -t say --limit 1 --apply_chat_template --db e.db >/dev/null
"$assay" show say 0 --db e.db | sed -n '/--- prompt/,/--- answers/p'

try $run -m plain
ls assay.db 2>/dev/null
# one BOS of the text's own is taken as it is, two are an error
bos() {
    sed "s/^doc_to_text: \"/&$2/; s/^task: colors/task: $1/" tasks/colors.yaml >$1.yaml
    try run -q -m bos -t $1.yaml --db $1.db --limit 1
}
bos none ""
bos once "<s>"
for task in none once; do
    "$assay" show $task 0 --db $task.db --tokens | sed -n 's/^\(prompt ([0-9]*): .*"<s>".* 91:"W"\).*/\1/p'
done
bos twice "<s><s>"
