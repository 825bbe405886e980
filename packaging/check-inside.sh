#!/bin/sh
# Within the small root: see check.sh.
set -u
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
passed=0
failed=0

# check NAME COMMAND...: its output is shown only if it fails.
check() {
    name=$1
    shift
    if "$@" >/tmp/log 2>&1; then
        passed=$((passed + 1))
        echo "ok     $name"
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        tail -n 30 /tmp/log | sed 's/^/       /'
    fi
}

# All that a purge must not leave: what packages bring, and what became of it. Not dpkg's own notes, logs, caches,
# and not the copies that useradd makes of its files.
files() {
    find / -xdev \( -path /proc -o -path /dev -o -path /tmp -o -path /packages -o -path /run -o -path /var/lib/dpkg \
        -o -path /var/log -o -path /var/cache -o -path /var/lib/systemd -o -path '/etc/*-' \) -prune -o -print | sort
}

accounts() {
    sort /etc/passwd /etc/group
}

# until SECONDS COMMAND...: as soon as it succeeds.
until_good() {
    tenths=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        tenths=$((tenths - 1))
        [ "$tenths" -gt 0 ] || return 1
        sleep 0.1
    done
}

# systemd is not here. This stands for it, says what it was asked, and reloads as the unit does.
service_manager() {
    mkdir -p /run/systemd/system
    cat >/usr/local/bin/systemctl <<'TEXT'
#!/bin/sh
echo "$*" >>/tmp/systemctl
case " $* " in
*" reload "*)
    setpriv --reuid cyphernet --regid cyphernet --clear-groups /usr/bin/cyphernetd --check >/dev/null &&
        kill -USR2 "$(cat /tmp/pid)"
    ;;
*" is-active "*) kill -0 "$(cat /tmp/pid)" ;;
*" stop "*) kill "$(cat /tmp/pid)" ;;
esac
TEXT
    chmod 755 /usr/local/bin/systemctl
    : >/tmp/systemctl
}

server_start() {
    setpriv --reuid cyphernet --regid cyphernet --clear-groups /usr/bin/cyphernetd >/tmp/server.out 2>/tmp/server.err &
    echo $! >/tmp/pid
    until_good 30 grep -q '^cyphernetd: ready' /tmp/server.out || {
        cat /tmp/server.err
        return 1
    }
}

server_owned() {
    [ "$(stat -c '%U:%a' /var/lib/cyphernet)" = cyphernet:700 ] &&
        [ "$(stat -c '%U:%a' /var/lib/cyphernet/server.key)" = cyphernet:600 ]
}

person() {
    who=$1
    shift
    CYPHERNET_HOME=/tmp/$who cyphernet "$@"
}

subscribers() {
    for who in ann bob; do
        cyphernetctl invite "$who" -o "/tmp/$who.fp" && person "$who" join "/tmp/$who.fp" || return 1
    done
    person ann contact offer bob -o /tmp/for-bob && person bob contact accept ann /tmp/for-bob -o /tmp/for-ann &&
        person ann contact accept bob /tmp/for-ann
}

# An octet for octet copy, through the server.
call() {
    head -c 3000000 /dev/urandom >/tmp/data
    person bob pipe ann -n --wait 60 >/tmp/got &
    other=$!
    person ann pipe bob --wait 60 </tmp/data && wait "$other" && cmp /tmp/data /tmp/got
}

# For whoever asks for it, and nobody yet.
agent_is_there() {
    [ -f /usr/lib/systemd/user/cyphernet-agent.service ] &&
        ! find /etc/systemd/user -name 'cyphernet-agent*' | grep .
}

# A call that goes on while everything is installed again.
upgrade() {
    mkfifo /tmp/typed
    person bob pipe ann -n --wait 60 >/tmp/got &
    bob=$!
    person ann pipe bob --wait 60 </tmp/typed &
    ann=$!
    exec 3>/tmp/typed
    echo before >&3
    until_good 60 grep -q before /tmp/got || return 1
    : >/tmp/systemctl
    dpkg -i /packages/*.deb || return 1
    until_good 60 grep -q 'event=upgraded' /tmp/server.err || return 1
    echo after >&3
    exec 3>&-
    wait "$ann" && wait "$bob" && [ "$(cat /tmp/got)" = "before
after" ]
}

# Never restarted, nor stopped.
only_reloaded() {
    cat /tmp/systemctl
    grep -q '^reload .*cyphernetd.service' /tmp/systemctl && ! grep -qE '(re)?(start|stop) ' /tmp/systemctl
}

# The server is asked to end, and does.
removal() {
    dpkg -r cyphernet cyphernetd libcyphernet-dev libcyphernet0 && wait "$(cat /tmp/pid)"
}

kept() {
    [ -f /var/lib/cyphernet/registry.db ] && [ -f /var/lib/cyphernet/server.key ] && ! command -v cyphernetd
}

# Of each command that the programs list.
pages() {
    for program in cyphernet cyphernetctl; do
        for command in $("$program" help | sed -n '/^Options/q; s/^  \([a-z-]*\) .*/\1/p'); do
            ls /usr/share/man/man[18]/"$program-$command".[18].gz || return 1
        done
    done
}

files >/tmp/files
accounts >/tmp/accounts
check 'they install' dpkg -i /packages/*.deb
check 'nothing is missing' dpkg --audit
service_manager
check 'every command has a manual page' pages
check 'the programs run' sh -c 'cyphernet version && cyphernetd --version && cyphernetctl --version'
check 'cyphernetctl init, by root' cyphernetctl init --listen 127.0.0.1:7473 --public 127.0.0.1:7473
check 'the directory is the server'"'"'s' server_owned
check 'the server starts, not as root' server_start
check 'two subscribers join and exchange cards' subscribers
check 'a call' call
check 'the agent is there, and not enabled' agent_is_there
check 'an upgrade, while a call goes on' upgrade
check 'the server is reloaded for it, and nothing else' only_reloaded
check 'a call after it' call
check 'they are removed, and the server ends' removal
check 'keys and registry survive that' kept
check 'and are there when it is installed again' sh -c 'dpkg -i /packages/cyphernetd_*.deb && cyphernetctl list | grep ann'
check 'they are purged' dpkg -P cyphernet cyphernetd libcyphernet-dev libcyphernet0
rm -rf /usr/local/bin/systemctl /run/systemd
files >/tmp/files.after
accounts >/tmp/accounts.after
check 'no file is left' diff /tmp/files /tmp/files.after
check 'no account is left' diff /tmp/accounts /tmp/accounts.after
check 'they are installed anew' dpkg -i /packages/*.deb
check 'what README.md says, word for word' sh /packages/readme.sh
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
