# Prompts that are longer than the context lose their beginning, and the table says how many did.
. "$source/tests/cli/lib.sh"
make_tasks 4
"$make_tiny_model" hf-f32 tiny
for length in 256 24; do
    echo "a context of $length"
    "$assay" run -q -m tiny,max_length=$length,name=m$length --db t.db --include_path tasks -t colors,say |
        grep 'too long'
done
sqlite3 t.db "select m.label, t.name, count(distinct s.id) from requests r join samples s on s.id = r.sample
    join evaluations e on e.id = s.evaluation join models m on m.id = e.model join tasks t on t.id = e.task
    where r.n_truncated > 0 group by 1, 2"
echo "stored before, and said again"
"$assay" run -q -m tiny,max_length=24,name=m24 --db t.db --include_path tasks -t say | grep 'too long'
