#!/bin/sh
# Fuzz every decoder, one after the other: ./run fuzz [--seconds N, of each; 60]. What a run finds new is kept
# in build-fuzz/corpus; an input that fails is named, and the exit code is 1.
set -eu
cd "$(dirname "$0")/../.."
seconds=60
if [ "${1:-}" = --seconds ] && [ $# -eq 2 ]; then
    seconds=$2
elif [ $# -gt 0 ]; then
    echo "usage: ./run fuzz [--seconds N]" >&2
    exit 2
fi
[ -f build-fuzz/build.ninja ] ||
    CC=clang meson setup build-fuzz -Dfuzzers=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=all' >&2
find tests/fuzz -name 'fuzz_*.c' | sed 's|.*/fuzz_\(.*\)\.c|tests/fuzz/replay_\1|' |
    xargs ninja -C build-fuzz --quiet >&2
list=$(find build-fuzz/tests/fuzz -maxdepth 1 -name 'replay_*' -type f | sort)
# dictionary NOUN: its option, if dict/NOUN.dict is there; with the texts of the sources that this names.
dictionary() {
    file=tests/fuzz/dict/$1.dict
    [ -f "$file" ] || return 0
    sed -n 's/^# texts of //p' "$file" | xargs -r grep -ohE '"[^"\\]+"' | sort -u |
        cat "$file" - >"build-fuzz/$1.dict"
    echo "-dict=build-fuzz/$1.dict"
}
one() {
    noun=${1##*/replay_}
    mkdir -p "build-fuzz/corpus/$noun" "build-fuzz/found"
    # shellcheck disable=SC2046 # no option, or one
    "$1" $(dictionary "$noun") -max_total_time="$2" -artifact_prefix="build-fuzz/found/$noun-" -rss_limit_mb=1024 \
        "build-fuzz/corpus/$noun" "tests/fuzz/corpus/$noun" >"build-fuzz/$noun.log" 2>&1 || {
        echo "$noun: FAILED, see build-fuzz/$noun.log and build-fuzz/found"
        return 1
    }
    echo "$noun: $(grep -o 'stat::number_of_executed_units: *[0-9]*\|Done [0-9]* runs' \
        "build-fuzz/$noun.log" | tail -n 1), nothing found"
}
failed=0
passed=0
for target in $list; do
    if one "$target" "$seconds"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
