#!/usr/bin/env python3
"""Adds up what meson's test logs hold: summary.py FAILED_BEFORE LOG.json... Prints what failed and
what was skipped and why, then "N passed, N failed" (and ", N skipped"); exits 1 when anything
failed."""
import json
import sys

passed, failed, skipped = 0, int(sys.argv[1]), 0
for line in (line for path in sys.argv[2:] for line in open(path, encoding="utf-8")):
    test = json.loads(line)
    name, lines = test["name"], (test.get("stdout") or "").splitlines()
    n_failed = 0
    for text in lines:
        if text.startswith("not ok"):
            n_failed += 1
            print(f"failed: {name}: {text}")
        elif text.startswith("ok"):
            if "# SKIP" in text:
                skipped += 1
                print(f"skipped: {name}: {text}")
            else:
                passed += 1
    if test["result"] not in ("OK", "SKIP") and n_failed == 0:
        n_failed = 1  # a crash, a time-out, a sanitizer's report
        print(f"failed: {name}: {test['result']}")
    failed += n_failed
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed else 0)
