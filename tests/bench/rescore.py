#!/usr/bin/env python3
"""How long `assay rescore` takes: rescore.py PROGRAM [SAMPLES [FOLDER]].

Makes a task with SAMPLES (100,000) problems and recorded answers of some 60 words, stores them by
`assay score`, changes a filter, and times rescoring. Prints seconds and samples a second. With
--generate or --choices only one of the two kinds is timed."""
import json
import os
import subprocess
import sys
import tempfile
import time

COMMON = """task: NAME
dataset_path: json
dataset_kwargs: {data_files: {test: data/sums.jsonl}}
test_split: test
doc_to_text: "Question: {{question}}\\nAnswer:"
metadata: {version: VERSION}
"""
GENERATE = COMMON.replace("NAME", "sums") + """output_type: generate_until
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 128}
filter_list:
  - name: answer
    filter:
      - {function: regex, regex_pattern: "PATTERN"}
      - {function: take_first}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
"""
CHOICES = COMMON.replace("NAME", "picks") + """output_type: multiple_choice
doc_to_choice: "{{choices}}"
doc_to_target: "{{right}}"
metric_list: [METRICS]
"""


def write_data(n):
    words = "we take the first number and add it to the second one which gives us".split()
    os.makedirs("data", exist_ok=True)
    with open("data/sums.jsonl", "w") as docs, open("sums.out", "w") as sums, open("picks.out", "w") as picks:
        for i in range(n):
            a, b = i * 7919 % 1000, i * 104729 % 1000
            choices = [f"the number {a + b + k * (i % 5 + 1)}" for k in range(4)]
            docs.write(json.dumps({"question": f"What is {a} plus {b}?", "answer": str(a + b), "choices": choices,
                                   "right": 0}) + "\n")
            told = a + b if i % 3 else a
            text = " ".join(words[(i + k) % len(words)] for k in range(60)) + f". The answer is {told}."
            sums.write(json.dumps({"doc_id": i, "response": text}) + "\n")
            scores = [[-float((i * 31 + k * 17) % 97) - 1, False] for k in range(4)]
            picks.write(json.dumps({"doc_id": i, "responses": scores}) + "\n")


def task_file(name, text, **values):
    with open(name, "w") as f:
        for key, value in values.items():
            text = text.replace(key, value)
        f.write(text)
    return name


def timed(*command):
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return time.monotonic() - begun, done.stdout


def bench(program, n, task, answers, changed):
    store, _ = timed(program, "score", "-t", task, "-r", answers, "--name", "recorded", "--db", answers + ".db")
    seconds, table = timed(program, "rescore", "--task_file", changed, "--db", answers + ".db")
    print(table, end="")
    print(f"{answers[:-4]}: {n} samples scored again in {seconds:.2f} s, {n / seconds:,.0f} a second "
          f"(scored the first time in {store:.2f} s)")


def main():
    words = [w for w in sys.argv[1:] if not w.startswith("--")]
    if not words:
        sys.exit(__doc__)
    program, n = os.path.abspath(words[0]), int(words[1]) if len(words) > 1 else 100000
    with tempfile.TemporaryDirectory(dir=words[2] if len(words) > 2 else None) as folder:
        os.chdir(folder)
        write_data(n)
        if "--choices" not in sys.argv:
            bench(program, n, task_file("sums.yaml", GENERATE, PATTERN="answer is (\\\\d+)", VERSION="1"), "sums.out",
                  task_file("sums2.yaml", GENERATE, PATTERN="(-?[0-9]+)", VERSION="2"))
        if "--generate" not in sys.argv:
            bench(program, n, task_file("picks.yaml", CHOICES, METRICS="{metric: acc}", VERSION="1"), "picks.out",
                  task_file("picks2.yaml", CHOICES, METRICS="{metric: acc}, {metric: acc_norm}", VERSION="2"))


main()
