# Every command explains itself on one screen, on stdout, with exit code 0.
for command in run compare report ls show score; do
    "$assay" $command --help | tee text
    [ "$(wc -l <text)" -le 45 ] || echo "LONGER THAN A SCREEN: $command"
done
"$assay" --help
