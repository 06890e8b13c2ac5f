#!/bin/sh
# run.sh: installs what the tests need, builds with warnings as errors and with sanitizers, and
# runs every test. The last line is "N passed, N failed", with ", N skipped" where some were.
# Builds in build-test (address and undefined behaviour), build-tsan (threads) and build-plain.
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
formatted() { git ls-files '*.c' '*.h' '*.cc' '*.cu' | xargs clang-format --dry-run -Werror; }
[ ! -e .git ] || check "clang-format" formatted
[ ! -x ../shared/tools/floors ] || check "floors" ../shared/tools/floors

export CC="${CC:-ccache gcc}"
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1

# CUDA's kernels run on this processor; that takes the toolkit's headers.
cuda=host
[ -f /usr/local/cuda/include/cuda_fp8.h ] || {
    cuda=disabled
    echo "The CUDA kernels will not be tested: there is no toolkit in /usr/local/cuda." >&2
}

# build_with FOLDER SANITIZERS [TARGET...]
build_with() {
    folder=$1 sanitizers=$2
    shift 2
    [ -f "$folder/build.ninja" ] || meson setup "$folder" --buildtype=debugoptimized --werror \
        -Db_sanitize="$sanitizers" -Db_lundef=false -Dcuda="$cuda" >/dev/null
    ninja -C "$folder" -j 2 "$@" >"$folder/build.log" || {
        tail -n 40 "$folder/build.log"
        exit 1
    }
}

build_with build-test address,undefined
meson test -C build-test --no-rebuild --num-processes 2 --print-errorlogs || true

# What runs in several threads, once more under ThreadSanitizer.
build_with build-tsan thread assay tests/backends/make_tiny_model tests/base/test_core \
    tests/harness/test_harness
meson test -C build-tsan --no-rebuild --num-processes 2 --print-errorlogs core harness \
    cli_resume || true

# What sanitizers would falsify or make too slow: memory, the real model.
build_with build-plain none assay tests/backends/make_tiny_model tests/backends/test_exact \
    tests/kernels/test_kernels
meson test -C build-plain --no-rebuild --num-processes 2 --print-errorlogs kernels kernels_cuda exact \
    cli_memory cli_smollm2 || true

python3 tests/summary.py "$failed_checks" build-test/meson-logs/testlog.json \
    build-tsan/meson-logs/testlog.json build-plain/meson-logs/testlog.json
