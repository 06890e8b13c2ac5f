# Slips of the keyboard: one sentence on stderr, the nearest spelling, exit code 2.
say() { "$assay" "$@"; echo "exit $?" >&2; }
say
say runn
say run
say run -m x
say run -m x -t y --num_fewshots 3
say run -m x -t y --limit many
say run -m x -t arc_esay
say compare a
say run x
