# A quantized model as a folder: what is written answers as what is computed in place, and what
# cannot be written is said before anything is there.
. "$source/tests/cli/lib.sh"
make_tasks 4
"$make_tiny_model" hf-bf16 tiny
"$make_tiny_model" gguf-f32 tiny.gguf
i=0
while [ $i -lt 60 ]; do
    echo "{\"text\": \"The and was there, and thing $i was then another thing.\", \"n\": $i}"
    i=$((i + 1))
done >learn.jsonl
learnt="calib=learn.jsonl calib_samples=4 calib_length=32"

try quantize tiny -o out quant=w4a16 group_size=32 method=gptq $learnt -q |
    sed -E 's/ in [0-9]* s$//; s/ 0\.0[0-9]{4} / ERROR /'
ls out
grep -c '"format": "pack-quantized"' out/config.json
common="-q --include_path tasks -t colors,tell --db t.db"
"$assay" run $common -m out,name=loaded >/dev/null
"$assay" run $common -m "tiny,name=computed,quant=w4a16,group_size=32,method=gptq,$(echo $learnt | tr ' ' ,)" >/dev/null
sqlite3 t.db "select count(*), count(distinct logprob) from requests"
sqlite3 t.db "select quant from models" | sed 's/text=[0-9a-f]*/text=HASH/'

try quantize
try quantize tiny
try quantize tiny -o out quant=w8a8-int
try quantize tiny -o new
try quantize tiny -o new quant=q4_0
try quantize tiny -o new quant=w4a16
try quantize tiny -o new quant=w4a16 method=gptq group_size=32
try quantize tiny -o new quant=w4a16 method=gptq group_size=32 calib=nowhere.txt
try quantize tiny -o new quant=w4a16 method=gptq group_size=32 calib=learn.jsonl calib_length=200000
try quantize tiny.gguf -o new quant=w8a8-int
try quantize out -o new quant=w8a8-int
ls -d new* 2>/dev/null || echo "nothing was written"
