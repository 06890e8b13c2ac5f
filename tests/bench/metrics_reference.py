"""The Python packages' half of the metrics' benchmark; metrics.py asks it, in an environment that
has rouge_score and sacrebleu. Lines as of bench_metrics: "SECONDS SUM" for each name on stdin."""
import collections
import json
import logging
import re
import string
import sys
import time

from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF, TER

logging.disable(logging.WARNING)
with open(sys.argv[1], encoding="utf-8") as f:
    pairs = [(row["target"], row["prediction"]) for row in map(json.loads, f)]


def rouge(stem):
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=stem)
    return lambda target, prediction: sum(
        s.fmeasure for s in scorer.score(target, prediction).values())


def sentences(metric):
    return lambda target, prediction: metric.sentence_score(prediction, [target]).score


def normal(text):
    """As the script that SQuAD's authors publish: four steps, one after the other."""
    text = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(prediction, gold):
    p, g = normal(prediction).split(), normal(gold).split()
    same = sum((collections.Counter(p) & collections.Counter(g)).values())
    if same == 0:
        return 0
    return 2 * (same / len(p)) * (same / len(g)) / (same / len(p) + same / len(g))


def squad(target, prediction):
    return (normal(prediction) == normal(target)) + f1(prediction, target)


scores = {
    "rouge": rouge(False),
    "rouge, stemmed": rouge(True),
    "bleu": sentences(BLEU(effective_order=True)),
    "chrf": sentences(CHRF()),
    "chrf++": sentences(CHRF(word_order=2)),
    "ter": sentences(TER()),
    "squad": squad,
}


def forget():
    """sacrebleu keeps the words of texts it has seen; a second round would find them there."""
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("sacrebleu.tokenizers"):
            continue
        for thing in vars(module).values():
            clear = getattr(getattr(thing, "__call__", None), "cache_clear", None)
            if clear:
                clear()


for line in sys.stdin:
    score = scores[line.strip()]
    forget()
    start = time.thread_time()
    total = sum(score(target, prediction) for target, prediction in pairs)
    print(f"{time.thread_time() - start:.9f} {total!r}", flush=True)
