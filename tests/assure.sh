#!/bin/sh
# The slow checks: ./run assure. Valgrind over the unit tests, clang's sanitizers over everything, and
# five minutes of fuzzing for each decoder. Ends with a summed count.
set -u
cd "$(dirname "$0")/.." || exit 1
log=build/assure.log
: >"$log"
status=0

echo "== valgrind"
meson test -C build --no-rebuild --timeout-multiplier 20 --suite unit \
    --wrap 'valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite' ||
    status=1
echo "== every test, built by clang under its sanitizers"
[ -f build-clang-asan/build.ninja ] ||
    CC=clang meson setup build-clang-asan -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fno-sanitize-recover=all || exit 1
ninja -C build-clang-asan --quiet || exit 1
/usr/bin/python3 tests/suites.py build-clang-asan | tee -a "$log"
echo "== fuzzing"
sh tests/fuzz/run.sh --seconds "${1:-300}" | tee -a "$log"
awk '/^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
     END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$log" ||
    status=1
exit $status
