#!/bin/sh
# Within the small root: the two quick starts of README.md, word for word, by what the packages bring. Nothing else is there:
# for systemd, PostgreSQL and ssh stand a few lines of shell, and for the name of the server /etc/hosts. Called by
# check-inside.sh.
set -eu
desk=/tmp/desk
[ -f /packages/readme.sh ] || {
    echo "check-readme: error: this changes /etc and /usr/local, and is for the root that check.sh makes" >&2
    exit 1
}

# block HEADING NUMBER: the lines of that code block of that section.
block() {
    awk -v heading="## $1" -v wanted="$2" '
        /^## / { here = $0 == heading; count = 0; open = 0 }
        here && /^```/ { open = !open; count += open; next }
        here && open && count == wanted' /packages/README.md
}

# Whose commands stand beside each other in a line: each on a line of its own.
apart() {
    sed 's/\(alice\|bob\)\$ /\n&/g' | sed -n 's/^\(alice\|bob\)\$ \(.*[^ ]\) *$/\1 \2/p'
}

# stand_in PROGRAM, whose script is standard input.
stand_in() {
    { echo '#!/bin/sh' && cat; } >"/usr/local/bin/$1"
    chmod 755 "/usr/local/bin/$1"
}

# as WHO COMMAND
as() {
    echo "$1\$ $2"
    CYPHERNET_HOME=/tmp/home-$1 sh -c "$2"
}

stand_in systemctl <<'TEXT'
[ "$*" = 'enable --now cyphernetd' ] || exit 1
setpriv --reuid cyphernet --regid cyphernet --clear-groups /usr/bin/cyphernetd >/tmp/readme.out 2>/tmp/readme.err &
echo $! >/tmp/readme.pid
timeout 30 sh -c 'until grep -q "^cyphernetd: ready" /tmp/readme.out; do sleep 0.1; done'
TEXT
stand_in pg_dump <<'TEXT'
seq 100000
TEXT
stand_in psql <<'TEXT'
exec cat >/tmp/desk/restored
TEXT
stand_in ssh <<'TEXT'
[ "$1" = -o ] && [ "$3" = bob ] && exec sh -c "${2#ProxyCommand=}" </dev/null >/tmp/desk/heard
TEXT
# shellcheck disable=SC2016 # perl's variables
perl -MIO::Socket::INET -e '
    $at = IO::Socket::INET->new(LocalAddr => "127.0.0.1:22", Listen => 1, ReuseAddr => 1) or die;
    while ($one = $at->accept) { print $one "SSH-2.0-stand-in\r\n"; close $one }' &
sshd=$!

echo '127.0.0.1 localhost server.example' >/etc/hosts
rm -rf "$desk"
mkdir -p "$desk/Downloads" "$desk/project"
cd "$desk"
echo photo >photo.jpg
echo source >project/main.c

# With packages it begins at `cyphernetctl init`, without useradd and chown, as README.md says.
block 'Five minutes for an operator' 1 | sed -n 's/^# //p' | sed -n '/^cyphernetctl init/,$p' | grep -v '^chown ' >operator
[ "$(wc -l <operator)" -ge 4 ]
while read -r line; do
    echo "# $line"
    sh -c "$line" </dev/null
done <operator

block 'Five minutes for two subscribers' 1 | apart >once
[ "$(wc -l <once)" -ge 7 ]
while read -r who line; do
    as "$who" "$line" </dev/null
done <once

block 'Five minutes for two subscribers' 2 >daily
[ "$(wc -l <daily)" -ge 5 ]
started=
while read -r pair; do
    echo "$pair" | apart >both
    : >pids
    while read -r who line; do
        as "$who" "$line" </dev/null &
        echo $! >>pids
    done <both
    case $pair in
    *'cyphernet serve '*)
        started="$started $(cat pids)"
        timeout 30 sh -c 'until grep -q :1538 /proc/net/tcp; do sleep 0.1; done' # 5432: forward listens
        ;;
    *)
        while read -r pid; do
            wait "$pid"
        done <pids
        ;;
    esac
done <daily

cmp photo.jpg Downloads/photo.jpg
cmp project/main.c Downloads/project/main.c
seq 100000 | cmp - restored
grep -q '^SSH-2.0-stand-in' heard
for pid in $started "$sshd" "$(cat /tmp/readme.pid)"; do
    kill "$pid" 2>/dev/null || true
done
rm /usr/local/bin/systemctl /usr/local/bin/pg_dump /usr/local/bin/psql /usr/local/bin/ssh
