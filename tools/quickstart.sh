#!/bin/sh
# quickstart.sh: from a fresh Debian 12 to a comparison of two variants of a real model.
# Installs what is missing, builds, fetches model and samples, runs, compares and reports.
set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh
install_packages $build_packages $run_packages
export CC="${CC:-ccache gcc}"
[ -f build/build.ninja ] || meson setup build >/dev/null
ninja -C build -j "$(nproc)" assay | tail -n 1
sh tools/fetch.sh

model=${XDG_CACHE_HOME:-$HOME/.cache}/assay/models/SmolLM2-135M-Instruct.Q4_1.gguf
variants="-m $model,name=SmolLM2-Q4_1 -m $model,quant=q8_0,name=SmolLM2-Q8_0"
build/assay run $variants -t hellaswag,truthfulqa_mc1 --limit 100 --db quickstart.db
build/assay run $variants -t gsm8k --limit 12 --max_gen_toks 256 --db quickstart.db
# Where bubblewrap cannot start (in some containers) this refuses and says why; the rest stands.
build/assay run $variants -t humaneval --limit 24 --max_gen_toks 256 --db quickstart.db ||
    [ $? -eq 3 ] || exit
echo
build/assay compare SmolLM2-Q4_1 SmolLM2-Q8_0 --db quickstart.db
build/assay report --html report.html --csv scores.csv --db quickstart.db
echo "See report.html and scores.csv; ask quickstart.db whatever else you like (README.md)."
