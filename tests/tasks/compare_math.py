#!/usr/bin/env python3
"""Measures how often assay judges an answer to a MATH problem as lm-evaluation-harness does.

    python3 compare_math.py DUMP_VERDICTS DATA [SHOWN [SEED]]

DUMP_VERDICTS is build/tests/tasks/dump_verdicts, DATA the folder of the publishers' data sets that
the tests read; lm_eval 0.4.13 with its [math] extra must be importable. The answers are of three
kinds: what models wrote to GSM8K's problems, what they wrote to the mathematical questions of
MMLU-Pro (as it is, and with the text of the choice in place of its letter), and forms of
competition answers, right and wrong, in the ways in which models state them. Printed are the
agreement of each verdict on each kind, and the first SHOWN disagreements; SEED chooses the
answers."""
import gzip
import json
import logging
import random
import re
import subprocess
import sys

logging.disable(logging.WARNING)
from lm_eval.tasks.leaderboard.math import utils as leaderboard
from lm_eval.tasks.minerva_math import utils as minerva

# Each: answers that mean the same, then answers that do not.
FORMS = [
    (["\\frac{1}{2}", "1/2", "0.5", "\\frac12", "\\dfrac{1}{2}", "\\tfrac{2}{4}", "50\\%", ".5", "\\frac{1}{2}."], ["2", "\\frac{1}{3}", "0.51", "-\\frac{1}{2}", "5"]),
    (["\\frac{3}{7}", "3/7", "\\frac37", "\\frac{6}{14}", "0.428571", "0.42857142857"], ["0.43", "\\frac{7}{3}", "3", "0.4286"]),
    (["-\\frac{2}{3}", "-2/3", "\\frac{-2}{3}", "-\\frac23", "\\frac{2}{-3}"], ["\\frac{2}{3}", "-0.67", "-2"]),
    (["2\\sqrt{2}", "\\sqrt{8}", "2\\sqrt2", "\\frac{4}{\\sqrt{2}}", "2 \\sqrt{2}", "2\\cdot\\sqrt{2}"], ["\\sqrt{2}", "2.83", "2.828427", "8"]),
    (["12", "12.0", "12.", "+12", "\\text{12}", "12\\text{ cm}", "12\\ \\text{inches}", "\\$12", "12^\\circ", "12\\%", "12 units", "x=12", "n = 12"], ["13", "1.2", "-12", "120", "12x"]),
    (["1000", "1,000", "1{,}000", "10^3", "1\\,000"], ["100", "1,0000", "1,001"]),
    (["1234567", "1,234,567", "1{,}234{,}567", "1\\!,234\\!,567"], ["123,456", "1234568"]),
    (["(1,2)", "(1, 2)", "\\left(1,2\\right)", "(1.0,2)", "\\left( 1, 2 \\right)"], ["(2,1)", "1,2", "[1,2]", "(1,2,3)", "\\{1,2\\}", "(1,3)"]),
    (["(1,-3,\\frac{1}{2})", "(1, -3, 1/2)", "\\left(1,-3,\\frac12\\right)"], ["(1,-3,2)", "(1,3,\\frac12)"]),
    (["[2,5)", "\\left[2,5\\right)", "[2, 5)", "2 \\le x < 5", "x \\in [2,5)"], ["(2,5)", "[2,5]", "[2,6)"]),
    (["(-\\infty,1]\\cup[2,3)", "(-\\infty, 1] \\cup [2, 3)", "x \\in (-\\infty,1]\\cup[2,3)"], ["(-\\infty,1)\\cup[2,3)", "[2,3)"]),
    (["1,2,3", "1, 2, 3", "3,2,1", "\\{1,2,3\\}", "1, 2 \\text{ and } 3", "1,2, \\text{and } 3"], ["1,2", "1,2,4", "(1,2,3)"]),
    (["3,-3", "\\pm 3", "-3,3", "x = 3, x = -3", "3 \\text{ and } -3"], ["3", "-3", "9"]),
    (["x^2+2x+1", "(x+1)^2", "x^2 + 2x + 1", "1+2x+x^2", "y = x^2+2x+1", "f(x) = (x+1)^2"], ["x^2+2x", "x^2+2x-1", "(x-1)^2"]),
    (["(x-2)(x-3)", "x^2-5x+6", "(x-3)(x-2)", "(x - 2)(x - 3)"], ["(x+2)(x+3)", "x^2-5x"]),
    (["2\\pi", "2 \\pi", "\\pi\\cdot 2", "6.283185307", "2\\pi\\text{ cm}"], ["\\pi", "6.28", "4\\pi"]),
    (["\\frac{\\pi}{6}", "\\pi/6", "\\frac{1}{6}\\pi", "\\frac\\pi6"], ["\\frac{\\pi}{3}", "30", "30^\\circ"]),
    (["90^\\circ", "90", "90^{\\circ}", "90 \\text{ degrees}", "90\\text{ degrees}"], ["9", "45^\\circ", "180"]),
    (["\\text{(B)}", "(B)", "\\text{B}", "B", "\\textbf{(B)}"], ["(A)", "C", "\\text{(D)}"]),
    (["\\text{even}", "even", "\\text{ even }", "\\mbox{even}"], ["\\text{odd}", "odd", "\\text{neither}"]),
    (["\\text{Tuesday}", "Tuesday", "\\mathrm{Tuesday}"], ["\\text{Monday}", "Thursday"]),
    (["\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\left(\\begin{matrix} 1 & 2 \\\\ 3 & 4 \\end{matrix}\\right)", "\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}"], ["\\begin{pmatrix} 1 & 2 \\\\ 3 & 5 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"]),
    (["\\begin{pmatrix} 1 \\\\ -2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ -2.0 \\end{pmatrix}", "\\begin{bmatrix}1\\\\-2\\end{bmatrix}"], ["(1,-2)", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"]),
    (["1011_2", "1011_{2}", "1011"], ["1010_2", "11", "1011_3"]),
    (["3\\frac{1}{2}", "3.5", "\\frac{7}{2}", "3 \\frac12", "7/2"], ["\\frac{3}{2}", "3", "1.5"]),
    (["5!", "120", "5 \\cdot 4!"], ["5", "24", "60"]),
    (["\\binom{5}{2}", "10", "\\dbinom{5}{2}", "{5 \\choose 2}"], ["20", "5", "\\binom{5}{1}"]),
    (["2^{10}", "1024", "2^10", "4^5", "1{,}024"], ["20", "2^{9}", "1000"]),
    (["\\sqrt[3]{4}", "4^{1/3}", "4^{\\frac{1}{3}}", "2^{2/3}"], ["\\sqrt{4}", "\\sqrt[4]{3}", "1.587"]),
    (["3+4i", "4i+3", "3 + 4i", "3+4\\cdot i"], ["3-4i", "7i", "5"]),
    (["\\log_2 3", "\\log_{2}3", "\\log_2(3)", "\\frac{\\ln 3}{\\ln 2}"], ["\\log_3 2", "\\ln 3", "1.585"]),
    (["e^2", "e^{2}", "\\exp(2)"], ["e", "2e", "7.389"]),
    (["\\sin 20^\\circ", "\\sin(20^\\circ)", "\\sin{20^\\circ}"], ["\\cos 20^\\circ", "\\sin 30^\\circ"]),
    (["x > 3", "3 < x", "(3,\\infty)", "x>3"], ["x < 3", "x \\ge 3", "3"]),
    (["1 < x < 4", "(1,4)", "4 > x > 1", "1<x<4"], ["1 \\le x < 4", "(1,5)"]),
    (["y = 2x + 3", "2x+3", "y=2x+3", "y = 3 + 2x", "y - 2x = 3"], ["y = 2x", "y = 3x+2", "2x"]),
    (["x^2 + y^2 = 4", "x^2+y^2=4", "y^2 + x^2 = 4", "x^2+y^2-4=0"], ["x^2+y^2=2", "x+y=4"]),
    (["\\frac{x+1}{x-1}", "(x+1)/(x-1)", "\\frac{1+x}{x-1}", "-\\frac{x+1}{1-x}"], ["\\frac{x-1}{x+1}", "x+1"]),
    (["\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt{3}}", "\\sqrt{3}/3", "\\frac{\\sqrt3}{3}", "3^{-1/2}"], ["\\sqrt{3}", "0.577", "\\frac{\\sqrt{3}}{2}"]),
    (["10\\%", "10", "0.1", "10 percent", "\\frac{1}{10}"], ["1", "100", "0.01"]),
    (["\\$4.50", "4.5", "4.50", "\\frac{9}{2}", "4.50 dollars"], ["45", "4.05", "450"]),
    (["-1", "-1.0", "-\\frac{2}{2}", "\\cos\\pi"], ["1", "0", "-11"]),
    (["0", "0.0", "\\frac{0}{3}", "-0"], ["1", "\\emptyset", "0.1"]),
    (["\\infty", "+\\infty", "\\text{infinity}"], ["-\\infty", "0"]),
    (["\\emptyset", "\\varnothing", "\\{\\}", "\\text{no solution}"], ["0", "\\{0\\}"]),
    (["2:3", "2/3", "\\frac{2}{3}", "2 : 3"], ["3:2", "2", "1.5"]),
    (["a+b", "b+a", "a + b"], ["a-b", "ab", "a"]),
    (["\\frac{a}{b}", "a/b", "ab^{-1}", "\\frac ab"], ["\\frac{b}{a}", "ab"]),
    (["|x-1|", "|1-x|", "\\left|x-1\\right|", "\\lvert x-1\\rvert"], ["x-1", "|x+1|"]),
    (["7:30", "7:30 \\text{ p.m.}"], ["8:30", "730"]),
    (["6 + 9i", "6+9i", "9i + 6"], ["6", "9i", "6-9i"]),
    (["5\\sqrt{3}+2", "2+5\\sqrt{3}", "2 + 5\\sqrt3"], ["5\\sqrt{3}-2", "10.66"]),
    (["0.333", "0.3330"], ["\\frac{1}{3}", "0.3333", "0.33"]),
    (["1.5 \\times 10^{6}", "1500000", "1.5\\cdot 10^6", "1,500,000"], ["1.5 \\times 10^5", "15"]),
]
# How an answer is stated; %s is it.
FRAMES = [
    "Final Answer: The final answer is $%s$. I hope it is correct.",
    "We add up and get $x = 3$.\nFinal Answer: The final answer is $%s$. I hope it is correct.",
    "So the answer is $\\boxed{%s}$.", "\\boxed{%s}", "Since $a^2 = 4$ and $b = 7$, it is\n\\[\\boxed{%s}\\]", "$$\\boxed{%s}$$",
    "The answer is $%s$.", "Therefore, the final answer is: $\\boxed{%s}$.", "Adding $2$ to both sides, $%s$", "It is \\(%s\\).",
    "Answer: $%s$", "The answer is %s.", "**Answer:** %s", "%s", "Thus we have $y = 4$, and so \\[ %s \\]", "The final answer is %s", "= %s",
    "Let $n = 5$. Then $2n = 10$.\n\nThe final answer is \\boxed{%s}. I hope it is correct.", "the result equals $%s$ as $5 > 4$",
]
GOLD_FRAMES = ["Adding both sides gives $2 + 3 = 5$, so it is $\\boxed{%s}$.", "Therefore, $$x+y = 10.$$ We get $\\boxed{%s}$."]


def forms(rng):
    for right, wrong in FORMS:
        for answer in right + wrong:
            for _ in range(5):
                gold = right[0] if rng.random() < 0.8 else rng.choice(right)
                yield rng.choice(FRAMES) % answer, rng.choice(GOLD_FRAMES) % gold


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def gsm8k(rng, data):
    for r in rng.sample(lines(data + "/gsm8k/example_model_solutions.jsonl.gz"), 150):
        gold = r["ground_truth"].split("A:")[-1].strip()
        for name in ("6b_finetuning", "175b_verification"):
            yield re.sub("<<.*?>>", "", r[name]["solution"]), f"It is $\\boxed{{{gold}}}$."


def mmlu_pro(rng, data):
    questions = {q["question_id"]: q for q in lines(data + "/mmlu_pro/test.jsonl.gz") if q["category"] == "math"}
    for model in ("Meta-Llama-3_1-70B-Instruct", "Meta-Llama-3_1-8B-Instruct", "Mistral-7B-Instruct-v0.2"):
        rows = [r for r in lines(f"{data}/mmlu_pro/model_outputs/{model}.jsonl.gz") if r["question_id"] in questions]
        for r in rng.sample(rows, 200):
            q = questions[r["question_id"]]
            bare = [o.strip().strip("$") for o in q["options"]]
            text = r["output"]
            if rng.random() < 0.7:
                text = re.sub(r"\(([A-J])\)", lambda m: bare[ord(m[1]) - 65] if ord(m[1]) - 65 < len(bare) else m[0], text)
            yield text, f"It is $\\boxed{{{bare[q['answer_index']]}}}$."


def theirs(answer, solution):
    """exact_match_original and exact_match of the leaderboard; exact_match and math_verify of Minerva."""
    doc = {"solution": solution, "answer": leaderboard.remove_boxed(leaderboard.last_boxed_only_string(solution))}
    first = leaderboard.process_results(doc, [answer])
    doc["answer"] = minerva.normalize_final_answer(doc["answer"])
    second = minerva.process_results(doc, [answer])
    return [int(first["exact_match_original"] or 0), first["exact_match"], second["exact_match"], second["math_verify"]]


VERDICTS = ["exact_match_original of leaderboard_math", "exact_match of leaderboard_math", "exact_match of minerva_math", "math_verify of minerva_math"]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    tool, data, shown = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20
    rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 6)
    kinds = {"GSM8K": list(gsm8k(rng, data)), "MMLU-Pro": list(mmlu_pro(rng, data)), "forms": list(forms(rng))}
    pairs = [(kind, a, s) for kind, rows in kinds.items() for a, s in rows]
    text = "".join(json.dumps({"answer": a, "solution": s}) + "\n" for _, a, s in pairs)
    ours = [json.loads(line)[:4] for line in subprocess.run([tool, "math"], input=text, capture_output=True, text=True, check=True).stdout.splitlines()]
    counts, bad = {}, []
    for (kind, a, s), got in zip(pairs, ours):
        want = theirs(a, s)
        for k, name in enumerate(VERDICTS):
            n = counts.setdefault((kind, name), [0, 0, 0])
            n[0] += 1
            n[1] += want[k]
            n[2] += want[k] == got[k]
        if want != got:
            bad.append({"kind": kind, "answer": a, "solution": s, "theirs": want, "ours": got})
    for (kind, name), (n, right, same) in counts.items():
        print(f"{kind}, {name}: {n} answers, {right} right there, the same verdict on {same} ({100 * same / n:.1f} %)")
    for b in bad[:shown]:
        print(json.dumps(b, ensure_ascii=False))


main()
