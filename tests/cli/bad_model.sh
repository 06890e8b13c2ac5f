# A model that cannot be used: one sentence, exit code 3, and no store is left behind.
. "$source/tests/cli/lib.sh"
make_tasks 3
model() { try run -q -m $1 --include_path tasks -t colors --limit 1; }

model nowhere.gguf
model nowhere/model
mkdir empty
model empty
echo "once upon a time" >text.gguf
model text.gguf
model tasks/colors.yaml
: >nothing.gguf
model nothing.gguf

# GGUF files, cut and bent
"$make_tiny_model" gguf-f16 good.gguf
for n in 3 20 200 3000 20000 91000; do
    head -c $n good.gguf >cut$n.gguf
    model cut$n.gguf
done
python3 - <<'P'
import re, struct
good = open("good.gguf", "rb").read()
def write(name, data): open(name, "wb").write(data)
write("magic.gguf", b"GGML" + good[4:])
write("version.gguf", good[:4] + struct.pack("<I", 9) + good[8:])
write("bigendian.gguf", good[:4] + struct.pack(">I", 3) + good[8:])
write("tensors.gguf", good[:8] + struct.pack("<Q", 1 << 60) + good[16:])
write("keys.gguf", good[:16] + struct.pack("<Q", 1 << 60) + good[24:])
at = good.index(b"general.architecture") + len("general.architecture") + 4 + 8
write("mamba.gguf", good[:at] + b"mamba" + good[at + 5:])
# a tensor's name, number of sizes, sizes, type, offset
at = good.index(b"blk.1.ffn_up.weight") + len("blk.1.ffn_up.weight")
n = struct.unpack_from("<I", good, at)[0]
offset = at + 4 + 8 * n + 4
write("outside.gguf", good[:offset] + struct.pack("<Q", 1 << 40) + good[offset + 8:])
write("overflow.gguf", good[:offset] + struct.pack("<Q", (1 << 64) - 32) + good[offset + 8:])
write("huge.gguf", good[:at + 4] + struct.pack("<QQ", 1 << 62, 1 << 62) + good[at + 20:])
write("type.gguf", good[:offset - 4] + struct.pack("<I", 99) + good[offset:])
write("missing.gguf", good.replace(b"blk.1.ffn_up.weight", b"blk.1.ffn_oops.weig"))
P
for name in magic version bigendian tensors keys mamba outside overflow huge type missing; do
    model $name.gguf
done

# folders, with one thing wrong in each
"$make_tiny_model" hf-f32 good
bend() { # bend NAME FILE PYTHON: a copy of the folder, with FILE's bytes `b` changed
    cp -r good $1
    python3 -c "
import json, re, struct, sys
b = open('$1/$2', 'rb').read()
$3
open('$1/$2', 'wb').write(b)"
    model $1
}
bend json config.json 'b = b[:-1].rstrip().rstrip(b"}") + b"\n \"x\": }"'
bend notdict config.json 'b = b"[1]"'
bend arch config.json 'b = b.replace(b"LlamaForCausalLM", b"MambaForCausalLM").replace(b"\"llama\"", b"\"mamba\"")'
bend heads config.json 'b = re.sub(rb"(\"num_attention_heads\": *)\d+", rb"\g<1>0", b)'
bend layers config.json 'b = re.sub(rb"(\"num_hidden_layers\": *)\d+", rb"\g<1>5", b)'
bend text config.json 'b = re.sub(rb"(\"hidden_size\": *)\d+", rb"\g<1>" + b"\"wide\"", b)'
bend tokens tokenizer.json 'b = b.replace(b":", b"=", 1)'
bend kind tokenizer.json 'b = b.replace(b"\"BPE\"", b"\"Unigram\"")'
bend header model.safetensors 'b = b[:8] + b"x" + b[9:]'
bend length model.safetensors 'b = struct.pack("<Q", 1 << 50) + b[8:]'
bend cut model.safetensors 'b = b[:100000]'
bend beyond model.safetensors '
n = struct.unpack("<Q", b[:8])[0]
h = json.loads(b[8:8 + n])
h[sorted(h)[-1]]["data_offsets"] = [1 << 40, (1 << 40) + 256]
t = json.dumps(h).encode()
b = struct.pack("<Q", len(t)) + t + b[8 + n:]'
bend dtype model.safetensors 'b = b.replace(b"\"F32\"", b"\"F99\"", 1)'
for file in config.json tokenizer.json model.safetensors; do
    cp -r good without
    rm without/$file
    model without
    rm -r without
done
"$make_tiny_model" hf-sharded sharded
rm sharded/model-00002-of-*.safetensors
model sharded
ls *.db 2>/dev/null || echo "no store is left"
