# Progress: plain lines when stderr is no terminal, one line drawn again on a terminal, never wider
# than it, colour only where it is wanted, nothing with -q; results on stdout in any case.
. "$source/tests/cli/lib.sh"
make_tasks 400
"$make_tiny_model" hf-f32 tiny
cat >terminal.py <<'P'
"""terminal.py COLUMNS COMMAND...: runs it with stderr on a terminal, prints what was drawn."""
import fcntl, os, pty, re, struct, subprocess, sys, termios
here, there = pty.openpty()
fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=there, stdin=subprocess.DEVNULL)
os.close(there)
seen = b""
try:
    while part := os.read(here, 65536):
        seen += part
except OSError:
    pass
child.wait()
text = seen.decode()
drawn = [d for d in re.split(r"\r", text) if d.endswith("\x1b[K") and d != "\x1b[K"]
plain = [re.sub(r"\x1b\[[0-9]*[mK]", "", d) for d in drawn]
print("drawn again:", len(drawn) > 1, "| newlines before the end:", text.count("\n") - 1)
print("colour:", "\x1b[1m" in text, "| fits the terminal:", max(map(len, plain), default=0) < int(sys.argv[1]))
full = r"tiny  \d+/800 \(\d+%\)  \d+ tok/s  [\d.]+ eval/s  ETA \d+:\d\d  (colors acc|say exact_match) [\d.]+"
print("whole:", any(re.match(full, p) for p in plain))
print("last:", re.sub(r"[\d.]+ s, \d+ tok/s; \d+ of (.*)waited .*", r"T s, R tok/s; N of \1waited T s", text.split("\x1b[K")[-1].strip()))
P
draw() { # draw COLUMNS NAME ENVIRONMENT...
    columns=$1 name=$2
    shift 2
    rm -f assay.db
    python3 terminal.py $columns env "$@" "$assay" run -m "tiny,name=$name" --include_path tasks -t colors,say
}
draw 120 tiny TERM=xterm
draw 40 tiny TERM=xterm NO_COLOR=1
draw 60 a-name-that-leaves-little-room-for-all-the-numbers TERM=xterm
draw 60 ünïcödé-ünïcödé-ünïcödé-ünïcödé-ünïcödé-ünïcödé-ünïcödé-ünïcödé TERM=xterm
draw 120 tiny TERM=dumb | sed -n 1,2p

# no terminal: the summary only, since ten seconds do not pass
rm -f assay.db
"$assay" run -m tiny --include_path tasks -t colors --limit 20 2>err >out
sed -E 's/[0-9.]+ s, [0-9]+ tok.s; [0-9]+ of/T s, R tok\/s; N of/; s/waited [0-9.]+/waited T/' err
grep -c "$(printf '\033')" err out
"$assay" run -m tiny --include_path tasks -t colors --limit 20 2>&1 >/dev/null
"$assay" run -m tiny --include_path tasks -t colors --limit 40 -q 2>&1 >/dev/null
