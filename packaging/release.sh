#!/bin/sh
# What a release consists of, in build/release: the source archive of HEAD, what is linked into its programs (CycloneDX),
# checksums; each with a signature of minisign's if --key names a secret key. Called by ./run release, as
#   release.sh BUILD [--key FILE]
set -eu
cd "$(dirname "$0")/.."
build=$1
shift

fail() {
    echo "run: error: $1" >&2
    echo "run: hint: $2" >&2
    exit 1
}

key=
case "$#:${1:-}" in
0:) ;;
2:--key) key=$2 ;;
*) fail "release takes --key FILE, or --check, or nothing" "minisign -G makes a key" ;;
esac
[ -z "$key" ] || [ -f "$key" ] || fail "$key: no such key" "minisign -G -p cyphernet.pub -s $key makes one"
git rev-parse --verify -q HEAD >/dev/null || fail "this is no clone with a commit" "a release is made of a commit"
[ -z "$(git status --porcelain)" ] || fail "something here is not committed" "a release is made of a commit"
version=$(sed -n "s/^  version: '\([^']*\)',$/\1/p" meson.build)
head -n 1 debian/changelog | grep -qF "($version)" ||
    fail "debian/changelog begins with another version than $version" "meson.build has the version"

out=$PWD/build/release
name=cyphernet-$version
rm -rf "$out"
mkdir -p "$out"
git archive --format=tar "--prefix=$name/" HEAD | xz -6 -T1 >"$out/$name.tar.xz"
python3 packaging/sbom.py "$build" >"$out/$name.cdx.json"
cd "$out"
sha256sum "$name.tar.xz" "$name.cdx.json" >"$name.sha256"
for one in "$name.tar.xz" "$name.cdx.json" "$name.sha256"; do
    [ -z "$key" ] || minisign -S -s "$key" -t "$one" -m "$one" >/dev/null
done
ls "$out"/*
[ -n "$key" ] || echo "run: not signed: --key FILE signs it with minisign" >&2
