# Every command explains itself on one screen, on stdout, with exit code 0.
. "$source/tests/cli/lib.sh"
try --help
try --version | sed 's/assay [0-9].*/assay VERSION/'
for command in run compare report card ls show bench score; do
    try $command --help | tee text
    [ "$(wc -l <text)" -le 40 ] || echo "LONGER THAN A SCREEN: $command"
    awk 'length > 100 {print "WIDER THAN A SCREEN: " $0}' text
done
