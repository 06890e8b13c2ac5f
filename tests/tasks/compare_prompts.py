#!/usr/bin/env python3
"""Holds assay's prompts against lm-evaluation-harness' own, text by text.

    python3 compare_prompts.py DUMP_PROMPTS DATA [--update] [TASK...]

DUMP_PROMPTS is build/tests/tasks/dump_prompts, DATA the folder of the publishers' data sets that
the tests read; lm_eval 0.4.13 must be importable (with its [math] and [ifeval] extras), and
xxhash. Every row of the tables in test_prompts.c (of tasks whose name matches a TASK, "bbh_*") is
asked on both sides: lm-evaluation-harness' task of that name, whose data sets are replaced by the
same rows, and assay's. What differs is printed. With --update the hash of what
lm-evaluation-harness asks is written into test_prompts.c."""
import csv
import fnmatch
import glob
import gzip
import json
import logging
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = os.environ["TQDM_DISABLE"] = "1"
import datasets
import evaluate
import xxhash

datasets.disable_progress_bars()
logging.disable(logging.WARNING)
evaluate.load = lambda *a, **k: type("Metric", (), {"compute": lambda *a, **k: [{}]})()
from lm_eval.tasks import TaskManager

HERE = os.path.dirname(os.path.abspath(__file__))
TABLES = os.path.join(HERE, "test_prompts.c")
FOLDERS = {"asks_as_the_reference_does": None, "asks_of_our_rows_as_the_reference_does": os.path.join(HERE, "rows")}
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
TEMPLATE = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


# ---- the data sets, in the hub's schema ----


def lines(path):
    for name in (path, path + ".gz"):
        if os.path.exists(name):
            opener = gzip.open if name.endswith(".gz") else open
            with opener(name, "rt", encoding="utf-8") as f:
                return [json.loads(line) for line in f if line.strip()]
    raise FileNotFoundError(path)


def table(path, **options):
    with open(path, encoding="utf-8-sig", newline="") as f:
        return list(csv.reader(f, **options))


def dicts(path):
    head, *rows = table(path)
    return [dict(zip(head, row)) for row in rows]


def labelled(choices):
    return {k: [c[k] for c in choices] for k in ("text", "label")}


def arc(d, name):
    def rows(split):
        return [{"id": r["id"], "question": r["question"]["stem"], "choices": labelled(r["question"]["choices"]), "answerKey": r["answerKey"]}
                for r in lines(f"{d}/arc/ARC-Challenge-{split}.jsonl")]
    return {"test": rows("Test"), "train": rows("Dev"), "validation": rows("Dev")}


def openbookqa(d, name):
    def row(r):
        if "question_stem" in r:
            return r
        return {"id": r["id"], "question_stem": r["question"]["stem"], "choices": labelled(r["question"]["choices"]), "answerKey": r["answerKey"]}
    splits = {s: [row(r) for r in lines(f"{d}/openbookqa/{s}.jsonl")] for s in ("test", "train")}
    return dict(splits, validation=splits["test"])


def boolq(d, name):
    def row(r):
        return {"question": r["question"], "passage": r["passage"], "idx": r["idx"], "label": int(r.get("label", r.get("answer")))}
    return {"validation": [row(r) for r in lines(f"{d}/boolq/val.jsonl")], "train": [row(r) for r in lines(f"{d}/boolq/train.jsonl")]}


def split_context(ctx):
    """ctx_a and ctx_b: see split_context() of tasks/functions.c, which says what cannot be known."""
    s = ctx.rstrip()
    if ctx.startswith(("[header]", "How to ")):
        return ctx, ""
    last = None
    for last in re.finditer(r"(?<=[.!?]) ", s):
        pass
    if last and re.match("[a-z]", s[last.end():]):
        return s[:last.start()], s[last.end():]
    return ctx, ""


def hellaswag(d, name):
    with gzip.open(f"{d}/hellaswag/hellaswag_val_full.txt.gz", "rt", encoding="utf-8") as f:
        x = f.read().split("\n")
    rows = []
    for i in range(0, len(x) - 5, 6):
        activity, ctx = x[i].split(": ", 1)
        a, b = split_context(ctx)
        rows.append({"activity_label": activity, "ctx_a": a, "ctx_b": b, "ctx": ctx, "endings": x[i + 2:i + 6], "label": x[i + 1]})
    return {"validation": rows, "train": rows}


def truthfulqa(d, name):
    def closed(a):
        return a.strip() if a.strip().endswith(".") else a.strip() + "."
    def answers(s):
        return [closed(a) for a in s.split(";") if a.strip()]
    rows = []
    for r in dicts(f"{d}/truthfulqa/TruthfulQA.csv"):
        best, right, wrong = [closed(r["Best Answer"])], answers(r["Correct Answers"]), answers(r["Incorrect Answers"])
        rows.append({"question": r["Question"].strip(),
                     "mc1_targets": {"choices": best + wrong, "labels": [1] + [0] * len(wrong)},
                     "mc2_targets": {"choices": right + wrong, "labels": [1] * len(right) + [0] * len(wrong)}})
    return {"validation": rows}


def mmlu(d, name):
    subject = name[len("mmlu_"):]
    def rows(split):
        return [{"question": r[0], "subject": subject, "choices": r[1:5], "answer": "ABCD".index(r[5])}
                for r in table(f"{d}/mmlu/{split}/{subject}_{split}.csv")]
    return {"test": rows("test"), "dev": rows("dev")}


def wikitext(d, name):
    with open(f"{d}/wikitext2/test.txt", encoding="utf-8", newline="") as f:
        text = f.read().split("\n")
    pages, page = [], []
    for line in text:
        head = line.replace("= = =", "===").replace("= =", "==").strip()
        if head.startswith("= ") and head.endswith(" ="):
            pages, page = pages + ["\n".join(page)], []
        page.append(line)
    rows = [{"page": p} for p in pages + ["\n".join(page)] if p.strip()]
    return {"test": rows, "train": rows[:1], "validation": rows[:1]}


def bbh(d, name):
    subject = re.sub("^(leaderboard_bbh|bbh_cot_fewshot)_", "", name)
    with open(f"{d}/bbh/tasks/{subject}.json", encoding="utf-8") as f:
        return {"test": json.load(f)["examples"]}


def squad(d, name):
    with open(f"{d}/squadv2/dev-v2.0.json", encoding="utf-8") as f:
        articles = json.load(f)["data"]
    rows = [{"id": q["id"], "title": a["title"], "context": p["context"], "question": q["question"],
             "answers": {k: [x[k] for x in q["answers"]] for k in ("text", "answer_start")}}
            for a in articles for p in a["paragraphs"] for q in p["qas"]]
    return {"validation": rows, "train": lines(f"{d}/squadv2/train.jsonl")}


def lambada(d, name):
    if name == "lambada_openai":
        return {"test": lines(f"{d}/lambada_openai/lambada_test.jsonl")}
    def rows(split):
        with open(f"{d}/lambada/lambada_{split}_plain_text.txt", encoding="utf-8") as f:
            return [{"text": line.rstrip("\n")} for line in f]
    return {"test": rows("test"), "validation": rows("development")}


def math(d, name):
    subjects = {"counting_and_prob": "counting_and_probability", "num_theory": "number_theory", "precalc": "precalculus"}
    subject = re.sub("^(leaderboard|minerva)_math_", "", name).replace("_hard", "")
    rows = lines(f"{d}/math/{subjects.get(subject, subject)}/test.jsonl")
    return {"test": rows, "train": rows}


def mmlu_pro(d, name):
    test = lines(f"{d}/mmlu_pro/test.jsonl")
    have = os.path.exists(f"{d}/mmlu_pro/validation.jsonl")
    return {"test": test, "validation": lines(f"{d}/mmlu_pro/validation.jsonl") if have else test}


def files(**splits):
    return lambda d, name: {split: lines(f"{d}/{file}") for split, file in splits.items()}


SOURCES = [
    ("arc_challenge", arc), ("openbookqa", openbookqa), ("boolq", boolq), ("hellaswag", hellaswag), ("truthfulqa_mc?", truthfulqa),
    ("*mmlu_pro*", mmlu_pro), ("mmlu_*", mmlu), ("wikitext", wikitext), ("*bbh_*", bbh), ("squadv2", squad), ("lambada_*", lambada), ("*_math_*", math),
    ("winogrande", files(validation="winogrande/dev.jsonl", train="winogrande/train_s.jsonl")),
    ("gsm8k", files(test="gsm8k/test.jsonl", train="gsm8k/train.jsonl")),
    ("humaneval_plus", files(test="humaneval_plus/test.jsonl")), ("humaneval*", files(test="humaneval/HumanEval.jsonl")),
    ("mbpp_plus*", files(test="mbpp_plus/test.jsonl")),
    ("mbpp*", lambda d, name: {"test": lines(f"{d}/mbpp/mbpp.jsonl")[10:510]}),
    ("piqa", files(validation="piqa/validation.jsonl", train="piqa/train.jsonl")),
    ("triviaqa", files(validation="triviaqa/validation.jsonl", train="triviaqa/train.jsonl")),
    ("nq_open", files(validation="nq_open/NQ-open.dev.jsonl", train="nq_open/NQ-open.train.jsonl")),
    ("squad_completion", files(validation="squad_completion/validation.jsonl")),
    ("*ifeval", files(train="ifeval/input_data.jsonl")),
    ("leaderboard_gpqa_*", lambda d, name: {"train": dicts(f"{d}/gpqa/{name[len('leaderboard_'):]}.csv")}),
    ("leaderboard_musr_*", lambda d, name: {name[len("leaderboard_musr_"):]: dicts(f"{d}/musr/{name[len('leaderboard_musr_'):]}.csv")}),
]


# ---- both sides ----

manager = TaskManager()
maps, map_of = {}, datasets.Dataset.map


def cached_map(self, function, *a, **k):
    """As with data sets on a disk, what was mapped once is there: GPQA's choices are shuffled once."""
    key = (self._fingerprint, getattr(function, "__qualname__", None))
    if key[1] is None:  # a filter
        return map_of(self, function, *a, **k)
    if key not in maps:
        maps[key] = map_of(self, function, *a, **k)
    return maps[key]


datasets.Dataset.map = cached_map


def chat(messages, add_generation_prompt=True):
    text = "" if messages[0]["role"] == "system" else f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
    text += "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return text + "<|im_start|>assistant\n" if add_generation_prompt else text[:-len("<|im_end|>\n")]


def typed(rows):
    """The rows as a data set; where a field's type changes from row to row, it becomes text."""
    try:
        return datasets.Dataset.from_list(rows)
    except Exception:
        return datasets.Dataset.from_list([{k: v if isinstance(v, str) else json.dumps(v) for k, v in r.items()} for r in rows])


def theirs(folder, task, shots, limit, mode, system):
    rows = next(read for pattern, read in SOURCES if fnmatch.fnmatch(task, pattern))(folder, task)
    sets = datasets.DatasetDict({split: typed(r) for split, r in rows.items()})
    datasets.load_dataset = lambda *a, **k: sets
    maps.clear()
    random.seed(0)  # as lm_eval does at its start; GPQA's choices are shuffled by it
    t = manager.load([task])["tasks"][task]
    own = t.get_config("num_fewshot")
    if shots >= 0 and own != 0:
        t.set_config("num_fewshot", shots)
    elif own is None:
        t.set_config("num_fewshot", 0)
    t.set_fewshot_seed(1234)
    more = {"apply_chat_template": True, "fewshot_as_multiturn": mode == 2, "chat_template": chat} if mode else {}
    t.build_all_requests(limit=limit if limit >= 0 else None, system_instruction=system, **more)
    requests = []
    for i in t.instances:
        r = {"doc_id": i.doc_id, "target": str(t.doc_to_target(i.doc)), "context": i.args[0]}
        if i.request_type == "loglikelihood":
            r["continuation"] = i.args[1]
        if i.request_type == "generate_until":
            g = i.args[1]
            until = g.get("until", [])
            r.update(max_gen_toks=g.get("max_gen_toks", g.get("max_new_tokens", 256)), temperature=float(g.get("temperature") or 0),
                     until=[until] if isinstance(until, str) else until)
        requests += [r] * (i.repeats or 1)
    return requests


def ours(tool, folder, task, shots, limit, mode, system):
    with tempfile.NamedTemporaryFile("w", suffix=".jinja") as template:
        template.write(TEMPLATE)
        template.flush()
        command = [tool, "--data", folder]
        command += ["--shots", str(shots)] if shots >= 0 else []
        command += ["--limit", str(limit)] if limit >= 0 else []
        command += ["--system", system] if system is not None else []
        command += ["--chat", template.name] if mode else []
        command += ["--multiturn"] if mode == 2 else []
        p = subprocess.run(command + [task], capture_output=True, text=True, encoding="utf-8")
    if p.returncode:
        sys.stdout.write(p.stderr)
        return []
    requests = [json.loads(line) for line in p.stdout.split("\n") if line]
    for r in requests:
        del r["task"], r["idx"]
    return requests


def hash_of(requests):
    h = xxhash.xxh3_128()
    def field(text):
        b = text.encode()
        h.update(struct.pack("<Q", len(b)))
        h.update(b)
    for r in requests:
        h.update(struct.pack("<q", r["doc_id"]))
        for text in (r["target"], r["context"], r.get("continuation", ""), *r.get("until", [])):
            field(text)
        h.update(struct.pack("<i", r.get("max_gen_toks", 0)))
    return h.hexdigest()


def show_difference(want, got):
    for key in want:
        if want[key] == got.get(key):
            continue
        a, b = str(want[key]), str(got.get(key))
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        print(f"    document {want['doc_id']}, {key}, from character {at}:")
        print(f"      theirs {a[max(0, at - 60):at + 60]!r}")
        print(f"      ours   {b[max(0, at - 60):at + 60]!r}")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    if len(arguments) < 2:
        sys.exit(__doc__)
    tool, data, patterns = arguments[0], arguments[1], arguments[2:] or ["*"]
    with open(TABLES, encoding="utf-8") as f:
        source = f.read()
    folder, differ, out = None, 0, []
    for line in source.split("\n"):
        out.append(line)
        function = re.match(r"static void (\w+)\(void\)", line)
        if function:
            folder = (FOLDERS.get(function[1]) or data) if function[1] in FOLDERS else None
        row = re.match(r'\s*\{"(\w+)", (-?\d+), (-?\d+), (\d), (NULL|"(?:[^"\\]|\\.)*"), "(\w*)"\},$', line)
        if not row or not folder or not any(fnmatch.fnmatch(row[1], p) for p in patterns):
            continue
        what = (folder, row[1], int(row[2]), int(row[3]), int(row[4]), None if row[5] == "NULL" else json.loads(row[5]))
        want, got = theirs(*what), ours(tool, *what)
        bad = [(w, g) for w, g in zip(want, got) if w != g]
        same = not bad and len(want) == len(got)
        differ += not same
        print(f"{'same' if same else 'DIFFERENT'}: {' '.join(str(x) for x in what[1:])}: {len(want)} requests there, {len(got)} here, "
              f"{len(bad)} differ{'' if hash_of(want) == row[6] else '; the hash is ' + hash_of(want)}", flush=True)
        if bad:
            show_difference(*bad[0])
        out[-1] = line.replace(f'"{row[6]}"}}', f'"{hash_of(want)}"}}')
    if "--update" in sys.argv:
        with open(TABLES, "w", encoding="utf-8") as f:
            f.write("\n".join(out))
    sys.exit(differ > 0)


main()
