#!/bin/sh
# The slow checks: ./run assure [--seconds N, of fuzzing for each decoder; 300]. ./run has made the builds. Ends with
# a summed count.
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- --seconds 300
log=build/assure.log
sums=build/assure.sums
: >"$sums"

# part NAME COMMAND...: one that does not count at its end is one failure.
part() {
    echo "== $1"
    shift
    "$@" 2>&1 | tee "$log"
    tail -n 1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed$' >>"$sums" || echo 0 passed, 1 failed >>"$sums"
}

part 'fuzzing' sh tests/fuzz/run.sh "$@"
part 'static analysis' sh tests/lint.sh deep
part 'proofs' sh tests/prove/run.sh
part 'a call, hurt at every octet' build/tests/sim/sim --exhaustive
part 'secrets' /usr/bin/python3 tests/secrets/check.py build build-clang-asan
part 'models' python3 tests/model.py
part 'ML-KEM-768 beside another' /usr/bin/python3 tests/interop/test_mlkem.py 20000
part 'unit tests under valgrind' /usr/bin/python3 tests/suites.py build=valgrind
part 'every test, built by clang under its sanitizers' /usr/bin/python3 tests/suites.py build-clang-asan
part 'files, under the thread sanitizer' /usr/bin/python3 tests/suites.py build-tsan=e2e/test_files.py
awk '{ passed += $1; failed += $3 }
     END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }' "$sums"
