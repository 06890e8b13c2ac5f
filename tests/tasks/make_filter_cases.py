#!/usr/bin/env python3
"""Writes filter_cases.h: what lm-evaluation-harness' own filters make of random answers.

    python3 make_filter_cases.py [CASES [SEED]] >filter_cases.h

needs lm_eval 0.4.13. A row is {steps, document, answers, result}, each as JSON."""
import json
import random
import sys

from lm_eval.filters import build_filter_ensemble

rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 6)
CHOICES = [["red", "dark red", "blue"], ["Guilty", "Guilty of Romance", "a+b (c)"], ["No.", "Yes, it is", ""],
           ["it's", "It's", "\u00c9t\u00e9"], ["same", "same"]]
WORDS = ["the answer is (B)", "Answer: C", "(A)", ": B", ":\n  A", "red", "Dark Red!", "dark red", "blue", "guilty of romance",
         "a+b (c)", "#### 1,234.5", "#### -7", "$12.50", "42", "yes, it is", "\u00c9T\u00c9", "\u00e9t\u00e9", "it\u2019s",
         "same", "\u2014", "\n", "  ", "[invalid]", "None", "person : Ann", "PERSON: ann, bob$$location: none, Rome", "Date: 1999",
         "[('Der', 'DET'), ('Hund', 'NOUN')]", "('it''s', 'X')", "Time flies: org", "per:x$$", "company:none"]
PATTERNS = [r"#### (\-?[0-9\.\,]+)", r"(-?[$0-9.,]{2,})|(-?[0-9]+)", r"answer is \(?([A-C])\)?", r"\(([A-C])\)", r"[a-z]*",
            r"(?i)(red|blue)", r"(?<=the answer is )(.*)(?=.)", r"\b(\w+)\b\s*$", r"(x)?(y)?", r"\d+|", r"([A-Z])(\S*)"]


def answer():
    return rng.choice([" ", "", ", "]).join(rng.choice(WORDS) for _ in range(rng.randrange(0, 5)))


def regex(**more):
    step = {"function": "regex"}
    if rng.random() < 0.9:
        step["regex_pattern"] = rng.choice(PATTERNS)
    if rng.random() < 0.3:
        step["group_select"] = rng.choice([0, -1, -1, 1])
    if rng.random() < 0.2:
        step["fallback"] = rng.choice(["", " none ", "0"])
    return dict(step, **more)


def multi_choice():
    step = regex(function="multi_choice_regex")
    for flag in ("ignore_case", "ignore_punctuation"):
        if rng.random() < 0.5:
            step[flag] = rng.random() < 0.8
    if rng.random() < 0.3:
        step["regexes_to_ignore"] = rng.sample([r"\s+", r"[()]", r"(?i)the ", r"^\W*"], rng.randrange(0, 3))
    return step


def step():
    return rng.choice([regex, multi_choice, multi_choice, lambda: {"function": "format_span"},
                       lambda: {"function": "regex_pos"}, lambda: {"function": "remove_whitespace"},
                       lambda: {"function": "lowercase"}, lambda: {"function": "uppercase"},
                       lambda: {"function": "map", "mapping_dict": {"(A)": "a", "red": "r", "42": 42}, "default_value": "?"}])()


def case():
    steps = [step() for _ in range(rng.choice([1, 1, 2, 3]))]
    if rng.random() < 0.6:
        steps.append(rng.choice([{"function": "take_first"}, {"function": "majority_vote"},
                                 {"function": "take_first_k", "k": 2}]))
    doc = {"choices": rng.choice(CHOICES)}
    answers = [answer() for _ in range(rng.randrange(2, 5))]
    pipeline = [(s["function"], {k: v for k, v in s.items() if k != "function"}) for s in steps]
    resps = [answers]
    try:
        for f in build_filter_ensemble("f", pipeline).filters:
            resps = list(f().apply(resps, [doc]))
    except (IndexError, AttributeError, TypeError, ValueError):
        return None  # what ends lm-evaluation-harness is for the other tests
    return steps, doc, answers, resps[0]


def literal(value):
    text = json.dumps(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("??", '?" "?') + '"'


print("/* clang-format off */")
wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 120
while wanted:
    c = case()
    if c:
        print("{" + ", ".join(literal(v) for v in c) + "},")
        wanted -= 1
