#!/bin/sh
# run.sh: installs what the tests need, builds with warnings as errors and with sanitizers, and
# runs every test. The last line is "N passed, N failed". Folders: build-test (sanitizers).
set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh
install_packages $build_packages $run_packages $test_packages
sh tools/fetch.sh || echo "The tests of the real model will be skipped." >&2

failed_checks=0
check() { # check NAME COMMAND...
    name=$1
    shift
    if "$@"; then echo "ok - $name"; else echo "not ok - $name" && failed_checks=$((failed_checks + 1)); fi
}
formatted() { git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror; }
[ ! -d .git ] && [ ! -f .git ] || check "clang-format" formatted

export CC="${CC:-ccache gcc}"
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
[ -f build-test/build.ninja ] || meson setup build-test --buildtype=debugoptimized --werror \
    -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
ninja -C build-test -j 2 | tail -n 3
meson test -C build-test --no-rebuild --num-processes 2 --print-errorlogs || true
python3 tests/summary.py build-test/meson-logs/testlog.json "$failed_checks"
