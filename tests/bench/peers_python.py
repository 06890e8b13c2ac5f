#!/usr/bin/env python3
"""The Python side of peers.py; runs in the peers' own environment. Prints one JSON object.

peers_python.py save GGUF FOLDER                    transformers' float32 model, as it reads the file
peers_python.py prefill FOLDER DTYPE THREADS        tokens a second over 512 tokens, best of 3
peers_python.py evaluate FOLDER TASK DATA LIMIT BATCH THREADS
                                                    seconds in lm_eval.simple_evaluate, and scores"""
import csv
import json
import os
import pathlib
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1",
                  TOKENIZERS_PARALLELISM="false")


def rows(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def arc(folder):
    return {"test": [
        {"id": r["id"], "question": r["question"]["stem"], "answerKey": r["answerKey"],
         "choices": {k: [c[k] for c in r["question"]["choices"]] for k in ("text", "label")}}
        for r in rows(folder / "arc/ARC-Challenge-Test.jsonl")]}


def abstract_algebra(folder):
    def split(name):
        path = folder / f"mmlu/{name}/abstract_algebra_{name}.csv"
        with open(path, encoding="utf-8", newline="") as f:
            return [{"question": r[0], "subject": "abstract_algebra", "choices": r[1:5],
                     "answer": "ABCD".index(r[5])} for r in csv.reader(f)]
    return {"test": split("test"), "dev": split("dev")}


def truthfulqa(folder):
    def answers(text):
        parts = [p.strip() for p in text.split(";") if p.strip()]
        return [p if p.endswith(".") else p + "." for p in parts]
    with open(folder / "truthfulqa/TruthfulQA.csv", encoding="utf-8-sig", newline="") as f:
        out = []
        for r in csv.DictReader(f):
            true, false = answers(r["Correct Answers"]), answers(r["Incorrect Answers"])
            targets = {"choices": true + false, "labels": [1] * len(true) + [0] * len(false)}
            out.append({"question": r["Question"], "mc1_targets": targets, "mc2_targets": targets})
    return {"validation": out}


def gsm8k(folder):
    return {name: rows(folder / f"gsm8k/{name}.jsonl") for name in ("train", "test")}


# What assay calls the task; lm-eval's file; its rows.
TASKS = {
    "arc_challenge": ("arc/arc_challenge.yaml", arc),
    "mmlu_abstract_algebra": ("mmlu/default/mmlu_abstract_algebra.yaml", abstract_algebra),
    "truthfulqa_mc2": ("truthfulqa/truthfulqa_mc2.yaml", truthfulqa),
    "gsm8k": ("gsm8k/gsm8k.yaml", gsm8k),
}
SHOTS = {"mmlu_abstract_algebra": 5, "gsm8k": 5}


def save(gguf, folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    where, name = os.path.split(os.path.abspath(gguf))
    read = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    config = read.config  # without the word that it was read from GGUF, which cannot be saved
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = type(read)(config)
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(where, gguf_file=name).save_pretrained(folder)
    return {"folder": folder}


def prefill(folder, dtype, threads):
    import torch
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(int(threads))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    best = float("inf")
    for turn in range(4):  # the first one warms up
        torch.manual_seed(turn)
        ids = torch.randint(0, model.config.vocab_size, (1, 512))
        start = time.perf_counter()
        with torch.inference_mode():
            model(ids, logits_to_keep=1)
        if turn:
            best = min(best, time.perf_counter() - start)
    return {"tokens/s": 512 / best}


def evaluate(folder, task, data, limit, batch, threads):
    import lm_eval
    import torch
    import yaml
    from lm_eval.tasks import TaskManager
    torch.set_num_threads(int(threads))
    path, read = TASKS[task]
    with tempfile.TemporaryDirectory() as tmp:
        files = {}
        for name, documents in read(pathlib.Path(data)).items():
            files[name] = f"{tmp}/{name}.jsonl"
            with open(files[name], "w", encoding="utf-8") as f:
                f.writelines(json.dumps(d) + "\n" for d in documents)
        config = {"include": str(pathlib.Path(lm_eval.__file__).parent / "tasks" / path),
                  "task": "bench_" + task, "dataset_path": "json", "dataset_name": None,
                  "dataset_kwargs": {"data_files": files}}
        for split in ("training_split", "validation_split", "test_split"):
            if split.replace("ing_split", "").replace("_split", "") not in files:
                config[split] = None
        pathlib.Path(tmp, f"bench_{task}.yaml").write_text(yaml.safe_dump(config))
        manager = TaskManager(include_path=tmp, include_defaults=False)
        start = time.perf_counter()
        results = lm_eval.simple_evaluate(
            model="hf", model_args={"pretrained": folder, "dtype": "float32"}, device="cpu",
            tasks=["bench_" + task], task_manager=manager, limit=int(limit), batch_size=int(batch),
            num_fewshot=SHOTS.get(task), bootstrap_iters=0,
            gen_kwargs={"max_gen_toks": 128} if task == "gsm8k" else None)
        seconds = time.perf_counter() - start
    scores = {k: v for k, v in results["results"]["bench_" + task].items() if "," in k}
    return {"seconds": seconds, "scores": scores}


if __name__ == "__main__":
    result = {"save": save, "prefill": prefill, "evaluate": evaluate}[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(result, default=str))
