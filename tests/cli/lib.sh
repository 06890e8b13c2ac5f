# lib.sh: sourced by the scripts here: transcripts, small data sets and tasks for a tiny model.

# try ARGUMENTS...: runs the program and prints a transcript: what was asked, what came on stdout,
# what came on stderr behind "! ", and the exit code unless it is 0.
try() {
    echo "\$ assay $*"
    "$assay" "$@" >try.out 2>try.err
    try_code=$?
    cat try.out
    sed 's/^/! /' try.err
    [ $try_code -eq 0 ] || echo "exit $try_code"
    rm -f try.out try.err
}


# Tasks on $1 documents: "colors" (multiple choice), "say" (generation), "tell" (perplexity), and
# "all_three", their group.
make_tasks() {
    mkdir -p tasks data
    : >data/colors.jsonl
    i=0
    while [ $i -lt "$1" ]; do
        echo "{\"question\": \"Which color has thing $i?\", \"choices\": [\"red\", \"dark blue\", \"green\"], \"answer\": $((i % 3))}" >>data/colors.jsonl
        i=$((i + 1))
    done
    cat >tasks/colors.yaml <<'Y'
task: colors
dataset_path: json
dataset_kwargs:
  data_files:
    test: data/colors.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\nAnswer:"
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - metric: acc
  - metric: acc_norm
metadata:
  version: 1.0
Y
    cat >tasks/say.yaml <<'Y'
task: say
dataset_path: json
dataset_kwargs:
  data_files:
    test: data/colors.jsonl
test_split: test
output_type: generate_until
doc_to_text: "{{question}} It is"
doc_to_target: "{{choices[answer]}}"
generation_kwargs:
  until: ["\n"]
  max_gen_toks: 8
metric_list:
  - metric: exact_match
metadata:
  version: 1.0
Y
    cat >tasks/tell.yaml <<'Y'
task: tell
dataset_path: json
dataset_kwargs:
  data_files:
    test: data/colors.jsonl
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}} It is {{choices[answer]}}."
metric_list:
  - metric: word_perplexity
  - metric: byte_perplexity
  - metric: bits_per_byte
metadata:
  version: 2.0
Y
    cat >tasks/all_three.yaml <<'Y'
group: all_three
task:
  - colors
  - say
  - tell
metadata:
  version: 1
Y
}

# Runs the program quietly on the tiny model: run_tiny ARGUMENTS...
run_tiny() { "$assay" run -q -m tiny,name=tiny --db t.db "$@"; }

rows() { sqlite3 t.db "select count(*) from $1"; }
