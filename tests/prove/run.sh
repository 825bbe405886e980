#!/bin/sh
# Proofs that what parses octets of others has no undefined behaviour, whatever they are: ./run prove [NAME...].
#
# Frama-C's Eva follows each parser with all inputs at once, and with pointers that may not even be made outside of what
# they point into. What is shown of each stands at the top of NAME.c; in all of them
#  - readers do what core/reader.h promises (reader_model.h), which WP proves of its cn_reader_take, for every reader and
#    every size; the others are a few lines on top of that;
#  - primitives write what they should, of any octets, or fail (crypto_model.c, kem_model.c, identity_model.c);
#  - functions of <string.h> find what they find anywhere, or do not (string_model.c).
# Not seen is what leaves a member of a struct but not the struct. An assert that fails is no undefined behaviour, and not
# what this is about; nor is configuration, whose parser (inih) hands it texts: that is fuzzed. Ends with a summed count.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=build/prove
mkdir -p "$out"
passed=0
failed=0
only=$*

include="-iquote tests/prove -iquote core -iquote include/cyphernet -iquote include -iquote server -std=c17 -D_GNU_SOURCE"
models="tests/prove/crypto_model.c tests/prove/string_model.c"
kem="core/kem.c core/kem_mlkem768.c core/suite.c core/tag.c tests/prove/kem_model.c"

wanted() {
    [ -z "$only" ] && return 0
    case " $only " in *" $1 "*) return 0 ;; esac
    return 1
}

verdict() {
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "$1: $3"
    else
        failed=$((failed + 1))
        echo "$1: FAILED, see $out/$1.log"
        grep -A3 'alarm\] \|User Error\|missing-spec' "$out/$1.log" | head -n 20
    fi
}

# Nothing is left open, nothing was made up, and nearly all of it was reached.
clean() {
    grep -q '^  0 alarms generated' "$1" || return 1
    ! grep -q 'User Error\|missing-spec\|NON TERMINATING' "$1" || return 1
    ! grep -A1 '\[eva:alarm\] ' "$1" | grep -v '^--\|\[eva:alarm\] \|__FC_assert' | grep -q . || return 1
    [ "$(sed -n 's/.*statements reached.*: \([0-9]*\)% coverage.*/\1/p' "$1")" -ge 90 ]
}

# eva NAME HARNESS "DEFINES" "FILES" OPTION...
eva() {
    name=$1 harness=$2 defines=$3 files=$4
    shift 4
    wanted "$name" || return 0
    # shellcheck disable=SC2086 # lists of words
    frama-c -machdep gcc_x86_64 -cpp-command 'gcc -E -C %args %i | python3 tests/prove/sizes.py >%o' \
        -cpp-frama-c-compliant -cpp-extra-args="$include -include tests/prove/any.h $defines" \
        "tests/prove/$harness.c" $files -eva -warn-invalid-pointer -eva-msg-key=-final-states,-initial-state \
        "$@" >"$out/$name.log" 2>&1
    clean "$out/$name.log"
    verdict "$name" $? "no alarm, $(sed -n 's/.*statements reached (out of \([0-9]*\)).*/\1/p' "$out/$name.log") statements"
}

wp() {
    wanted reader || return 0
    export WHY3CONFIG="$out/why3.conf"
    why3 config detect >"$out/reader.log" 2>&1
    frama-c -machdep gcc_x86_64 -cpp-extra-args="$include" tests/prove/reader.c -wp -wp-rte -wp-fct cn_reader_take \
        -wp-prover z3 -wp-timeout 60 >>"$out/reader.log" 2>&1
    goals=$(sed -n 's|.*Proved goals: *\([0-9]*\) / \([0-9]*\).*|\1 \2|p' "$out/reader.log")
    [ -n "$goals" ] && [ "${goals% *}" -gt 0 ] && [ "${goals% *}" = "${goals#* }" ]
    verdict reader $? "${goals% *} goals proved"
}

model='-include tests/prove/reader_model.h'
wp
eva frame frame "$model" core/frame.c -eva-precision 5
eva names names "$model" "core/fingerprint.c core/certificate.c $models" -eva-precision 0 -eva-slevel 300 \
    -eva-interprocedural-splits -eva-split-limit 300
eva fingerprint fingerprint "$model" "core/fingerprint.c core/certificate.c $models" -eva-precision 6 \
    -eva-use-spec cn_address_reachable,cn_label_valid
eva card card "$model" "core/card.c core/fingerprint.c core/certificate.c tests/prove/identity_model.c $kem $models" \
    -eva-precision 5 -eva-use-spec cn_name_valid
eva notice notice "$model" "core/notice.c core/fingerprint.c core/certificate.c $models" -eva-precision 6 \
    -eva-use-spec cn_address_reachable
eva admission admission "$model" "core/admission.c core/noise.c core/certificate.c $models" -eva-precision 6 \
    -eva-split-return full
for kind in X25519 RSA2048 RSA3072 RSA4096 RSA8192; do
    eva "handshake_$kind" handshake "$model -DKIND=CN_KEM_$kind" "core/handshake.c $kem $models" -eva-precision 5 \
        -eva-split-return full
done
eva record record '' "core/record.c core/suite.c $models" -eva-precision 3 -eva-slevel 500 -eva-split-return full \
    -eva-split-limit 300
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
