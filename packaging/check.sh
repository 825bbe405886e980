#!/bin/sh
# The packages of ./run package in a small root of this Debian: what an operator and two subscribers do with them, an
# upgrade, removal, purge. Called by ./run package --check, as root; ends with `N passed, N failed`.
set -eu
cd "$(dirname "$0")/.."
out=$PWD/build/package
root=$out/root
[ "$(id -u)" -eq 0 ] || {
    echo "run: error: package --check wants root, for a root directory of its own" >&2
    exit 1
}

# What the packages depend on and is none of them, of alternatives the last; one that several packages provide by its name.
depends() {
    for package in "$out"/*.deb; do
        case $package in *-dbgsym_*) continue ;; esac
        dpkg-deb -f "$package" Depends
    done | tr ',' '\n' | sed 's/(.*//; s/.*|//; s/ //g; s/^systemd-sysusers/systemd-standalone-sysusers/' |
        grep -v '^libcyphernet' | sort -u | paste -sd ,
}

rm -rf "$root"
mmdebstrap --quiet --variant=minbase --include="$(depends)" "$(sed -n "s/^VERSION_CODENAME=//p" /etc/os-release)" "$root"
mkdir "$root/packages"
cp "$out"/*.deb "$root/packages/"
rm -f "$root"/packages/*-dbgsym_*
cp packaging/check-inside.sh "$root/packages/check.sh"
cp packaging/check-readme.sh "$root/packages/readme.sh"
cp README.md "$root/packages/"
# Processes, mounts and a loopback of its own, which all end with it.
status=0
unshare --fork --pid --mount --net --kill-child sh -c "
    mount --bind '$root' '$root' && mount -t proc proc '$root/proc' && mount --rbind /dev '$root/dev' &&
    ip link set lo up && exec chroot '$root' sh /packages/check.sh" || status=$?
rm -rf --one-file-system "$root"
exit "$status"
