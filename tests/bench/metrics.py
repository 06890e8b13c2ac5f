#!/usr/bin/env python3
"""How many times faster our text metrics are than the Python packages that define them.

    tests/bench/metrics.py [--python PATH] [--program build/tests/bench/bench_metrics] [--rounds N]

Both sides score the same pairs of texts on one thread, in turns; of each side the quickest round
counts. PATH is a Python that has rouge_score 0.1.2 and sacrebleu 2.6.0; without it a throw-away
environment is made with pip. The sums of all scores must agree. Exit code 1: some metric is less
than 30 times as fast, or differs."""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
METRICS = ["rouge", "rouge, stemmed", "bleu", "chrf", "chrf++", "ter", "squad"]
FACTOR = 30


def made_pairs(n):
    """Answers as models give them, of one to a hundred words: a target, and what a worse model made
    of it, with words lost, replaced, moved and inflected."""
    rnd = random.Random(1)
    stems = ["".join(rnd.choice("bcdfglmnprst") + rnd.choice("aeiou") for _ in range(rnd.randint(1, 3)))
             for _ in range(600)]
    endings = ["", "", "", "s", "ed", "ing", "tion", "ness", "ly", "ational"]
    common = "the of and to in a is that for it as was with be by on not he his but at are this".split()

    def word():
        kind = rnd.random()
        if kind < 0.45:
            return rnd.choice(common)
        if kind < 0.5:
            return rnd.choice(["42", "3.5%", "$1,200", "2026", "(see", "below)", "\u2013", "na\u00efve"])
        return stems[min(int(rnd.expovariate(1 / 60)), 599)] + rnd.choice(endings)

    def sentence():
        words = [word() for _ in range(rnd.randint(4, 22))]
        if len(words) > 8:
            words[len(words) // 2] += ","
        return " ".join(words).capitalize() + "."

    def worse(text):
        words = []
        for w in text.split(" "):
            kind = rnd.random()
            words += [] if kind < 0.08 else [word()] if kind < 0.2 else [w, w] if kind < 0.23 else [w]
        if len(words) > 6:
            i, j = sorted(rnd.sample(range(len(words)), 2))
            words[i:j] = words[i:j][1:] + words[i:j][:1]
        return " ".join(words)

    pairs = []
    for _ in range(n):
        target = rnd.choice([" ", "\n"]).join(sentence() for _ in range(rnd.choice([1, 1, 2, 3, 5])))
        pairs.append({"target": target, "prediction": worse(target)})
    return pairs


class Side:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, metric):
        self.process.stdin.write(metric + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            sys.exit(f"bench: {self.process.args[0]} gave no answer for \"{metric}\"")
        return float(answer[0]), float(answer[1])


def reference_python(folder):
    print("installing rouge_score and sacrebleu into a throw-away environment ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "rouge_score==0.1.2", "sacrebleu==2.6.0"],
                   check=True)
    return python


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python")
    parser.add_argument("--program", default=HERE.parent.parent / "build/tests/bench/bench_metrics")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=200)
    options = parser.parse_args()
    bad = False
    with tempfile.TemporaryDirectory(prefix="assay_bench_") as folder:
        folder = pathlib.Path(folder)
        path = folder / "pairs.jsonl"
        path.write_text("".join(json.dumps(p) + "\n" for p in made_pairs(options.pairs)))
        python = options.python or reference_python(folder)
        ours = Side([options.program, path])
        theirs = Side([python, HERE / "metrics_reference.py", path])
        print(f"{'':16}{'Python':>12}{'assay':>12}{'':>10}  microseconds a pair, one thread, "
              f"the quickest of {options.rounds} rounds")
        for metric in METRICS:
            rounds = [(theirs.ask(metric), ours.ask(metric)) for _ in range(options.rounds)]
            slow, fast = (min(r[side][0] for r in rounds) / options.pairs for side in (0, 1))
            their_sum, our_sum = rounds[0][0][1], rounds[0][1][1]
            agree = abs(their_sum - our_sum) <= 1e-9 * max(1, abs(their_sum)) * options.pairs
            verdict = "" if agree else f"  the sums differ: {their_sum!r}, {our_sum!r}"
            if slow / fast < FACTOR:
                verdict += f"  less than {FACTOR} times"
            bad = bad or bool(verdict)
            print(f"{metric:16}{slow * 1e6:12.1f}{fast * 1e6:12.2f}{slow / fast:9.0f}x{verdict}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
