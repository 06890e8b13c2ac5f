# A task or data file that cannot be used: one sentence with file and line, before any model time is
# spent; the run ends (3) and leaves no store.
. "$source/tests/cli/lib.sh"
export XDG_CACHE_HOME=$PWD/cache
make_tasks 3
"$make_tiny_model" hf-f32 tiny
bend() { # bend NAME SED [TASK]: a copy of the task with lines changed, run
    sed -E "s/^task: .*/task: $1/; $2" tasks/${3:-colors}.yaml >$1.yaml
    try run -q -m tiny -t $1.yaml
    [ $try_code -eq 1 ] || ls *.db 2>/dev/null
    rm -f assay.db
}

# the definition
bend yaml 's/^test_split: .*/test_split: [test/'
bend tab 's/^  - metric: acc$/\t- metric: acc/'
bend key 's/^doc_to_text:/doc_to_txt:/'
bend text 's/^output_type: .*/output_type: multiple_guess/'
bend type 's/^metric_list:/metric_list: acc\nrepeats:/'
bend number 's/^test_split: /num_fewshot: five\ntest_split: /'
bend metric 's/metric: acc_norm/metric: acc_nrom/'
bend aggregation 's/( *)- metric: acc$/\0\n\1  aggregation: maen/'
bend filter 's/^metric_list:/filter_list:\n  - name: f\n    filter:\n      - function: take_frist\nmetric_list:/'
bend regex 's/^metric_list:/filter_list:\n  - name: f\n    filter:\n      - function: regex\n        regex_pattern: "(a"\nmetric_list:/' say
bend function 's/^doc_to_text: .*/doc_to_text: !function utils.doc_to_text/'
bend include 's/^test_split: /include: base.yaml\ntest_split: /'
bend split 's/^test_split: .*/test_split: tset/'
bend nosplit '/^test_split: /d'
bend shots 's/^test_split: .*/\0\nnum_fewshot: 2\nfewshot_split: train/'

# templates
bend jinja 's/^doc_to_text: .*/doc_to_text: "Question: {{question"/'
bend jinjatag 's/^doc_to_text: .*/doc_to_text: "{% if question %}x"/'
bend undefined 's/^doc_to_text: .*/doc_to_text: "{{nothing.here}}"/'
bend jinjafilter 's/^doc_to_text: .*/doc_to_text: "{{question | uper}}"/'
bend endless 's/^doc_to_text: .*/doc_to_text: "{% for i in range(10**9) %}{% for j in range(10**9) %}x{% endfor %}{% endfor %}"/'

# data files
bend nofile 's/colors.jsonl/colours.jsonl/'
bend nofield 's/^doc_to_target: .*/doc_to_target: solution/'
bend noquestion 's/\{\{question\}\}/{{frage}}/'
data() { # data NAME: the task over data on stdin
    cat >data/$1.jsonl
    bend $1 "s/colors.jsonl/$1.jsonl/"
}
good='{"question": "a?", "choices": ["red", "blue"], "answer": 1}'
printf '%s\n%s\n' "$good" '{"question": "b?", "choices": ["red" "blue"], "answer": 1}' | data json
printf '%s\n%s\n' "$good" '["a list"]' | data list
printf '' | data empty
printf '%s\n%s' "$good" '{"question": "b?", "cho' | data cut
printf '{"question": "\377\376?", "choices": ["red"], "answer": 0}\n' | data bytes
python3 -c 'print("[" * 100000)' | data deep
echo "not gzip at all" >data/zip.jsonl.gz
bend zip 's/colors.jsonl/zip.jsonl.gz/'

# documents that are wrong, among good ones
printf '%s\n%s\n%s\n' "$good" '{"question": "b?", "choices": ["red", "blue"]}' "$good" | data noanswer
printf '%s\n%s\n' "$good" '{"question": "b?", "choices": ["red", "blue"], "answer": 7}' | data outofrange
printf '%s\n%s\n' "$good" '{"question": "b?", "choices": [], "answer": 0}' | data nochoices
printf '%s\n%s\n' "$good" '{"question": "b?", "choices": "red", "answer": 0}' | data nolist
printf '%s\n%s\n' "$good" '{"question": null, "choices": ["red", "blue"], "answer": null}' | data nullanswer

# files in the folder that are not asked for do not matter
cp -r tasks more
printf 'task: [broken\n' >more/broken.yaml
try run -q -m tiny --include_path more -t colors
