#!/bin/sh
# The style, by machine. Each check counts one; ends with `N passed, N failed`. Called by ./run lint; `lint.sh deep`, by
# ./run assure, is clang's static analysis alone, and follows each function to the end.
# shellcheck disable=SC2046 # lists of words are what is wanted here: no file name of ours has blanks
set -u
cd "$(dirname "$0")/.." || exit 1
out=build/lint
mkdir -p "$out"
passed=0
failed=0

# check NAME COMMAND...: its output is shown only if it fails.
check() {
    name=$1
    shift
    if "$@" >"$out/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok     $name"
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        head -n 60 "$out/log" | sed 's/^/       /'
    fi
}

# The C files of these directories.
sources() {
    find "$@" -name '*.c' | sort
}

all_c() {
    find include core client server cli tests examples bench -name '*.[ch]' | sort
}

# nothing COMMAND...: succeeds if the command prints nothing.
nothing() {
    found=$("$@")
    [ -z "$found" ] && return 0
    echo "$found"
    return 1
}

format() {
    all_c | xargs clang-format --dry-run -Werror
}

# Both compilers, warnings as errors.
compiles() {
    [ -f "build-$1-werror/build.ninja" ] ||
        CC=$1 meson setup "build-$1-werror" -Dwerror=true || return 1
    ninja -C "build-$1-werror"
}

# Leaks are left to the sanitizers: gcc 12 sees some where a struct of pointers is handed over.
analyzer() {
    sources core server client | grep -v mlkem768_openssl |
        xargs -P 2 -n 1 gcc -std=c17 -D_GNU_SOURCE '-DCN_VERSION=""' '-DCN_LIBEXEC_DIR=""' -O1 -fanalyzer -Werror \
            -Wno-analyzer-fd-leak -Wno-analyzer-malloc-leak \
            -Iinclude -Iinclude/cyphernet -Icore -Iclient -Iclient/files \
            -isystem node_modules/pqclean/deps/PQClean/crypto_kem/ml-kem-768/clean \
            -isystem node_modules/pqclean/deps/PQClean/common \
            -c -o /dev/null
}

# analysed NODES: clang-tidy, which gives a function up after so many states of it. With 30,000 all files take a minute,
# with clang's 225,000 four, nearly all of it in a few loops.
analysed() {
    sources core client server cli | grep -v mlkem768_openssl |
        xargs -P 2 -n 4 clang-tidy --quiet -p build --warnings-as-errors='*' \
            --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang "--extra-arg=max-nodes=$1"
}

cppcheck_all() {
    cppcheck --quiet -j 2 --std=c11 --error-exitcode=1 --inline-suppr \
        --enable=warning,portability --suppress=missingIncludeSystem \
        -Iinclude -Iinclude/cyphernet -Icore -Iclient -Iclient/files core client server cli
}

# Functions that nobody should call.
banned() {
    grep -rnE --include='*.[ch]' '(^|[^A-Za-z0-9_])(strcpy|strcat|sprintf|vsprintf|atoi|atol|gets|rand|strtok|alloca)\(' \
        include core client server cli
}

# memcmp leaks what it compares: in core/ only on lines that say why it is public.
memcmp_in_core() {
    grep -nE '(^|[^A-Za-z0-9_])memcmp\(' core/*.c | grep -v 'public:'
}

# Nothing in DIRECTORY includes any of these headers.
includes() {
    directory=$1
    shift
    for header in "$@"; do
        grep -rnF --include='*.[ch]' "#include \"$header\"" "$directory"
    done
}

headers_of() {
    for directory in "$@"; do
        for file in "$directory"/*.h; do
            [ -f "$file" ] && basename "$file"
        done
    done
}

base_headers="admission.h armor.h certificate.h completion.h crypto.h env.h fingerprint.h noise.h notice.h reader.h writer.h"

call_headers() {
    for header in $(headers_of core); do
        case " $base_headers " in *" $header "*) ;; *) echo "$header" ;; esac
    done
}

core_points_nowhere() { includes core $(headers_of client client/files server cli); }
client_points_down() { includes client $(headers_of server cli); }
server_points_down() { includes server $(headers_of client client/files cli) $(call_headers); }

openssl_only_in() {
    grep -rl --include='*.[ch]' '#include <openssl/' core client server cli |
        grep -vE '^core/(crypto|kem_[a-z0-9_]+)\.c$'
}

# `#if` in header guards and for C++, nowhere inside a function.
conditionals() {
    grep -nE '^ *#(if|ifdef|ifndef|elif)' $(all_c) | grep -vE '#ifndef [A-Z0-9_]+_H$|#ifdef __cplusplus'
}

# What core objects need from outside: pure functions of the C library, and libcrypto where allowed.
core_symbols() {
    for archive in core_base core_call core_commands pqclean; do
        [ -d "build/core/lib$archive.a.p" ] || continue # no PQClean where libcrypto has ML-KEM
        find "build/core/lib$archive.a.p" -name '*.o' | while read -r object; do
            name=$(basename "$object" .c.o)
            nm -u "$object" | awk '{ print $2 }' | grep -vE '^(cn_|_GLOBAL_OFFSET_TABLE_)' |
                grep -vxFf tests/lint/core-symbols.txt |
                case $name in
                crypto | kem_rsa | kem_mlkem768_openssl)
                    grep -vE '^(EVP_|OSSL_|OPENSSL_|CRYPTO_|ERR_|BN_|OpenSSL_|[di]2[id]_|PKCS8_)' ;;
                kem_mlkem768_pqclean) grep -vE '^(PQCLEAN_|__tls_get_addr$)' ;;
                *pqclean*) grep -vE '^(PQCLEAN_|sha3_|shake(128|256))' ;;
                *) cat ;;
                esac | sed "s/^/$name: /"
        done
    done
}

# The server cannot read: no such code is in its programs.
blind() {
    for program in cyphernetd cyphernetd-gate cyphernetd-switch cyphernetctl; do
        nm "build/$program" | grep -E ' (cn_(handshake|record|kem|mux|card|identity|session|pair|stream)_|PQCLEAN)' |
            sed "s/^/$program: /"
    done
}

# Each process has what its part needs: the gate reads no database and no configuration, a switch
# worker links no cryptography and opens nothing.
parts_apart() {
    nm build/cyphernetd-gate | grep -E ' (sqlite3_|ini_|cn_(registry|sql|ctl|worker)_|cn_config_(read|parse))'
    nm build/cyphernetd-switch |
        grep -E ' (EVP_|sqlite3_|ini_|_*f?open(64|at|64_2|at64)?@|cn_(crypto|noise|admission|keyfile|armor|certificate)_)'
}

# The library exports what <cyphernet.h> declares, and nothing else.
exports() {
    nm -D --defined-only build/libcyphernet.so | awk '$2 != "A" { print $3 }' | sed 's/@@.*//' | sort >"$out/exported"
    cat include/cyphernet.h include/cyphernet/*.h | tr '\n' ' ' |
        grep -oE 'CN_API [^;(]*[ *](cn_[a-z_0-9]+)\(' | grep -oE 'cn_[a-z_0-9]+\($' | tr -d '(' |
        sort >"$out/declared"
    diff "$out/declared" "$out/exported"
}

# Only main.c ends the process.
exits() {
    nm -D --undefined-only build/libcyphernet.so | grep -wE '(_?exit|_Exit|quick_exit)'
}

manuals() {
    mandoc -T lint -W error build/docs/*.[1358]
}

# What links of documents point to is there.
links() {
    for file in $(git ls-files '*.md'); do
        grep -oE '\]\([^)#: ]+' "$file" | cut -c3- | while read -r target; do
            [ -e "$(dirname "$file")/$target" ] || echo "$file: $target is not there"
        done
    done
}

# And a decision is known by its number.
numbers() {
    find docs/decisions -name '*.md' | sed 's/.*\///; s/-.*//' | sort | uniq -d
}

# As far as its own program checks them.
javascript() {
    find tests -name '*.mjs' | sort | xargs -n 1 node --check
}

scripts() {
    shellcheck run .ci/run $(find tests bench packaging -name '*.sh')
}

if [ "${1:-}" = deep ]; then
    check 'clang-tidy, deep' analysed 225000
    echo "$passed passed, $failed failed"
    exit "$failed"
fi
check 'clang-format' format
check 'gcc without a warning' compiles gcc
check 'clang without a warning' compiles clang
check 'gcc -fanalyzer' analyzer
check 'clang-tidy' analysed 30000
check 'cppcheck' cppcheck_all
check 'no banned function' nothing banned
check 'no memcmp on secrets in core' nothing memcmp_in_core
check 'core points nowhere' nothing core_points_nowhere
check 'client points down' nothing client_points_down
check 'server points down, to admission only' nothing server_points_down
check 'libcrypto in crypto.c and kem_*.c only' nothing openssl_only_in
check 'no #if but header guards' nothing conditionals
check 'core does no I/O, clock, randomness, allocation' nothing core_symbols
check 'the server links nothing that could read' nothing blind
check 'each process has its part only' nothing parts_apart
check 'the library exports its header' exports
check 'the library keeps what programs rely on' /usr/bin/python3 tests/abi.py check
check 'the library ends no process' nothing exits
check 'manual pages' manuals
check 'links of the documents' nothing links
check 'one decision for each number' nothing numbers
check 'JavaScript' javascript
check 'shell scripts' scripts
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
