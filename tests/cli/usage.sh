# Slips of the keyboard: one sentence on stderr, the nearest spelling, exit code 2, nothing written.
. "$source/tests/cli/lib.sh"
make_tasks 3
"$make_tiny_model" hf-f32 tiny
ls >before

try
try runn
try --versio
try run
try run -m tiny
try run x
try run -m
try run --model
try run -m tiny -t
try run -z
try run -m tiny -t colors --num_fewshots 3
try run -m tiny -t colors --apply-chat-templat
try run -m tiny -t colors --limit many
try run -m tiny -t colors --limit -3
try run -m tiny -t colors --limit 1.5
try run -m tiny -t colors --num_fewshot two
try run -m tiny -t colors --num_fewshot -3
try run -m tiny -t colors --threads -2
try run -m tiny -t colors --bootstrap_iters -1
try run -m tiny -t colors --kv-memory 2Q
try run -m tiny -t colors --apply_chat_template=maybe
try run -m tiny -t arc_esay
try run -m tiny -t colours --include_path tasks
try run -m tiny -t tasks/nowhere.yaml
try run -m tiny -t ,
try run -m tiny -t colors --include_path nowhere
try run -m tiny,dtyp=f32 -t colors --include_path tasks
try run -m tiny,dtype=f31 -t colors --include_path tasks
try run -m tiny,quant=q9_0 -t colors --include_path tasks
try run -m tiny,max_length=long -t colors --include_path tasks
try run -m tiny,max_length=0 -t colors --include_path tasks
try run -m ,name=x -t colors --include_path tasks
try compare a
try compare a b c
try report
try report --html
try ls everything
try show
try show colors three
try show colors 0 -m a -m b -m c
try score
try score -t colors -r

try run -m a.gguf -m b/a.gguf -t arc_easy
try run -m good.gguf -m a.gguf,dtpe=f32 -t arc_easy

ls | cmp before - && echo "nothing was written"
