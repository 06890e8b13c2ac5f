#!/usr/bin/env python3
"""assay beside its peers, on this machine, alternately in one run.

    tests/bench/peers.py [--data DIR] [--only WORD] [--rounds N]

The model is the one of tools/fetch.sh. The peers come from PyPI into a folder of their own (--work):
transformers and lm-evaluation-harness into a virtual environment, llama.cpp as the source in
llama-cpp-python's package, built for this processor. Formats other than the file's are made by
llama-quantize once. Both sides of a row run in turn, --rounds times; a rate is the best of them, a
time the shortest, and the ratio is theirs. Prints Markdown; rows whose data set is not in --data
are named and left out. Takes about an hour the first time, most of it lm-evaluation-harness."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tarfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON_PEERS = ["torch==2.13.0", "transformers==5.23.0", "lm_eval[hf]==0.4.13", "gguf"]
LLAMA = ("llama-cpp-python", "0.3.36")
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "assay"
BASE = CACHE / "models/SmolLM2-135M-Instruct.Q4_1.gguf"

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--assay", default=ROOT / "build/assay", type=pathlib.Path)
parser.add_argument("--data", default=CACHE / "data", type=pathlib.Path,
                    help="folder with arc/, mmlu/, truthfulqa/, gsm8k/ as docs/tasks.md says")
parser.add_argument("--work", default=ROOT / "build/peers", type=pathlib.Path)
parser.add_argument("--python", type=pathlib.Path, help="an environment that has the Python peers")
parser.add_argument("--llama", type=pathlib.Path, help="a folder with llama.cpp's programs")
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
parser.add_argument("--rounds", type=int, default=3, help="of the speed rows")
parser.add_argument("--whole_rounds", type=int, default=1, help="of the whole-command rows")
parser.add_argument("--only", default="", help="rows whose name holds this word")
parser.add_argument("--batch", default="1,16", help="lm-eval's batch sizes; the best one counts")
o = parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


class Failed(Exception):
    pass


def output(*command, **more):
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if r.returncode != 0:
        raise Failed(f"{command[0]} ended with {r.returncode}: {r.stderr.strip()[-800:]}")
    return r.stdout


# ---- getting the peers ----

def python_peers():
    if o.python:
        return o.python
    env = o.work / "python"
    if not (env / "done").exists():
        say(f"installing {' '.join(PYTHON_PEERS)} into {env}")
        output(sys.executable, "-m", "venv", env)
        output(env / "bin/pip", "install", "-q", *PYTHON_PEERS)
        (env / "done").touch()
    return env / "bin/python"


def llama_peers():
    if o.llama:
        return o.llama
    folder = o.work / "llama"
    if not (folder / "done").exists():
        say(f"building llama.cpp from {LLAMA[0]} {LLAMA[1]} in {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        output(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
               "--no-build-isolation", "-d", folder, f"{LLAMA[0]}=={LLAMA[1]}")
        with tarfile.open(next(folder.glob("*.tar.gz"))) as t:
            t.extractall(folder)
        source = next(folder.glob("*/vendor/llama.cpp"))
        output("cmake", "-S", source, "-B", folder / "build", "-DCMAKE_BUILD_TYPE=Release",
               "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF", "-DBUILD_SHARED_LIBS=OFF",
               "-DLLAMA_BUILD_SERVER=OFF")
        output("cmake", "--build", folder / "build", "-j", o.threads, "--target", "llama-bench",
               "llama-batched-bench", "llama-quantize")
        (folder / "done").touch()
    return folder / "build/bin"


def model(kind):
    """The model in another format: f32, bf16, q8_0 ... as GGUF, or "hf" as transformers saves it."""
    o.work.mkdir(parents=True, exist_ok=True)
    if kind == "hf":
        path = o.work / "hf"
        if not (path / "config.json").exists():
            output(python_peers(), ROOT / "tests/bench/peers_python.py", "save", model("f32"), path)
        return path
    path = o.work / f"{kind}.gguf"
    if not path.exists():
        if not BASE.exists():
            output("sh", ROOT / "tools/fetch.sh")
        source = BASE if kind == "f32" else model("f32")
        output(llama_peers() / "llama-quantize", "--allow-requantize", source, path,
               kind.upper(), o.threads)
    return path


# ---- one measurement each; all give tokens a second ----

def assay_speed(spec, workload):
    kind, _, keys = spec.partition(",")
    text = output(o.assay, "bench", "offline", "-m", f"{model(kind)}{',' + keys if keys else ''}",
                  "--workload", workload, "--threads", o.threads, "--json")
    return json.loads(text)[0]["tokens/s"]


def llama_prefill(kind):
    text = output(llama_peers() / "llama-bench", "-m", model(kind), "-p", 512, "-n", 0, "-r", 3,
                  "-t", o.threads, "-o", "json")
    return json.loads(text)[0]["avg_ts"]


def llama_decode(kind, batch):
    text = output(llama_peers() / "llama-batched-bench", "-m", model(kind), "-c", 8192, "-npp", 128,
                  "-ntg", 64, "-npl", batch, "-t", o.threads, "--output-format", "jsonl")
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return rows[0]["speed_tg"]


def torch_prefill(dtype):
    text = output(python_peers(), ROOT / "tests/bench/peers_python.py", "prefill", model("hf"),
                  dtype, o.threads)
    return json.loads(text.splitlines()[-1])["tokens/s"]


def row(name, target, ours, peers):
    """ours, peers: {label: function that gives tokens a second}; the best of each side counts."""
    if o.only not in name:
        return
    sides = [(side, label, f) for side in (ours, peers) for label, f in side.items()]
    best = [0.0] * len(sides)
    for _ in range(o.rounds):
        for i, (_, label, measure) in enumerate(sides):
            try:
                best[i] = max(best[i], measure())
            except Failed as e:
                say(f"{name}: {label}: {e}")
    cells, top = [], []
    for side in (ours, peers):
        mine = [(label, rate) for (s, label, _), rate in zip(sides, best) if s is side]
        cells.append(", ".join(f"{label} {rate:.0f}" for label, rate in mine))
        top.append(max(rate for _, rate in mine))
    ratio = f"{top[0] / top[1]:.2f}" if min(top) > 0 else ""
    print(f"| {name} | {cells[0]} | {cells[1]} | {ratio} | {target} |", flush=True)


def speed_rows():
    print("| tokens/s | assay | peers | ratio | to reach |\n|---|---|---|---|---|")
    for dtype, torch_name, target in (("f32", "float32", 1.3), ("bf16", "bfloat16", 1.5)):
        spec = dtype if dtype == "f32" else "bf16,dtype=bf16"
        row(f"prefill 512, {dtype}", target,
            {"assay": lambda s=spec: assay_speed(s, "prefill 512")},
            {"transformers": lambda t=torch_name: torch_prefill(t),
             "llama.cpp": lambda d=dtype: llama_prefill(d)})
    row("prefill 512, int8 activations", 2.5,
        {"w8a8-int": lambda: assay_speed("f32,quant=w8a8-int", "prefill 512")},
        {"llama.cpp q8_0": lambda: llama_prefill("q8_0")})
    row("prefill 512, 4 bits", 1.8,
        {k: lambda k=k: assay_speed(k, "prefill 512")
         for k in ("q4_0", "q4_1", "q4_k", "q4_0,act=int8", "q4_1,act=int8")},
        {k: lambda k=k: llama_prefill(k) for k in ("q4_0", "q4_1", "q4_k")})
    for kind in ("f32", "bf16", "q8_0", "q4_0"):
        row(f"decode, batch 1, {kind}", "", {"assay": lambda k=kind: assay_speed(k, "decode, batch 1")},
            {"llama.cpp": lambda k=kind: llama_decode(k, 1)})
    for batch, target in ((8, 2), (32, 3)):
        for kind in ("bf16", "q8_0"):
            row(f"decode, batch {batch}, {kind}", target,
                {"assay": lambda k=kind, b=batch: assay_speed(k, f"decode, batch {b}")},
                {"llama.cpp": lambda k=kind, b=batch: llama_decode(k, b)})


# ---- whole commands ----

def timed(*command):
    """Seconds and peak memory in bytes of a whole command."""
    start = time.perf_counter()
    with subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as p:
        text = p.stdout.read()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        raise Failed(f"{command[0]} ended with {p.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024, text


def assay_whole(task, limit, more):
    db = o.work / "bench.db"
    for path in o.work.glob("bench.db*"):
        path.unlink()
    return timed(o.assay, "run", "-q", "-m", model("f32"), "-t", task, "--limit", limit, "--data",
                 o.data, "--db", db, "--threads", o.threads, *more)


def lm_eval_whole(task, limit, batch):
    return timed(python_peers(), ROOT / "tests/bench/peers_python.py", "evaluate", model("hf"), task,
                 o.data, limit, batch, o.threads)


def whole_row(name, task, limit, target, more=()):
    if o.only not in name:
        return
    ours = peers = None
    inside = 0
    try:
        model("f32"), model("hf")
        for _ in range(o.whole_rounds):
            mine = assay_whole(task, limit, more)
            ours = min(ours or mine, mine)
            for batch in o.batch.split(","):
                other = lm_eval_whole(task, limit, batch)
                if not peers or other < peers:
                    peers, inside = other, json.loads(other[2].splitlines()[-1])["seconds"]
    except Failed as e:
        say(f"{name}: left out: {e}; is the data set in {o.data}?")
        return
    print(f"| {name} | {ours[0]:.2f} s, {ours[1] / 1e6:.0f} MB | {peers[0]:.1f} s ({inside:.1f} "
          f"without start-up), {peers[1] / 1e6:.0f} MB | {peers[0] / ours[0]:.1f} | {target} |",
          flush=True)


def whole_rows():
    print("\n| whole command, f32 | assay | lm-evaluation-harness | times faster | to reach |\n"
          "|---|---|---|---|---|")
    whole_row("ARC-Challenge 0-shot, 300 documents", "arc_challenge", 300, 4.5)
    whole_row("MMLU abstract_algebra 5-shot, 100 documents", "mmlu_abstract_algebra", 100, 8,
              ("--num_fewshot", 5))
    whole_row("TruthfulQA mc2, 60 documents", "truthfulqa_mc2", 60, 18)
    whole_row("GSM8K 5-shot, 10 documents, 128 new tokens", "gsm8k", 10, "",
              ("--max_gen_toks", 128))
    whole_row("first score: one ARC document", "arc_challenge", 1, "")


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


print(f"{datetime.date.today()}, {processor()}, {o.threads} threads, "
      f"SmolLM2-135M-Instruct; peers: {', '.join(PYTHON_PEERS[:3])}, llama.cpp of {'=='.join(LLAMA)}\n")
speed_rows()
whole_rows()
