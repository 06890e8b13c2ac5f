# A full disk stops a run with a sentence; what was stored is whole; with room made, the same
# command goes on.
. "$source/tests/cli/lib.sh"
make_tasks 300
"$make_tiny_model" hf-f32 tiny
tasks="--include_path tasks -t colors,say"
"$assay" run -q -m tiny --db whole.db $tasks >whole.txt

# fill LIMIT: a run whose files may not grow beyond LIMIT blocks of 1 KiB (as on a full disk, but
# told as "File too large")
fill() {
    (
        ulimit -f $1
        trap '' XFSZ
        "$assay" run -q -m tiny --db t.db $tasks >t.txt 2>err
    )
    code=$?
    sed -E 's/[0-9]{3,}/N/g' err
    echo "exit $code"
}
fill 8 # not even an empty store
ls t.db* 2>/dev/null
fill 2000
echo "$(sqlite3 t.db 'pragma integrity_check'), $(($(rows samples) > 0)), $(($(rows samples) < 600))"
"$assay" run -q -m tiny --db t.db $tasks >t.txt
cmp whole.txt t.txt && echo "the same table"

# a disk that is full indeed, where a small one may be mounted
mkdir disk
if mount -t tmpfs -o size=600k tmpfs disk 2>/dev/null; then
    try run -q -m tiny --db disk/t.db $tasks >full.txt
    mount -o remount,size=20m disk
    "$assay" run -q -m tiny --db disk/t.db $tasks >t.txt
    cmp whole.txt t.txt || echo "another table"
    sqlite3 disk/t.db 'pragma integrity_check' | grep -vx ok
    umount disk
    sed -n '/^!/p; /^exit/p' full.txt >full
    printf '%s\n' '! assay run: cannot write the store "disk/t.db": the disk is full' 'exit 3' |
        cut -c1-60 >want
    cut -c1-60 full | cmp - want || cat full
fi
