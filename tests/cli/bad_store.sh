# A store that cannot be used, and output that cannot be written: a sentence, exit code 3, and what
# was stored before stays.
. "$source/tests/cli/lib.sh"
make_tasks 30
"$make_tiny_model" hf-f32 tiny
run="run -q -m tiny --include_path tasks -t colors --limit 3"
"$assay" $run --db good.db >/dev/null

# of a newer schema, of something else, of nothing
cp good.db newer.db
sqlite3 newer.db 'pragma user_version = 99'
try $run --db newer.db
try ls --db newer.db
try compare tiny tiny --db newer.db
sqlite3 other.db 'create table bookmarks (url)'
try $run --db other.db
try ls --db other.db
seq 1000 >numbers.db
try $run --db numbers.db
try report --html r.html --db numbers.db
head -c 5000 good.db >cut.db
try ls --db cut.db 2>&1 | sed 's/damaged.*/damaged .../'
try ls --db absent.db
mkdir folder.db
try $run --db folder.db
try $run --db nowhere/a.db
try $run --db tasks/colors.yaml/a.db
ls -d r.html absent.db nowhere *.lock 2>/dev/null

# no permission to write (as root there is no such thing)
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod 500 locked
    "$assay" $run --db locked/a.db 2>&1 | grep -q 'cannot write the store "locked/a.db"' ||
        echo "no sentence"
fi

# two processes: the second names the first
mkfifo hold
python3 - <<'P' &
import fcntl, os
f = open("good.db.lock", "w")
fcntl.flock(f, fcntl.LOCK_EX)
f.write("4242\n")
f.flush()
open("hold").read()
os.unlink("good.db.lock")
P
while [ ! -s good.db.lock ]; do sleep 0.01; done
try $run --db good.db
try score -t tasks/say.yaml -r tasks/say.yaml --db good.db
try ls --db good.db -t colors # a reader does not mind
echo >hold
wait

# where results go
echo file >file
try $run --db good.db --output file
try $run --db good.db --output file/out
try report --db good.db --csv nowhere/s.csv
try report --db good.db --html folder.db
"$assay" ls --db good.db >/dev/full
echo "stdout full: exit $?"
"$assay" run --help >/dev/full
echo "stdout full: exit $?"
"$assay" ls --db good.db >&-
echo "stdout closed: exit $?"
"$assay" $run --db good.db >/dev/full
echo "stdout full: exit $?"
"$assay" ls --db good.db 2>&- >/dev/null
echo "stderr closed: exit $?"
"$assay" $run --db good2.db <&- >&- 2>&-
echo "all closed: exit $?, $(sqlite3 good2.db 'pragma integrity_check; select count(*) from samples')"
"$assay" ls --tasks | head -n 1 # SIGPIPE is nobody's error
"$assay" report --db good.db --csv /dev/stdout | head -n 1 | cut -c1-16
