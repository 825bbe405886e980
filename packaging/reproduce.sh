#!/bin/sh
# Two builds of a source archive, in directories of other names, other time zones, languages and masks, are the same, octet
# for octet; and its tests pass where there is no network. Called by ./run release --check, as reproduce.sh ARCHIVE
set -eu
archive=$(realpath "$1")
name=$(basename "$archive" .tar.xz)
place=$(dirname "$archive")/check
rm -rf "$place"
mkdir -p "$place/a" "$place/another"
tar -xf "$archive" -C "$place/a"
tar -xf "$archive" -C "$place/another"

# built DIRECTORY MASK: what it installs, in DIRECTORY/installed.
built() {
    (
        umask "$2"
        cd "$place/$1/$name"
        ./run build
        DESTDIR="$place/$1/installed" meson install -C build --no-rebuild >/dev/null
    )
}

TZ=Asia/Tokyo LC_ALL=C built a 022
TZ=America/New_York LC_ALL=C.UTF-8 built another 077
diff -r "$place/a/installed" "$place/another/installed" || {
    echo "run: error: two builds are not the same" >&2
    exit 1
}
echo "two builds are the same: $(find "$place/a/installed" -type f | wc -l) files"
cd "$place/a/$name"
unshare --net sh -c 'ip link set lo up && exec ./run test'
