# The line of progress on a terminal: never wider than it, and without colors where NO_COLOR says.
. "$source/tests/cli/lib.sh"
make_tasks 20
"$make_tiny_model" hf-f32 tiny
cat >watch.py <<'P'
"""watch.py WIDTH COMMAND...: runs it on a terminal and says what its progress was like."""
import fcntl, os, pty, re, struct, sys, termios

width = int(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
got = b""
try:
    while part := os.read(fd, 65536):
        got += part
except OSError:
    pass
drawn = [line.split("\n")[0] for line in got.decode().split("\r") if line.endswith("\033[K")]
plain = [re.sub(r"\033\[[0-9;]*[A-Za-z]", "", line) for line in drawn]
colored = any("\033[1m" in line for line in drawn)
print(f"drawn: {bool(drawn)}, fits: {max(map(len, plain)) < width}, colors: {colored}")
P
watch() {
    python3 watch.py "$1" "$assay" run --db "$2.db" --include_path tasks -t colors,say -m "tiny,name=$2"
}
watch 120 short
NO_COLOR=1 watch 120 short-without-colors
watch 60 a-name-that-leaves-little-room-for-all-the-numbers
watch 60 ünïcödé-ünïcödé-ünïcödé-ünïcödé-ünïcödé-ünïcödé-ünïcödé-ünïcödé
