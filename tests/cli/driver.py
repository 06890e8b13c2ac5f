#!/usr/bin/env python3
"""Holds the program to its words: driver.py [--update] SCRIPT.sh

Runs the script with `sh -u` in an empty folder and compares what it prints with SCRIPT.out and
SCRIPT.err and its exit code with SCRIPT.exit (absent: nothing, nothing, 0). --update writes them
anew: read the difference before you commit it. In the scripts, $assay is the program,
$make_tiny_model writes tiny models, $source is the repository, $shared the reference data. Lines
that vary are for the script to filter. A script that prints "SKIP: reason" and exits 77 is skipped,
with the reason. Prints TAP."""
import difflib
import os
import pathlib
import subprocess
import sys
import tempfile

update = sys.argv[1] == "--update"
script = pathlib.Path(sys.argv[-1]).resolve()
env = dict(os.environ, assay=os.environ["ASSAY_PROGRAM"],
           make_tiny_model=os.environ["ASSAY_MAKE_TINY_MODEL"],
           source=os.environ["ASSAY_SOURCE"], shared=os.environ["ASSAY_SHARED"],
           TERM="dumb", LC_ALL="C.UTF-8")
with tempfile.TemporaryDirectory(prefix="assay_cli_") as folder:
    env["TMPDIR"] = folder
    run = subprocess.run(["sh", "-u", str(script)], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                         capture_output=True, timeout=600)
    got = {".out": run.stdout.decode(errors="replace").replace(folder, "DIR"),
           ".err": run.stderr.decode(errors="replace").replace(folder, "DIR"),
           ".exit": f"{run.returncode}\n"}

print("1..1")
if run.returncode == 77 and "SKIP:" in got[".out"]:
    print(f"ok 1 - {script.stem} # SKIP {got['.out'].split('SKIP:')[1].strip().splitlines()[0]}")
    sys.exit(0)
bad = False
for suffix, default in ((".out", ""), (".err", ""), (".exit", "0\n")):
    path = script.with_suffix(suffix)
    want = path.read_text() if path.exists() else default
    if got[suffix] == want:
        continue
    if update:
        path.write_text(got[suffix]) if got[suffix] != default else path.unlink(missing_ok=True)
        continue
    bad = True
    for line in difflib.unified_diff(want.splitlines(), got[suffix].splitlines(),
                                     f"{script.stem}{suffix} (wanted)", "(got)", lineterm=""):
        print("# " + line)
print(f"{'not ok' if bad else 'ok'} 1 - {script.stem}")
sys.exit(bad)
