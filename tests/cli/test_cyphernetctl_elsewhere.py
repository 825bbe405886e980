"""The operator's key is kept on another machine than the server: what each side does, and refuses."""

import json
import subprocess

import pytest

from ctl_helper import Ctl, armor, fingerprint, needs_root, request, unarmor


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


class Elsewhere:
    """`op`, the operator's directory, and `server`, a server's, that know each other."""

    def __init__(self, tmp_path, name="server"):
        self.tmp = tmp_path
        self.op = Ctl(tmp_path)
        self.op.dir = tmp_path / "op"
        self.server = Ctl(tmp_path)
        self.server.dir = tmp_path / name

    def init(self):
        self.op.ok("init", "--listen", "127.0.0.1:7473", "--public", "cypher.example:7473")
        return self.serve()

    def serve(self):
        public = self.op.dir / "operator.pub"
        self.server.ok("init", "--listen", "127.0.0.1:7474", "--operator-key", public)
        self.op.ok("import", self.server.dir / "server.pub")
        return self

    def export(self, name="list"):
        self.op.ok("export-revocations", "-o", name)
        return self.tmp / name

    def count(self):
        """How many certificates the server blocks, and how many notices it has."""
        [line] = lines(self.server.ok("import", "--json", self.export(f"count-{len(list(self.tmp.iterdir()))}")).stdout)
        return line["blocked"], line["notices"]


@pytest.fixture
def elsewhere(tmp_path):
    return Elsewhere(tmp_path).init()


def body_of(path):
    return unarmor("REVOCATIONS", path.read_text())


def test_the_server_has_no_operators_key_but_its_own_public_one(elsewhere):
    names = {path.name for path in elsewhere.server.dir.iterdir()}
    assert "operator.key" not in names
    assert {"server.key", "server.pub", "operator.pub", "registry.db"} <= names
    assert not (elsewhere.server.dir / "server.pub").stat().st_mode & 0o022


def test_fingerprints_name_the_server_that_was_imported(elsewhere):
    got = fingerprint(elsewhere.op.ok("invite", "alice", "-o", "-").stdout)
    assert got["server_key"] == unarmor("SERVER PUBLIC KEY", (elsewhere.server.dir / "server.pub").read_text())[1:]
    assert got["addresses"] == ["cypher.example:7473"]


def test_importing_the_same_server_again_changes_nothing(elsewhere):
    before = (elsewhere.op.dir / "server.pub").read_bytes()
    elsewhere.op.ok("invite", "alice", "-o", "alice.fp")
    elsewhere.op.ok("import", elsewhere.server.dir / "server.pub")
    assert (elsewhere.op.dir / "server.pub").read_bytes() == before


def test_another_server_is_refused_once_fingerprints_are_issued(elsewhere, tmp_path):
    elsewhere.op.ok("invite", "alice", "-o", "alice.fp")
    elsewhere.server.dir = tmp_path / "second"
    elsewhere.server.ok("init", "--listen", "127.0.0.1:1", "--operator-key", elsewhere.op.dir / "operator.pub")
    said = elsewhere.op.bad(1, "import", elsewhere.server.dir / "server.pub")
    assert "issued here for another server already" in said


def test_a_servers_key_is_of_no_use_at_a_server(elsewhere):
    said = elsewhere.server.bad(1, "import", elsewhere.server.dir / "server.pub")
    assert "import it where operator.key is" in said


@pytest.mark.parametrize("verb", [("invite", "x", "-o", "x.fp"), ("admit", "x.request", "--name", "x", "-o", "x.fp")])
def test_what_needs_the_key_says_where_it_is(elsewhere, verb):
    (elsewhere.tmp / "x.request").write_text(request())
    said = elsewhere.server.bad(1, *verb)
    assert "the operator's key is not in" in said
    assert "issued where operator.key is; this server need not know" in said
    assert not (elsewhere.tmp / "x.fp").exists()


@pytest.mark.parametrize("verb", [("renew", "x"), ("renew", "--all"), ("move", "--public", "a.b:1"),
                                  ("export-revocations", "-o", "list")])
def test_what_the_server_must_know_is_done_where_the_key_is_and_brought(elsewhere, verb):
    before = elsewhere.server.files()
    said = elsewhere.server.bad(1, *verb)
    if verb != ("renew", "x"):
        assert "`cyphernetctl export-revocations` there" in said
    assert elsewhere.server.files() == before


@pytest.mark.parametrize("verb", ["revoke", "suspend", "unsuspend"])
def test_who_is_unknown_at_the_server_is_to_be_blocked_at_the_operators(elsewhere, verb):
    elsewhere.op.ok("invite", "alice", "-o", "alice.fp")
    said = elsewhere.server.bad(1, verb, "alice")
    assert "there is no subscriber alice" in said
    assert "`cyphernetctl import` here" in said


@pytest.mark.parametrize("verb", [("revoke", "alice"), ("suspend", "alice"), ("renew", "alice"), ("renew", "--all"),
                                  ("move", "--public", "new.example:1")])
def test_at_the_operators_it_says_what_comes_next(elsewhere, verb):
    elsewhere.op.ok("invite", "alice", "-o", "alice.fp")
    said = elsewhere.op.ok(*verb).stderr
    assert "next: cyphernetctl export-revocations -o FILE, and import it at the server" in said
    assert "no server runs" not in said


def test_revocations_and_renewals_arrive_whole(elsewhere):
    for name in ["alice", "bob", "carol"]:
        elsewhere.op.ok("invite", name, "-o", f"{name}.fp")
    assert elsewhere.count() == (0, 0)
    elsewhere.op.ok("revoke", "alice")
    elsewhere.op.ok("suspend", "bob")
    elsewhere.op.ok("renew", "carol")
    elsewhere.op.ok("move", "--public", "new.example:1")
    assert elsewhere.count() == (2, 2)
    elsewhere.op.ok("unsuspend", "bob")
    elsewhere.op.ok("renew", "--all")  # bob, and carol again
    assert elsewhere.count() == (1, 3)


def test_no_label_and_no_secret_is_in_it(elsewhere):
    elsewhere.op.ok("invite", "alice", "-o", "alice.fp")
    secret = fingerprint((elsewhere.tmp / "alice.fp").read_text())["secret"]
    elsewhere.op.ok("renew", "alice")
    body = body_of(elsewhere.export())
    assert b"alice" not in body
    assert secret not in body
    assert unarmor("OPERATOR KEY", (elsewhere.op.dir / "operator.key").read_text())[1:] not in body


def test_an_older_list_is_refused_and_the_same_again_is_not(elsewhere):
    elsewhere.op.ok("invite", "alice", "-o", "alice.fp")
    old = elsewhere.export("old")
    elsewhere.op.ok("revoke", "alice")
    new = elsewhere.export("new")
    elsewhere.server.ok("import", new)
    said = elsewhere.server.bad(1, "import", old)
    assert "older than what this server has been told" in said
    [line] = lines(elsewhere.server.ok("import", "--json", new).stdout)
    assert line["blocked"] == 1


def test_numbers_rise_within_a_second(elsewhere):
    numbers = [int(lines(elsewhere.op.ok("export-revocations", "--json", "-o", f"{i}").stdout)[0]["number"])
               for i in range(5)]
    assert numbers == sorted(set(numbers))


def test_a_list_for_another_server_of_the_operator_is_refused(elsewhere, tmp_path):
    other = Ctl(tmp_path)
    other.dir = tmp_path / "other"
    other.ok("init", "--listen", "127.0.0.1:1", "--operator-key", elsewhere.op.dir / "operator.pub")
    assert "for another server of this operator" in other.bad(1, "import", elsewhere.export())


def test_a_list_of_another_operator_is_refused(elsewhere, tmp_path):
    (tmp_path / "b").mkdir()
    other = Elsewhere(tmp_path / "b").init()
    said = elsewhere.server.bad(1, "import", other.export())
    assert "an operator whom this server does not believe" in said


def test_a_list_is_refused_where_the_key_is(elsewhere):
    assert "the operator's key is here" in elsewhere.op.bad(1, "import", elsewhere.export())


@pytest.mark.parametrize("at", [0, 1, 8, 9, 40, 41, 72, 76, 77, 85, 117, 118, -1, -64, -65])
def test_a_list_that_was_changed_is_refused_and_changes_nothing(elsewhere, at):
    elsewhere.op.ok("invite", "alice", "-o", "alice.fp")
    elsewhere.op.ok("revoke", "alice")
    body = bytearray(body_of(elsewhere.export()))
    body[at] ^= 1
    (elsewhere.tmp / "bad").write_text(armor("REVOCATIONS", bytes(body)))
    before = elsewhere.server.files()
    elsewhere.server.bad(1, "import", "bad")
    assert elsewhere.server.files() == before


def test_every_part_of_a_list_is_refused(elsewhere):
    elsewhere.op.ok("invite", "alice", "-o", "alice.fp")
    elsewhere.op.ok("revoke", "alice")
    text = elsewhere.export().read_text()
    for size in range(0, len(text) - 1, 23):
        (elsewhere.tmp / "bad").write_text(text[:size])
        elsewhere.server.bad(1, "import", "bad")


def test_other_files_are_refused_as_such(elsewhere):
    elsewhere.op.ok("invite", "alice", "-o", "alice.fp")
    for name in ["alice.fp", elsewhere.op.dir / "operator.pub", "/dev/null", "nowhere"]:
        elsewhere.server.bad(1, "import", name)


def test_it_comes_through_standard_input(elsewhere):
    text = elsewhere.op.ok("export-revocations", "-o", "-").stdout
    elsewhere.server.ok("import", "-", input=text)


def test_an_export_never_replaces_a_file(elsewhere):
    elsewhere.export("list")
    before = (elsewhere.tmp / "list").read_bytes()
    assert "is there already" in elsewhere.op.bad(1, "export-revocations", "-o", "list")
    assert (elsewhere.tmp / "list").read_bytes() == before


def test_the_export_needs_a_file(elsewhere):
    assert "-o FILE is missing" in elsewhere.op.bad(2, "export-revocations")
    assert "both want standard output" in elsewhere.op.bad(2, "export-revocations", "--json", "-o", "-")


def test_a_directory_of_its_own_exports_too(server):
    """Whoever moves the key away later finds all of it."""
    server.ok("invite", "alice", "-o", "alice.fp")
    server.ok("revoke", "alice")
    [line] = lines(server.ok("export-revocations", "--json", "-o", "list").stdout)
    assert line["blocked"] == 1


FULL_SCRIPT = """
set -e
mount -t tmpfs -o size=256k tmpfs "$1" || exit 99
cp -a "$2/." "$1"
head -c 1M /dev/zero >"$1/filler" 2>/dev/null || true
code=0
"$3" --dir "$1" import "$4" || code=$?
rm "$1/filler"
"$3" --dir "$1" import "$5" >&2 || true
exit $code
"""


@needs_root
def test_a_full_disk_keeps_what_was_imported_before(elsewhere, tmp_path):
    """The list before is still the last: an older one is refused as such, with its number."""
    for i in range(40):
        elsewhere.op.ok("invite", f"s{i}", "-o", f"s{i}.fp")
    older = elsewhere.export("older")
    elsewhere.server.ok("import", elsewhere.export("first"))
    elsewhere.op.ok("renew", "--all")
    for i in range(20):
        elsewhere.op.ok("revoke", f"s{i}")
    (tmp_path / "mount").mkdir()
    command = ["unshare", "-m", "sh", "-c", FULL_SCRIPT, "sh", tmp_path / "mount", elsewhere.server.dir,
               elsewhere.op.programs / "cyphernetctl", elsewhere.export("second"), older]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("not allowed to mount")
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "older than what this server has been told" in done.stderr


# --- move, and what a renewal is ---------------------------------------------------------------------------------------


def test_a_fingerprint_names_the_new_address_after_a_move(server):
    server.ok("move", "--public", "new.example:7473", "--public", "[2001:db8::1]:7473")
    got = fingerprint(server.ok("invite", "alice", "-o", "-").stdout)
    assert got["addresses"] == ["new.example:7473", "[2001:db8::1]:7473"]
    assert got["number"] > 0


@pytest.mark.parametrize("address", ["*:7473", "0.0.0.0:7473", "[::]:7473", "nowhere", "a:0", "a b:1"])
def test_a_move_to_no_address_is_misuse(server, address):
    before = server.files()
    server.bad(2, "move", "--public", address)
    assert server.files() == before


def test_a_move_without_an_address_is_misuse(server):
    assert "--public is missing" in server.bad(2, "move")


def test_more_addresses_than_a_notice_holds_are_refused(server):
    before = server.ok("invite", "alice", "-o", "-").stdout
    addresses = [word for i in range(8) for word in ("--public", f"{i}{'h' * 240}:1")]
    assert "too long, or too many" in server.bad(1, "move", *addresses)
    assert fingerprint(before)["addresses"] == fingerprint(server.ok("invite", "bob", "-o", "-").stdout)["addresses"]


def test_move_json(server):
    [line] = lines(server.ok("move", "--public", "new.example:1", "--json").stdout)
    assert line == {"v": 1, "event": "moved", "public": "new.example:1", "running": False}


def test_a_renewal_whose_file_cannot_be_made_is_none(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    before = server.ok("list", "--json").stdout
    server.bad(1, "renew", "alice", "-o", "alice.fp")
    assert server.ok("list", "--json").stdout == before
    [line] = lines(server.ok("export-revocations", "--json", "-o", "list").stdout)
    assert line["notices"] == 0


def test_the_class_goes_into_the_certificate_and_stays(server):
    assert fingerprint(server.ok("invite", "alice", "--class", "7", "-o", "-").stdout)["limits_class"] == 7
    assert fingerprint(server.ok("renew", "alice", "-o", "-").stdout)["limits_class"] == 7
    assert fingerprint(server.ok("renew", "alice", "--class", "0", "-o", "-").stdout)["limits_class"] == 0
    assert lines(server.ok("renew", "alice", "--class", "255", "--json").stdout)[0]["limits_class"] == 255
    assert fingerprint(server.ok("invite", "bob", "-o", "-").stdout)["limits_class"] == 0


@pytest.mark.parametrize("number", ["-1", "256", "x", "", "1x"])
def test_what_is_no_class_is_misuse(server, number):
    server.bad(2, "invite", "alice", f"--class={number}", "-o", "x.fp")
    assert not (server.tmp / "x.fp").exists()
