#!/bin/sh
# Debian packages of what git knows of this tree, in build/package. Called by ./run package.
set -eu
cd "$(dirname "$0")/.."
out=build/package

# What the build needs, but for tests and benches, is said to dpkg, too.
needed=$(sed -n '/^build_packages=/,/"$/p' run | grep -oE 'lib[a-z0-9.-]+-dev')
for package in $needed; do
    case $package in libc6-dev | libcmocka-dev | liburing-dev) continue ;; esac
    grep -qw -- "$package" debian/control || {
        echo "run: error: debian/control does not know $package" >&2
        echo "run: hint: add it to Build-Depends, and to what libcyphernet-dev depends on if the library needs it" >&2
        exit 1
    }
done
rm -rf "$out"
mkdir -p "$out/cyphernet/node_modules"
git ls-files -z | xargs -0 cp --parents -t "$out/cyphernet"
cp -R node_modules/pqclean "$out/cyphernet/node_modules/"
(cd "$out/cyphernet" && dpkg-buildpackage -b -us -uc) >"$out/log" 2>&1 || {
    tail -n 40 "$out/log" >&2
    echo "run: error: the packages could not be built: $out/log" >&2
    exit 1
}
lintian --fail-on error "$out"/*.changes
ls "$out"/*.deb
