# `assay bench offline` prints every workload that the model's context takes, with rates above zero.
. "$source/tests/cli/lib.sh"
"$make_tiny_model" hf-bf16 tiny
try bench
try bench online -m tiny
try bench offline
try bench offline -m tiny --repeat 0
try bench offline -m nowhere
try bench offline -m tiny --workload sleep
"$assay" bench offline -m tiny -m tiny,name=again,quant=q8_0 --repeat 1 --json >rows 2>notes
sed 's/^/! /' notes
python3 - <<'P'
import json
for row in json.load(open("rows")):
    print(row["model"], row["workload"], row["tokens/s"] > 0, row["gflop/s"] >= 0,
          row["% of peak"] is not None, type(row["gb/s"]).__name__, sep=", ")
P
"$assay" bench offline -m tiny --repeat 1 2>/dev/null | sed 's/[0-9][0-9.]*/N/g; s/  */ /g; s/-[-]*/-/g'
