"""What cyphernetctl refuses: it says why and what to do, and changes nothing."""

import os
import resource
import subprocess

import pytest

from ctl_helper import BUILD, Ctl, armor, fingerprint, request, needs_root

LONG = "a" * 65


# --- the command line


@pytest.mark.parametrize(
    "args, said",
    [
        (["frobnicate"], "no command frobnicate"),
        (["help", "frobnicate"], "no command frobnicate"),
        (["list", "--frobnicate"], "no option --frobnicate"),
        (["list", "-x"], "no option -x"),
        (["list", "-qx"], "no option -qx"),
        (["list", "--days", "3"], "no option --days"),
        (["--days", "3", "invite"], "no option --days"),
        (["list", "--json=yes"], "--json takes no value"),
        (["list", "extra"], "too much: extra"),
        (["--dir"], "--dir needs a value"),
        (["list", "--dir="], "--dir needs a value"),
        (["invite"], "missing"),
        (["invite", "alice"], "-o FILE is missing"),
        (["invite", "alice", "-o"], "--output needs a value"),
        (["invite", "alice", "bob", "-o", "x"], "too much: bob"),
        (["admit"], "missing"),
        (["admit", "-"], "missing"),
        (["admit", "-", "-o", "x"], "--name LABEL is missing"),
        (["admit", "-", "--name", "alice"], "-o FILE is missing"),
        (["renew"], "either LABEL or --all"),
        (["renew", "alice", "--all"], "either LABEL or --all"),
        (["renew", "--all", "-o", "x"], "for one LABEL"),
        (["revoke"], "missing"),
        (["init"], "--listen is missing"),
        (["invite", "alice", "-o", "-", "--json"], "both want standard output"),
    ],
)
def test_misuse_is_exit_2_with_a_reason(server, args, said):
    before = server.files()
    assert said in server.bad(2, *args)
    assert server.files() == before


@pytest.mark.parametrize("label", ["", "-a", ".a", "a b", "a/b", "../a", "12345", LONG, "a\n", "\x1b[1m", "bö"])
def test_what_is_no_label(server, label):
    before = server.files()
    assert "no label" in server.bad(2, "invite", "-o", "x.fp", "--", label) or label == ""
    assert "label" in server.bad(2, "admit", "-", "-o", "x.fp", "--name=" + (label or " "), input=request())
    assert server.files() == before


@pytest.mark.parametrize("days", ["0", "-1", "3651", "99999999999999999999", "1.5", "1d", "", " 1", "+1", "0x10"])
def test_what_is_no_number_of_days(server, days):
    before = server.files()
    assert "--days" in server.bad(2, "invite", "alice", "--days=" + days, "-o", "x.fp")
    assert server.files() == before


@pytest.mark.parametrize(
    "address",
    ["7473", "host", "host:", ":7473", "host:0", "host:65536", "::1:7473", "[::1]", "*", "*:", "a b:1", "x" * 300 + ":1"],
)
def test_what_is_no_address(ctl, address):
    assert "HOST:PORT" in ctl.bad(2, "init", "--listen", address)
    assert "HOST:PORT" in ctl.bad(2, "init", "--listen", "127.0.0.1:1", "--public", address)
    assert not ctl.dir.exists()


@pytest.mark.parametrize("address", ["srv:", "srv:1.2.3.4:7", "srv:70000", "srv:a b", "SRV:host", "srv:" + "x" * 300])
def test_what_is_no_service(ctl, address):
    said = ctl.bad(2, "init", "--listen", "127.0.0.1:1", "--public", address)
    assert "HOST:PORT" in said and "srv:server.example" in said
    assert not ctl.dir.exists()


def test_a_service_is_not_listened_on(ctl):
    assert "srv:" not in ctl.bad(2, "init", "--listen", "srv:server.example").split("hint")[1]
    assert not ctl.dir.exists()


@pytest.mark.parametrize("address", ["*:7473", "0.0.0.0:7473", "[::]:7473"])
def test_a_wildcard_needs_a_public_address(ctl, address):
    said = ctl.bad(2, "init", "--listen", "127.0.0.1:1", "--listen", address)
    assert "--public" in said
    assert not ctl.dir.exists()


@pytest.mark.parametrize("address", ["*:7473", "0.0.0.0:7473", "[::]:7473"])
def test_a_wildcard_is_no_public_address(ctl, address):
    ctl.bad(2, "init", "--listen", "127.0.0.1:1", "--public", address)
    assert not ctl.dir.exists()


def test_more_addresses_than_fit(ctl):
    args = [word for port in range(1, 10) for word in ("--listen", f"127.0.0.1:{port}")]
    assert "at most 8" in ctl.bad(2, "init", *args)
    assert not ctl.dir.exists()


# --- the directory


def test_a_second_init_changes_nothing(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    before = server.files()
    said = server.bad(1, "init", "--listen", "127.0.0.1:9")
    assert "already" in said and "nothing has been changed" in said
    assert server.files() == before


@pytest.mark.parametrize("name", ["server.key", "operator.key", "operator.pub"])
def test_init_leaves_a_key_that_is_there_alone(ctl, name):
    ctl.dir.mkdir()
    (ctl.dir / name).write_text("precious")
    assert name in ctl.bad(1, "init", "--listen", "127.0.0.1:9")
    assert ctl.files() == {f"server/{name}": b"precious"}


def test_init_does_not_follow_a_link_left_in_the_way(ctl):
    ctl.dir.mkdir()
    (ctl.dir / "server.key").symlink_to(ctl.tmp / "elsewhere")
    ctl.bad(1, "init", "--listen", "127.0.0.1:9")
    assert not (ctl.tmp / "elsewhere").exists()


def test_init_below_nothing(ctl):
    said = ctl.bad(1, "init", "--listen", "127.0.0.1:9", dir=ctl.tmp / "no" / "such")
    assert "directory above" in said


def test_init_where_a_file_is(ctl):
    ctl.dir.write_text("a file")
    ctl.bad(1, "init", "--listen", "127.0.0.1:9")
    assert ctl.dir.read_text() == "a file"


@pytest.mark.parametrize("content", ["", "nonsense", armor("OPERATOR PUBLIC KEY", b"\x01" + bytes(31))])
def test_init_with_a_bad_operators_key(ctl, content):
    (ctl.tmp / "operator.pub").write_text(content)
    ctl.bad(1, "init", "--listen", "127.0.0.1:9", "--operator-key", "operator.pub")
    assert not ctl.dir.exists()


def test_init_with_the_operators_secret_key_instead(server):
    said = server.bad(
        1, "init", "--listen", "127.0.0.1:9", "--operator-key", server.dir / "operator.key", dir=server.tmp / "b"
    )
    assert "another kind" in said
    assert not (server.tmp / "b").exists()


VERBS = [
    ["invite", "alice", "-o", "x.fp"],
    ["renew", "alice", "-o", "x.fp"],
    ["renew", "--all"],
    ["revoke", "alice"],
    ["suspend", "alice"],
    ["unsuspend", "alice"],
    ["list"],
    ["status"],
]


@pytest.mark.parametrize("args", VERBS)
def test_where_no_registry_is(ctl, args):
    assert "holds no registry" in ctl.bad(1, *args)
    ctl.dir.mkdir()
    assert "holds no registry" in ctl.bad(1, *args)
    assert ctl.files() == {}
    assert list(ctl.dir.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000])
@pytest.mark.parametrize("args", VERBS)
def test_a_damaged_registry_is_told_and_kept(server, args, content):
    (server.dir / "registry.db").write_bytes(content)
    before = server.files()
    assert "damaged" in server.bad(1, *args)
    assert server.files() == before


@needs_root
def test_a_directory_of_somebody_else_is_told(open_tmp, open_programs):
    ctl = Ctl(open_tmp, open_programs).init()
    for args in VERBS:
        said = ctl.bad(1, *args, user=12345, group=12345, extra_groups=[])
        assert "Permission denied" in said
    readable = open_tmp / "server"
    readable.chmod(0o755)
    for path in readable.iterdir():
        path.chmod(0o644)
    open_tmp.chmod(0o777)
    before = ctl.files()
    said = ctl.bad(1, "invite", "alice", "-o", "x.fp", user=12345, group=12345, extra_groups=[])
    assert ctl.files() == before


@needs_root
def test_a_read_only_directory_is_told(open_tmp):
    ctl = Ctl(open_tmp)
    ctl.dir.mkdir()
    os.chown(ctl.dir, 12345, 12345)
    ctl.init()
    ctl.ok("invite", "alice", "-o", "alice.fp")
    ctl.dir.chmod(0o500)
    (ctl.dir / "registry.db").chmod(0o400)
    before = ctl.files()
    for args in [["invite", "bob", "-o", "bob.fp"], ["revoke", "alice"]]:
        ctl.bad(1, *args)
        assert ctl.files() == before


# --- the operator's key


def test_without_the_signing_key_nothing_is_issued(server):
    (server.dir / "operator.key").unlink()
    before = server.files()
    for args in [["invite", "alice"], ["admit", "-", "--name", "alice"]]:
        assert "operator's key is not in" in server.bad(1, *args, "-o", "x.fp", input=request())
        assert server.files() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o700])
def test_a_signing_key_that_others_may_touch_is_refused(server, mode):
    (server.dir / "operator.key").chmod(mode)
    said = server.bad(1, "invite", "alice", "-o", "alice.fp")
    assert f"chmod 600 {server.dir}/operator.key" in said
    assert not (server.tmp / "alice.fp").exists()
    assert server.ok("list").stdout == ""


def test_a_signing_key_behind_a_link_or_with_two_names_is_refused(server):
    key = server.dir / "operator.key"
    os.link(key, server.tmp / "second")
    server.bad(1, "invite", "alice", "-o", "alice.fp")
    key.unlink()
    key.symlink_to(server.tmp / "second")
    server.bad(1, "invite", "alice", "-o", "alice.fp")
    assert server.ok("list").stdout == ""


def spoilt(text):
    at = text.index("\n") + 5
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


@pytest.mark.parametrize(
    "spoil, said",
    [
        (spoilt, "checksum"),
        (lambda text: text[: len(text) // 2], "end is missing"),
        (lambda text: "", "not a Cypher Net file"),
        (lambda text: text + "more\n", "not a Cypher Net file"),
        (lambda text: text + "\n" * 100000, "not a Cypher Net file"),
        (lambda text: armor("SERVER KEY", b"\x01" + bytes(32)), "another kind"),
        (lambda text: armor("OPERATOR KEY", b"\x02" + bytes(32)), "version"),
        (lambda text: armor("OPERATOR KEY", b"\x01" + bytes(31)), "malformed"),
        (lambda text: armor("OPERATOR KEY", b"\x01" + bytes(33)), "malformed"),
        (lambda text: armor("OPERATOR KEY", b"\x01" + bytes(32)), "not the key that this server believes"),
    ],
)
def test_a_spoilt_signing_key_is_refused(server, spoil, said):
    key = server.dir / "operator.key"
    key.write_text(spoil(key.read_text()))
    assert said in server.bad(1, "invite", "alice", "-o", "alice.fp")
    assert not (server.tmp / "alice.fp").exists()
    assert server.ok("list").stdout == ""


# --- subscribers


def test_a_label_in_use_is_refused(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    before = server.files()
    for state in ["active", "suspended"]:
        said = server.bad(1, "invite", "alice", "-o", "x.fp")
        assert "renew alice" in said
        server.bad(1, "admit", "-", "--name", "alice", "-o", "x.fp", input=request())
        assert server.files().keys() == before.keys()
        if state == "active":
            server.ok("suspend", "alice")


@pytest.mark.parametrize("verb", [["renew", "bob"], ["revoke", "bob"], ["revoke", "12345"], ["suspend", "bob"], ["unsuspend", "bob"]])
def test_a_subscriber_who_is_not_there(server, verb):
    server.ok("invite", "alice", "-o", "alice.fp")
    before = server.files()
    said = server.bad(1, *verb)
    assert f"no subscriber {verb[1]}" in said and "list" in said
    assert server.files() == before


@pytest.mark.parametrize("serial", ["0", "9223372036854775808", "99999999999999999999999"])
def test_a_number_that_is_no_serial(server, serial):
    assert "no subscriber" in server.bad(1, "revoke", serial)


@pytest.mark.parametrize("verb", ["renew", "suspend", "unsuspend"])
def test_revocation_is_for_good(server, verb):
    server.ok("invite", "alice", "-o", "alice.fp")
    server.ok("revoke", "alice")
    said = server.bad(1, verb, "alice")
    assert "for good" in said and "invite alice" in said


def test_renewing_the_suspended_says_so(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    server.ok("suspend", "alice")
    assert "unsuspend alice" in server.bad(1, "renew", "alice", "-o", "x.fp")


def test_a_request_is_admitted_once(server):
    server.ok("admit", "-", "--name", "alice", "-o", "alice.fp", input=request())
    assert "is alice's already" in server.bad(1, "admit", "-", "--name", "bob", "-o", "bob.fp", input=request())
    server.ok("revoke", "alice")
    assert "revoked" in server.bad(1, "admit", "-", "--name", "bob", "-o", "bob.fp", input=request())
    assert not (server.tmp / "bob.fp").exists()


# --- requests


GOOD = request()


@pytest.mark.parametrize(
    "content, said",
    [
        ("", "not a Cypher Net file"),
        ("hello\n", "not a Cypher Net file"),
        ("hello\n" + GOOD, "not a Cypher Net file"),
        (GOOD + "regards\n", "not a Cypher Net file"),
        (GOOD + GOOD, "not a Cypher Net file"),
        (spoilt(GOOD), "checksum"),
        (armor("CARD", b"\x01" + bytes(32)), "contact card"),
        (armor("FINGERPRINT", b"\x01" + bytes(32)), "this is a fingerprint"),
        (armor("IDENTITY", b"\x01" + bytes(32)), "another kind"),
        (armor("REQUEST", b"\x02" + bytes([9]) + bytes(31)), "version"),
        (armor("REQUEST", b"\x01" + bytes([9]) + bytes(30)), "malformed"),
        (armor("REQUEST", b"\x01" + bytes([9]) + bytes(32)), "malformed"),
        (armor("REQUEST", b""), "malformed"),
        (armor("REQUEST", b"\x01" + bytes(32)), "key is not valid"),
        (armor("REQUEST", bytes(9000)), "full"),
        ("A" * 1000000, "limit"),
        (GOOD + "\n" * 1000000, "limit"),
        ("\0" * 100, "not a Cypher Net file"),
        (GOOD.replace("\n", "\r"), "not a Cypher Net file"),
    ],
    ids=lambda value: value[:12].strip(),
)
def test_a_bad_request_is_refused(server, content, said):
    (server.tmp / "request").write_bytes(content.encode())
    before = server.files()
    for source in ["request", "-"]:
        got = server.bad(1, "admit", source, "--name", "alice", "-o", "x.fp", input=content)
        assert said in got and "hint: " in got
        assert server.files() == before


def test_a_request_cut_anywhere_is_refused(server):
    before = server.files()
    for size in range(len(GOOD) - 1):
        server.bad(1, "admit", "-", "--name", "alice", "-o", "x.fp", input=GOOD[:size])
    assert server.files() == before


def test_a_request_that_is_not_there(server):
    assert "No such file" in server.bad(1, "admit", "request", "--name", "alice", "-o", "x.fp")
    server.bad(1, "admit", ".", "--name", "alice", "-o", "x.fp")


# --- the output file


def test_a_file_that_is_there_is_not_replaced(server):
    for name in ["file", "link", "directory"]:
        path = server.tmp / name
        if name == "file":
            path.write_text("precious")
        elif name == "link":
            path.symlink_to("nowhere")
        else:
            path.mkdir()
        said = server.bad(1, "invite", "alice", "-o", name)
        assert "already" in said and "nothing has been changed" in said
    assert (server.tmp / "file").read_text() == "precious"
    assert not (server.tmp / "nowhere").exists()
    assert server.ok("list").stdout == ""


@pytest.mark.parametrize("name", ["nowhere/alice.fp", "server/", ".", "..", "/", "a" * 256, "/dev/null/x"])
def test_a_file_that_cannot_be_made(server, name):
    before = server.files()
    server.bad(1, "invite", "alice", "-o", name)
    assert server.files() == before
    assert server.ok("list").stdout == ""


@needs_root
def test_a_directory_that_may_not_be_written(open_tmp, open_programs):
    ctl = Ctl(open_tmp, open_programs)
    ctl.dir.mkdir()
    os.chown(ctl.dir, 12345, 12345)
    ctl.init()
    said = ctl.bad(1, "invite", "alice", "-o", "alice.fp", user=12345, group=12345, extra_groups=[])
    assert "Permission denied" in said
    assert ctl.ok("list").stdout == ""


def test_a_closed_standard_output_revokes_what_may_have_been_seen(server):
    command = [BUILD / "cyphernetctl", "--dir", server.dir, "invite", "alice", "-o", "-"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "No space left" in done.stderr and "revoked again" in done.stderr
    assert " revoked " in server.ok("list").stdout
    server.ok("invite", "alice", "-o", "alice.fp")


def test_a_closed_standard_output_leaves_the_admitted_in(server):
    command = [BUILD / "cyphernetctl", "--dir", server.dir, "admit", "-", "--name", "alice", "-o", "-"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, input=GOOD, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "renew alice -o FILE" in done.stderr
    server.ok("renew", "alice", "-o", "alice.fp")


@pytest.mark.parametrize("args", [["help"], ["list", "--json"], ["--version"]])
def test_a_full_standard_output_is_a_failure(server, args):
    server.ok("invite", "alice", "-o", "alice.fp")
    command = [BUILD / "cyphernetctl", "--dir", server.dir, *args]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "standard output" in done.stderr


# --- a full disk


def limited(size):
    def set_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return set_limit


@pytest.mark.parametrize("size", [0, 100, 200, 4096, 8192, 32768])
def test_init_on_a_full_disk_leaves_nothing(ctl, size):
    said = ctl.bad(1, "init", "--listen", "127.0.0.1:9", preexec_fn=limited(size))
    assert "File too large" in said or "No space left" in said or "Input/output error" in said
    assert not ctl.dir.exists()


@pytest.mark.parametrize("size", [0, 100, 300, 512])
def test_invite_on_a_full_disk_leaves_nothing(server, size):
    before = server.files()
    said = server.bad(1, "invite", "alice", "-o", "alice.fp", preexec_fn=limited(size))
    assert "File too large" in said and "make room" in said
    assert server.files() == before
    assert server.ok("list").stdout == ""


FULL_SCRIPT = """
set -e
mount -t tmpfs -o size=256k tmpfs "$1"
cd "$1"
program=$2
ctl() { "$program" --dir server "$@"; }
ctl -q init --listen 127.0.0.1:9
ctl -q invite alice -o alice.fp
head -c 1M /dev/zero >filler 2>/dev/null || true
for verb in "invite bob -o bob.fp" "revoke alice" "renew alice -o new.fp" "renew --all" "move --public a.b:1" \
    "export-revocations -o list"; do
    if ctl $verb 2>>"$3"; then echo "done: $verb"; else echo "failed: $?"; fi
done
ls . server
rm filler
ctl list
"""


@needs_root
def test_a_full_file_system_loses_nothing(ctl):
    where = ctl.tmp / "mount"
    where.mkdir()
    said = ctl.tmp / "said"
    command = ["unshare", "-m", "sh", "-c", FULL_SCRIPT, "sh", where, BUILD / "cyphernetctl", said]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("not allowed to mount")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("failed: 1\n") == 6, done.stdout
    assert "bob.fp" not in done.stdout and "new.fp" not in done.stdout and ".cyphernet-" not in done.stdout
    assert done.stdout.splitlines()[-1].split()[:2] == ["alice", "active"]
    assert said.read_text().count("No space left on device") == 6


# --- many at once


def spawn(server, *args):
    command = [BUILD / "cyphernetctl", "--dir", server.dir, "-q", *args]
    return subprocess.Popen([str(word) for word in command], cwd=server.tmp, stderr=subprocess.PIPE, text=True)


def test_many_at_once_each_get_their_own(server):
    running = [spawn(server, "invite", f"s{i}", "-o", f"s{i}.fp") for i in range(12)]
    assert [(process.communicate()[1], process.returncode) for process in running] == [("", 0)] * 12
    serials = {fingerprint((server.tmp / f"s{i}.fp").read_text())["serial"] for i in range(12)}
    assert len(serials) == 12
    assert len(server.ok("list", "--json").stdout.splitlines()) == 12


def test_of_many_with_one_label_one_wins(server):
    running = [spawn(server, "invite", "alice", "-o", f"{i}.fp") for i in range(8)]
    for process in running:
        process.communicate()
    assert sorted(process.returncode for process in running) == [0] + [1] * 7
    made = list(server.tmp.glob("*.fp"))
    assert len(made) == 1
    [line] = server.ok("list", "--json").stdout.splitlines()
    assert f'"serial":"{fingerprint(made[0].read_text())["serial"]}"' in line


def test_of_many_with_one_file_one_wins_and_the_others_are_not_entered(server):
    running = [spawn(server, "invite", f"s{i}", "-o", "same.fp") for i in range(8)]
    for process in running:
        process.communicate()
    assert sorted(process.returncode for process in running) == [0] + [1] * 7
    label = fingerprint((server.tmp / "same.fp").read_text())["label"]
    [line] = server.ok("list", "--json").stdout.splitlines()
    assert f'"label":"{label}"' in line


def test_of_many_inits_one_wins(ctl):
    running = [spawn(ctl, "init", "--listen", f"127.0.0.1:{i + 1}") for i in range(8)]
    for process in running:
        process.communicate()
    assert sorted(process.returncode for process in running) == [0] + [1] * 7
    fingerprint(ctl.ok("invite", "alice", "-o", "-").stdout)
    assert not list(ctl.dir.glob(".cyphernet-*"))
