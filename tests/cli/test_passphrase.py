"""Keys under a passphrase: without it nothing opens and nothing is lost; set, changed and taken off again."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import termios

import pytest

from cn_helper import copied, exchange, exchanged
from ctl_helper import BUILD, armor, unarmor
from live import until
from sealing import cheapened, given

FIRST, SECOND = "correct horse", "battery staple"


def set_one(person, *passphrases):
    return person.ok("passphrase", "--passphrase-fd", "0", **given(*passphrases))


def texts(person):
    return {path.name: path.read_text() for path in person.home.rglob("*") if path.is_file()}


class Asked:
    """`cyphernet` of a person with a terminal as its controlling one."""

    def __init__(self, person, *words):
        self.ours, theirs = os.openpty()
        os.set_blocking(self.ours, False)
        self.shown = b""

        def own():
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [str(word) for word in (BUILD / "cyphernet", *words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=person.tmp, preexec_fn=own, pass_fds=[theirs],
            env={**os.environ, "CYPHERNET_HOME": str(person.home)})
        self.theirs = theirs

    def look(self):
        with contextlib.suppress(OSError):
            while more := os.read(self.ours, 65536):
                self.shown += more
        return self.shown.decode()

    def shows(self, text):
        until(lambda: text in self.look() and not self.echoes(), text)

    def echoes(self):
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.ours, text.encode())

    def end(self, code):
        output, errors = self.process.communicate(timeout=60)
        self.look()
        assert self.process.returncode == code, (self.shown, errors)
        assert self.echoes()
        os.close(self.theirs)
        os.close(self.ours)
        return output.decode(), errors.decode()


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """`ann`, who has `bob` as contact and a passphrase; she is copied for each test, since that is costly to make."""
    people = exchanged(tmp_path_factory.mktemp("origin"))
    set_one(people[0], FIRST)
    shutil.copy(people[0].home / "storage.key", people[0].tmp / "as-made")
    cheapened(people[0], FIRST)
    return people


@pytest.fixture
def sealed(origin, tmp_path):
    return copied(origin[0], tmp_path)


@pytest.fixture
def friend(origin, tmp_path):
    """`bob`, who has `ann` as contact, and no passphrase."""
    return copied(origin[1], tmp_path)


# --- what is refused


COMMANDS = [["contact", "list"], ["contact", "show", "bob"], ["contact", "offer", "bob"], ["contact", "verify", "bob"],
            ["contact", "rename", "bob", "carl"], ["contact", "offer", "carl"], ["request"], ["talk", "bob"],
            ["pipe", "bob"], ["backup"], ["passphrase"], ["passphrase", "--remove"], ["init"], ["init", "--passphrase"]]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: "-".join(words))
def test_a_wrong_passphrase_changes_nothing(sealed, words):
    assert "the passphrase is wrong" in sealed.bad(1, *words, "--passphrase-fd", "0", **given(SECOND, SECOND))


@pytest.mark.parametrize("words", [["contact", "list"], ["passphrase"], ["join", "file"]])
def test_nobody_there_to_ask(sealed, words):
    said = sealed.bad(1, *words, start_new_session=True)
    assert "no terminal" in said and "--passphrase-fd" in said


@pytest.mark.parametrize("number", ["", "x", "-1", " 0", "0x", "99", "99999999999999999999"])
def test_what_is_no_descriptor(sealed, number):
    assert "--passphrase-fd wants" in sealed.bad(2, "contact", "list", f"--passphrase-fd={number}")


def test_a_descriptor_with_nothing_in_it(sealed):
    assert "no passphrase" in sealed.bad(1, "contact", "list", "--passphrase-fd=0", input="")
    assert "too long" in sealed.bad(1, "contact", "list", "--passphrase-fd=0", input="x" * 2000)
    assert "directory" in sealed.bad(1, "contact", "list", "--passphrase-fd=0", stdin=os.open("/", os.O_RDONLY))


def test_one_that_is_too_short(ann):
    said = ann.bad(1, "passphrase", "--passphrase-fd", "0", **given("short"))
    assert "8 characters" in said


def test_a_new_one_that_is_not_given(sealed):
    assert "no passphrase" in sealed.bad(1, "passphrase", "--passphrase-fd", "0", **given(FIRST))


@pytest.mark.parametrize("name", ["identity", "fingerprint", "contacts/bob", "storage.key"])
def test_a_damaged_file(sealed, name):
    path = sealed.home / name
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    said = sealed.bad(3, "contact", "offer", "bob", "--new", "--passphrase-fd", "0", **given(FIRST))
    assert name in said and "checksum" in said and "restore it" in said


def test_a_file_in_place_of_another(sealed):
    """Sealed by the same key, and yet not what it is."""
    sealed.ok("contact", "offer", "carl", "--passphrase-fd", "0", **given(FIRST))
    (sealed.home / "contacts/bob").write_bytes((sealed.home / "contacts/carl").read_bytes())
    sealed.bad(3, "contact", "show", "bob", "--passphrase-fd", "0", **given(FIRST))


def test_a_plain_file_is_not_believed(sealed):
    """Who can write to the disk, and has no passphrase, cannot put a contact there."""
    (sealed.home / "contacts/bob").write_text(armor("CONTACT", b"\x01\x00\x00\x00\x00\x00"))
    assert "another kind" in sealed.bad(1, "contact", "show", "bob", "--passphrase-fd", "0", **given(FIRST))


def test_a_state_that_was_changed(sealed):
    """As this would make plain files believed."""
    path = sealed.home / "storage.key"
    body = bytearray(unarmor("STORAGE KEY", path.read_text()))
    assert body[17] == 2
    body[17] = 1
    path.write_text(armor("STORAGE KEY", bytes(body)))
    sealed.bad(3, "contact", "list", "--passphrase-fd", "0", **given(FIRST))


@pytest.mark.parametrize("at, value", [(50, 13), (50, 63), (51, 255), (52, 0), (52, 99)])
def test_a_file_that_asks_for_too_much_work(origin, sealed, at, value):
    path = sealed.home / "storage.key"
    body = bytearray(unarmor("STORAGE KEY", (origin[0].tmp / "as-made").read_text()))
    assert tuple(body[50:53]) == (17, 8, 1)
    body[at] = value
    path.write_text(armor("STORAGE KEY", bytes(body)))
    assert "malformed" in sealed.bad(1, "contact", "list", "--passphrase-fd", "0", **given(FIRST))


def test_a_key_file_that_others_may_read(sealed):
    (sealed.home / "storage.key").chmod(0o644)
    assert "chmod 600" in sealed.bad(1, "contact", "list", "--passphrase-fd", "0", **given(FIRST))


def test_a_key_file_that_is_gone(sealed):
    (sealed.home / "storage.key").unlink()
    assert "storage.key" in sealed.bad(1, "contact", "list")


# --- at a terminal


def test_two_that_differ(ann):
    before = texts(ann)
    asked = Asked(ann, "passphrase")
    asked.shows("Passphrase for your keys, new: ")
    asked.type(f"{FIRST}\n")
    asked.shows("again: ")
    asked.type(f"{SECOND}\n")
    assert "not the same" in asked.end(1)[1]
    assert texts(ann) == before


def test_it_is_asked_for_and_not_shown(ann, bob):
    exchange(ann, bob)
    asked = Asked(ann, "passphrase")
    for prompt in ("new: ", "again: "):
        asked.shows(prompt)
        asked.type(f"{FIRST}\n")
    asked.end(0)
    asked_too = Asked(ann, "contact", "list")
    asked_too.shows("Passphrase for your keys: ")
    asked_too.type(f"{FIRST}\n")
    assert "bob" in asked_too.end(0)[0]
    assert FIRST not in asked.shown.decode() + asked_too.shown.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_terminal_as_it_was(sealed, number):
    asked = Asked(sealed, "contact", "list")
    asked.shows("Passphrase")
    asked.process.send_signal(number)
    asked.end(-number)


# --- what works


def test_nothing_secret_stays_open(sealed):
    for name, text in texts(sealed).items():
        assert text.startswith(f"-----BEGIN CYPHERNET {'STORAGE KEY' if name == 'storage.key' else 'SEALED FILE'}-----")
    assert all(path.stat().st_mode & 0o077 == 0 for path in sealed.home.rglob("*"))


def test_everything_works_under_it(sealed, friend):
    options = ["--passphrase-fd", "0"]
    assert "bob" in sealed.ok("contact", "list", *options, **given(FIRST)).stdout
    sealed.ok("contact", "verify", "bob", "--yes", *options, **given(FIRST))
    sealed.ok("contact", "rename", "bob", "robert", *options, **given(FIRST))
    shown = sealed.ok("contact", "show", "robert", *options, **given(FIRST)).stdout
    assert "verified" in shown and friend.safety("ann") in shown
    assert sorted(path.name for path in (sealed.home / "contacts").iterdir()) == ["robert"]
    sealed.ok("contact", "offer", "carl", *options, **given(FIRST))
    assert "already there" in sealed.bad(1, "contact", "rename", "carl", "robert", *options, **given(FIRST))
    sealed.ok("contact", "remove", "robert", *options, **given(FIRST))
    assert "there is no contact 'robert'" in sealed.bad(1, "contact", "show", "robert", *options, **given(FIRST))


def test_before_the_command_too(sealed):
    for words in (["--passphrase-fd", "0"], ["--passphrase-fd=0"], ["-q", "--passphrase-fd", "0", "-v"]):
        assert "bob" in sealed.ok(*words, "contact", "list", **given(FIRST)).stdout


def test_another_passphrase(sealed):
    identity = (sealed.home / "identity").read_text()
    set_one(sealed, FIRST, SECOND)
    cheapened(sealed, SECOND)
    assert (sealed.home / "identity").read_text() == identity
    sealed.bad(1, "contact", "list", "--passphrase-fd", "0", **given(FIRST))
    sealed.ok("contact", "list", "--passphrase-fd", "0", **given(SECOND))


def test_taken_off_again(ann, bob):
    exchange(ann, bob)
    before = texts(ann)
    set_one(ann, FIRST)
    cheapened(ann, FIRST)
    ann.ok("passphrase", "--remove", "--passphrase-fd", "0", **given(FIRST))
    assert texts(ann) == before
    assert "no passphrase" in ann.ok("passphrase", "--remove").stderr


def test_made_with_one(stranger):
    stranger.ok("init", "--passphrase", "--passphrase-fd", "0", **given(FIRST))
    assert set(texts(stranger)) == {"identity", "storage.key"}
    cheapened(stranger, FIRST)
    stranger.bad(1, "init", "--passphrase", "--passphrase-fd", "0", **given(FIRST, SECOND))
    stranger.ok("request", "--passphrase-fd", "0", **given(FIRST))
    assert "SEALED" in texts(stranger)["admission.key"]


def test_an_interrupted_change_is_finished(ann, bob):
    """Interrupted by a file that cannot be read: all others are used, and once it is mended it goes on."""
    exchange(ann, bob)
    contact = ann.home / "contacts/bob"
    contact.chmod(0o640)
    done = ann.run("passphrase", "--passphrase-fd", "0", **given(FIRST))
    assert done.returncode == 1 and "chmod 600" in done.stderr
    contact.chmod(0o600)
    cheapened(ann, FIRST)
    assert "interrupted" in ann.run("doctor", "--passphrase-fd", "0", **given(FIRST)).stdout
    assert "bob" in ann.ok("contact", "list", "--passphrase-fd", "0", **given(FIRST)).stdout
    set_one(ann, FIRST, SECOND)
    cheapened(ann, SECOND)
    assert all("SEALED FILE" in text or "STORAGE KEY" in text for text in texts(ann).values())
    assert "your keys are sealed" in ann.run("doctor", "--passphrase-fd", "0", **given(SECOND)).stdout


def test_doctor_says_how_it_is(ann):
    assert "none: whoever" in ann.run("doctor").stdout
    set_one(ann, FIRST)
    cheapened(ann, FIRST)
    before = ann.files()
    told = ann.run("doctor", "--passphrase-fd", "0", **given(SECOND))
    assert told.returncode == 1 and "BAD  passphrase" in told.stdout and "wrong" in told.stderr
    assert "ok   passphrase" in ann.run("doctor", "--passphrase-fd", "0", **given(FIRST)).stdout
    assert ann.files() == before
