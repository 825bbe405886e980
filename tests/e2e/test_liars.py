"""A partner who holds the right keys, and says what no partner of this program would."""

import hashlib
import os
import struct
import subprocess

import pytest

from ctl_helper import BUILD

OFFER, ITEM, ENTRY, END, ACCEPT, RESULT = range(1, 7)
BEGIN, PLAIN, PACKED, HOLE, BLOCK, DONE, GONE = range(1, 8)
STORED, EXISTS, BAD_NAME, DISK_FULL, MISMATCH, FAILED, WITHDRAWN, UNCHANGED, UNWANTED = range(9)
FILE, DIRECTORY, LINK = range(1, 4)
BLOCK_SIZE = 1 << 20
UNKNOWN = (1 << 64) - 1


def message(kind, body):
    return struct.pack(">BI", kind, len(body)) + body


SHOWN = 256  # items that are told at most


def item(name=b"x", kind=FILE, files=1, size=4):
    return message(ITEM, struct.pack(">BIQ", kind, files, size) + name)


def counts(entries):
    """Files, directories, links, and octets of files whose size is known."""
    kinds = [body[9] for body in entries]
    sizes = [struct.unpack(">Q", body[14:22])[0] for body in entries]
    known = sum(size for kind, size in zip(kinds, sizes) if kind == FILE and size != UNKNOWN)
    return [kinds.count(kind) for kind in (FILE, DIRECTORY, LINK)] + [known & (1 << 64) - 1]


def offer(*entries, items=None):
    """Of these entries; of the items that are shown they are none, but there are more."""
    shown = [item(b"shown-%d" % number) for number in range(SHOWN)] if items is None else items
    count = SHOWN + 1 if items is None else len(items)
    return message(OFFER, struct.pack(">IIIQI", *counts(entries), count)) + b"".join(shown)


def told(*entries, ends=None, items=None):
    """All of a control stream about these."""
    return offer(*entries, items=items) + b"".join(entries) + end(len(entries) if ends is None else ends)


def entry(name, size, index=0, kind=FILE, mode=0o644, nanoseconds=0, target=b""):
    filled = 0 if size == UNKNOWN else size
    return message(ENTRY, struct.pack(">IBIQQqIQH", index, kind, mode, size, filled, 1, nanoseconds, 7, len(name)) + name + target)


def end(count=1):
    return message(END, struct.pack(">I", count))


def begin(index=0, offset=0):
    return message(BEGIN, struct.pack(">IQ", index, offset))


def plain(content):
    return message(PLAIN, content)


def packed(size, octets):
    return message(PACKED, struct.pack(">I", size) + octets)


def hole(size):
    return message(HOLE, struct.pack(">I", size))


def sha256(content):
    return hashlib.sha256(content).digest()


def total(content):
    return sha256(b"".join(sha256(content[at : at + BLOCK_SIZE]) for at in range(0, len(content), BLOCK_SIZE)))


def done(content, size=None):
    return message(DONE, struct.pack(">Q", len(content) if size is None else size) + total(content))


def gone(code=0):
    return message(GONE, bytes([code]))


def whole(content, index=0):
    return begin(index) + (plain(content) if content else b"") + done(content)


def accept(index=0, how=0, size=0, digest=bytes(32)):
    return message(ACCEPT, struct.pack(">IBQ", index, how, size) + digest)


def result(index, outcome):
    return message(RESULT, struct.pack(">IB", index, outcome))


def said(tmp, octets):
    """As an argument of the liar: long ones go by a file."""
    if len(octets) < 10000:
        return octets.hex()
    path = tmp / f"octets-{len(octets)}"
    path.write_bytes(octets)
    return f"@{path}"


def lie(world, service, control, *data, kind=2, polite=False):
    """Ann lies; data: each in a stream of this kind, or of its own. polite: a talk she ends when bob has left."""
    kinds = [one if isinstance(one, tuple) else (kind, one) for one in data]
    return world.run_program(
        [BUILD / "tests" / "support" / "liar", "bob", service, polite * "polite:" + said(world.tmp, control),
         *[f"{number}:{said(world.tmp, one)}" for number, one in kinds]],
        env={"CYPHERNET_HOME": str(world.ann.home)},
    )


def outcomes(liar):
    """What the receiver said of each entry."""
    text = bytes.fromhex(liar.got().decode())
    found = {}
    while text:
        kind, size = struct.unpack(">BI", text[:5])
        if kind == RESULT:
            index, outcome = struct.unpack(">IB", text[5:10])
            assert index not in found, "one result for each entry"
            found[index] = outcome
        text = text[5 + size :]
    return found


@pytest.fixture
def inner(tmp_path):
    """The directory to receive into, well inside one that is looked over."""
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    return tmp_path / "outer" / "inner"


def everything(inner):
    return sorted(str(path.relative_to(inner.parent)) for path in inner.parent.rglob("*"))


def received(world, inner, control, data=None, words=()):
    taking = world.start(world.bob, "receive", "ann", "-d", inner, *words)
    liar = lie(world, "send", control, *([] if data is None else [data]))
    code = taking.end()
    liar.end()
    return code, taking, liar


def one(name, size=4, **fields):
    """The control stream of a single entry."""
    return told(entry(name, size, **fields))


def test_the_control(world, inner):
    """One who says nothing but the truth with it is believed."""
    code, _, liar = received(world, inner, one(b"name"), whole(b"text"))
    assert code == 0
    assert outcomes(liar) == {0: STORED}
    assert (inner / "name").read_bytes() == b"text"


NAMES = [b"../x", b"/etc/x", b"a/../b", b"..", b".", b"", b"/", b"x/", b"./x", b"..\x2f..\x2fx", b"a//b"]


@pytest.mark.parametrize("words", [[], ["--overwrite"]])
@pytest.mark.parametrize("kind", [FILE, DIRECTORY, LINK])
@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere(world, inner, name, words, kind):
    control = one(name, 4 if kind == FILE else 0, kind=kind, target=b"target" if kind == LINK else b"")
    code, taking, liar = received(world, inner, control, whole(b"text"), words)
    assert code == 1
    assert outcomes(liar) == {0: BAD_NAME}
    assert "not a name for a file" in taking.said()
    assert everything(inner) == ["inner"]


@pytest.mark.parametrize("name", [b"a\0b", b"\0", b"x/" * 2048 + b"x"])
def test_names_that_make_no_sense(world, inner, name):
    code, taking, _ = received(world, inner, one(name), whole(b"text"))
    assert code == 1
    assert "ann said something that makes no sense" in taking.said()
    assert everything(inner) == ["inner"]


def test_a_name_cannot_drive_the_terminal(world, inner):
    name = b"\x1b[2J\x1b]0;t\x07\ncyphernet: error: gotcha"
    _, taking, _ = received(world, inner, one(name), whole(b"text"))
    assert "\x1b" not in taking.said() and "\x07" not in taking.said()
    assert "\ncyphernet: error: gotcha" not in taking.said()
    assert os.listdir(os.fsencode(inner)) == [name]


@pytest.mark.parametrize("name", [b"x", b"deep"])
def test_a_link_in_the_directory_leads_nowhere(world, inner, name):
    (inner / "x").symlink_to("../outside")
    (inner / "deep").symlink_to("..")
    _, _, liar = received(world, inner, one(name), whole(b"text"), ["--overwrite"])
    assert outcomes(liar) == {0: STORED}
    assert not (inner / name.decode()).is_symlink()
    assert everything(inner) == ["inner", "inner/deep", "inner/x"]


@pytest.mark.parametrize("words", [[], ["--overwrite"]])
@pytest.mark.parametrize("target", [b"..", b"/", b"../outside"])
def test_a_link_that_was_sent_leads_nowhere(world, inner, target, words):
    """First a link that leads out, then a file in what would be its target."""
    control = told(entry(b"d", 0, kind=LINK, target=target), entry(b"d/x", 4, index=1))
    code, _, liar = received(world, inner, control, whole(b"text", 1), words)
    assert code == 1
    assert outcomes(liar)[0] == STORED and outcomes(liar)[1] in (EXISTS, FAILED)
    assert everything(inner) == ["inner", "inner/d"]


def test_a_file_whose_directory_did_not_come(world, inner):
    code, _, liar = received(world, inner, one(b"d/x"), whole(b"text"))
    assert code == 1
    assert outcomes(liar)[0] in (BAD_NAME, FAILED)
    assert everything(inner) == ["inner"]


LIES = {
    "shorter than said": (5, whole(b"text"), MISMATCH),
    "longer than said": (3, whole(b"text"), MISMATCH),
    "another sum": (4, begin() + plain(b"text") + done(b"tExt"), MISMATCH),
    "another size at the end": (4, begin() + plain(b"text") + done(b"text", 5), MISMATCH),
    "empty, but said to be more": (1, whole(b""), MISMATCH),
    "not empty, but said to be": (0, whole(b"text"), MISMATCH),
    "a hole for octets": (4, begin() + hole(4) + done(b"text"), MISMATCH),
    "packed nonsense": (4, begin() + packed(4, b"nonsense") + done(b"text"), MISMATCH),
    "packed nothing like it": (4, begin() + packed(4, b"\x28\xb5\x2f\xfd\x24\x02\x11\x00\x00hi") + done(b"text"), MISMATCH),
    "given up": (4, begin() + plain(b"te") + gone(), WITHDRAWN),
    "larger than any disk": ((1 << 63) - 1, begin() + plain(b"text"), DISK_FULL),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_content_that_is_not_what_was_said(world, inner, lie):
    size, data, outcome = LIES[lie]
    code, taking, liar = received(world, inner, one(b"x", size), data)
    assert code == 1
    assert outcomes(liar) == {0: outcome}
    assert "cyphernet: error: x: " in taking.said()
    assert everything(inner) == ["inner"]


def test_a_block_whose_sum_is_another(world, inner):
    content = bytes(BLOCK_SIZE) + b"rest"
    data = begin() + plain(content[:BLOCK_SIZE]) + message(BLOCK, sha256(b"another")) + plain(b"rest") + done(content)
    code, _, liar = received(world, inner, one(b"x", len(content)), data)
    assert code == 1
    assert outcomes(liar) == {0: MISMATCH}
    assert everything(inner) == ["inner"]


def test_a_bomb_unpacks_to_no_more_than_it_said(world, inner):
    """A frame of zstd that holds 1 GiB of zeros in blocks of one octet each (RFC 8878 3.1.1)."""
    bomb = b"\x28\xb5\x2f\xfd\x00\x88" + b"\x02\x00\x10\x00" * 8191 + b"\x03\x00\x10\x00"
    code, _, liar = received(world, inner, one(b"x", BLOCK_SIZE), begin() + packed(BLOCK_SIZE, bomb) +
                             message(BLOCK, sha256(bytes(BLOCK_SIZE))) + done(bytes(BLOCK_SIZE)))
    assert code == 1
    assert outcomes(liar) == {0: MISMATCH}
    assert everything(inner) == ["inner"]


def test_set_uid_is_not_granted(world, inner):
    received(world, inner, one(b"x", mode=0o107777), whole(b"text"))
    assert (inner / "x").stat().st_mode & 0o7777 == 0o777


def test_two_of_one_name(world, inner):
    control = told(entry(b"x", 4), entry(b"x", 4, index=1))
    code, _, liar = received(world, inner, control, whole(b"text") + whole(b"text", 1))
    assert code != 0
    assert sorted(outcomes(liar).values()) == [STORED, EXISTS]
    assert everything(inner) == ["inner", "inner/x"]


def test_two_of_one_name_overwrite_each_other_never(world, inner):
    """--overwrite is for what was there before the call."""
    (inner / "x").write_bytes(b"old")
    control = told(entry(b"x", 4), entry(b"x", 5, index=1))
    code, _, liar = received(world, inner, control, whole(b"text") + whole(b"other", 1), ["--overwrite"])
    assert code == 1
    stored, refused = sorted(outcomes(liar).items(), key=lambda told: told[1])
    assert (stored[1], refused[1]) == (STORED, EXISTS)
    assert (inner / "x").read_bytes() == [b"text", b"other"][stored[0]]
    assert everything(inner) == ["inner", "inner/x"]


NONSENSE = {
    "nothing": b"",
    "half a head": b"\x01\x00",
    "half a message": (offer(entry(b"x", 4)) + entry(b"x", 4))[:-3],
    "no such type": message(0, b""),
    "type to come": message(99, b"abcd"),
    "too large": struct.pack(">BI", ENTRY, 0xFFFFFFFF),
    "an answer": accept(),
    "a result": result(0, 0),
    "no offer": entry(b"x", 4) + end(),
    "two offers": offer() + one(b"x"),
    "an item that was not announced": offer(items=[]) + item() + end(0),
    "items that did not come": message(OFFER, struct.pack(">IIIQI", 1, 0, 0, 4, 2)) + item() + entry(b"x", 4) + end(),
    "index out of order": told(entry(b"x", 4, index=1)),
    "index far off": told(entry(b"x", 4, index=0xFFFFFFFF)),
    "wrong count": told(entry(b"x", 4), ends=2),
    "end twice": one(b"x") + end(),
    "entry after the end": offer() + end(0) + entry(b"x", 4),
    "less than was offered": offer(entry(b"x", 4), entry(b"y", 4)) + entry(b"x", 4) + end(),
    "fewer octets than were offered": offer(entry(b"x", 5)) + entry(b"x", 4) + end(),
    "no such type of entry": one(b"x", kind=4),
    "a directory with a size": one(b"x", 4, kind=DIRECTORY),
    "a link that says nothing": one(b"x", 0, kind=LINK),
    "a file that is a link": one(b"x", target=b"target"),
    "short body": message(ENTRY, b"abc"),
    "long body": offer() + message(END, b"\0" * 5),
    "size beyond all": one(b"x", 1 << 63),
    "nanoseconds beyond a second": one(b"x", nanoseconds=1_000_000_000),
}


MORE = [entry(b"x", 4), entry(b"y", 4, 1)]
NOT_OFFERED = {  # what comes: what was offered, and the items that a user was shown
    "a file more": (MORE, MORE[:1], None),
    "octets more": ([entry(b"x", 5)], MORE[:1], None),
    "a directory": ([entry(b"x", 0, kind=DIRECTORY)], MORE[:1], None),
    "a link": ([entry(b"x", 0, kind=LINK, target=b"y")], MORE[:1], None),
    "without end": ([entry(b"x", UNKNOWN)], MORE[:1], None),
    "without end, and so offered, but not shown": ([entry(b"x", UNKNOWN)], [entry(b"x", UNKNOWN)], None),
    "another name": (MORE[1:], MORE[1:], [item(b"x")]),
    "a longer name": ([entry(b"xx", 4)], MORE[:1], [item(b"x")]),
    "another type": ([entry(b"x", 4)], MORE[:1], [item(b"x", DIRECTORY)]),
    "more octets in an item": (MORE, MORE, [item(b"x", size=3), item(b"y", size=5)]),
    "more files in an item": ([entry(b"d/x", 0), entry(b"d/y", 0, 1)], MORE[:2], [item(b"d", DIRECTORY, 1, 8)]),
    "without end in an item": ([entry(b"x", UNKNOWN)], [entry(b"x", UNKNOWN)], [item(b"x")]),
}


@pytest.mark.parametrize("what", sorted(NOT_OFFERED))
def test_nothing_comes_but_what_was_offered(world, inner, what):
    """A user may have been asked about that, and about nothing else."""
    comes, offered, items = NOT_OFFERED[what]
    control = offer(*offered, items=items) + b"".join(comes) + end(len(comes))
    code, taking, _ = received(world, inner, control)
    assert code not in (0, None)
    assert "said something that makes no sense" in taking.said(), taking.said()
    assert everything(inner) == ["inner"]


def test_what_was_offered_and_shown_comes(world, inner):
    entries = [entry(b"d", 0, kind=DIRECTORY), entry(b"d/x", 4, 1), entry(b"y", UNKNOWN, 2)]
    items = [item(b"d", DIRECTORY), item(b"y", size=UNKNOWN)]
    code, taking, _ = received(world, inner, told(*entries, items=items), whole(b"text", 1) + whole(b"long text", 2))
    assert code == 0, taking.said()
    assert (inner / "d/x").read_bytes() == b"text" and (inner / "y").read_bytes() == b"long text"


@pytest.mark.parametrize("nonsense", sorted(NONSENSE))
def test_messages_that_make_no_sense(world, inner, nonsense):
    """It ends, it does not succeed, and nothing is left."""
    code, taking, _ = received(world, inner, NONSENSE[nonsense])
    assert code not in (0, None), taking.said()
    assert "cyphernet: error: " in taking.said()
    assert everything(inner) == ["inner"]


DATA_NONSENSE = {
    "no beginning": plain(b"text"),
    "no such file": begin(7) + plain(b"text"),
    "two beginnings": begin() + begin(),
    "from where nobody said": begin(0, BLOCK_SIZE),
    "no such type": message(0, b""),
    "type to come": message(99, b"abcd"),
    "no octets": begin() + message(PLAIN, b""),
    "more than a block": begin() + struct.pack(">BI", PLAIN, BLOCK_SIZE + 1),
    "a sum before the block": begin() + message(BLOCK, bytes(32)),
    "an end of nothing": done(b""),
    "half a head": begin()[:-1],
    "half the octets": begin() + plain(b"text")[:-1],
    "no end": begin() + plain(b"text"),
    "differs from what nobody asked": begin() + gone(2),
    "no such code": begin() + gone(9),
    "octets behind what was packed": begin() + packed(2, b"x") + plain(b"xt") + done(b"text"),
}


@pytest.mark.parametrize("nonsense", sorted(DATA_NONSENSE))
def test_data_that_makes_no_sense(world, inner, nonsense):
    code, taking, _ = received(world, inner, one(b"x"), DATA_NONSENSE[nonsense])
    assert code not in (0, None), taking.said()
    assert "cyphernet: error: " in taking.said()
    assert everything(inner) == ["inner"]


def test_a_block_without_its_sum(world, inner):
    content = bytes(BLOCK_SIZE + 4)
    data = begin() + plain(content[:BLOCK_SIZE]) + plain(b"rest") + done(content)
    code, taking, _ = received(world, inner, one(b"x", len(content)), data)
    assert code == 1
    assert "ann said something that makes no sense" in taking.said()
    assert everything(inner) == ["inner"]


def test_more_entries_than_may_be_said_at_once(world, inner):
    """All are accepted, and none of them comes."""
    control = told(*(entry(b"%d" % index, 4, index) for index in range(16385)))
    code, taking, _ = received(world, inner, control)
    assert code == 1
    assert "ann said something that makes no sense" in taking.said()
    assert everything(inner) == ["inner"]


def test_as_many_entries_at_once_as_may_be(world, inner):
    (inner / "x").write_bytes(b"old")
    control = told(*(entry(b"x", 4, index) for index in range(1000)))
    code, _, liar = received(world, inner, control, b"".join(begin(index) + gone(2) for index in range(1000)))
    assert code == 1
    assert outcomes(liar) == {index: EXISTS for index in range(1000)}


def test_data_for_a_file_that_was_not_offered(world, inner):
    code, taking, _ = received(world, inner, offer() + end(0), whole(b"text"))
    assert code != 0
    assert everything(inner) == ["inner"]


def test_a_stream_of_a_kind_to_come_harms_nothing(world, inner):
    """Later versions may open others: PROTOCOL.md 7.1."""
    taking = world.start(world.bob, "receive", "ann", "-d", inner)
    liar = lie(world, "send", offer() + end(0), b"whatever", kind=3)
    taking.end(0)
    liar.end(0)
    assert everything(inner) == ["inner"]


ANSWERS = {
    "nothing": b"",
    "stored at once": result(0, STORED),
    "withdrawn, who says": result(0, WITHDRAWN),
    "result of no file": result(7, STORED),
    "no such outcome": result(0, 99),
    "accepted twice": 2 * accept(),
    "accepted no file": accept(7),
    "has more than there is": accept(0, 0, BLOCK_SIZE),
    "has half a block": accept(0, 0, 7),
    "no such way": accept(0, 9),
    "an offer": offer(),
    "nonsense": b"\xff" * 100,
}


@pytest.mark.parametrize("answer", sorted(ANSWERS))
def test_a_receiver_who_lies(world, tmp_path, answer):
    """The sender never takes it for done."""
    path = tmp_path / "file"
    path.write_bytes(b"text" * 1000)
    giving = world.start(world.bob, "send", "ann", path)
    liar = lie(world, "receive", ANSWERS[answer])
    assert giving.end() != 0
    assert "cyphernet: error: " in giving.said()
    liar.end()


LINE, DELIVERED, READ, LEFT = range(1, 5)
TALK = {
    "no such type": b"\x05\x00\x00\x00\x01x",
    "too long": b"\x01\x00\x01\x00\x01" + b"x",
    "far too long": b"\x01\xff\xff\xff\xff",
    "delivered, but never said": message(DELIVERED, struct.pack(">Q", 1)),
    "read, but never said": message(READ, struct.pack(">Q", 1)),
    "a short mark": message(DELIVERED, b"\0\0\0\1"),
    "left in an unknown way": message(LEFT, b"\2"),
    "left twice": 2 * message(LEFT, b"\0"),
    "a line after leaving": message(LEFT, b"\0") + message(LINE, b"x"),
}


@pytest.mark.parametrize("nonsense", sorted(TALK))
def test_talk_that_makes_no_sense(world, nonsense):
    other = world.start(world.bob, "talk", "ann", stdin=subprocess.PIPE)
    lie(world, "talk", TALK[nonsense])
    assert other.end() == 1
    assert "ann said something that makes no sense" in other.said()


@pytest.mark.parametrize("cut", [b"", b"\x01\x00\x00", b"\x01\x00\x00\x00\x05hell"])
def test_talk_that_is_cut_off(world, cut):
    """Half a line is not a line, and an end without leaving is not a good end."""
    other = world.start(world.bob, "talk", "ann", stdin=subprocess.PIPE)
    lie(world, "talk", cut)
    assert other.end() != 0
    assert other.got() == b""


def test_talk_that_ends_without_taking_what_was_said(world):
    """An end is good only if the partner's program has every line."""
    other = world.start(world.bob, "talk", "ann", stdin=b"important\n")
    lie(world, "talk", message(LEFT, b"\0"))
    assert other.end() == 1


@pytest.mark.parametrize("attempt", range(10))
def test_a_call_refused_at_once_is_told_as_refused(world, tmp_path, attempt):
    """The call may be over before the caller has opened its stream."""
    (tmp_path / "f").write_bytes(b"x")
    liar = world.run_program([BUILD / "tests" / "support" / "liar", "bob", "receive", "refuse"],
                             env={"CYPHERNET_HOME": str(world.ann.home)})
    sending = world.start(world.bob, "send", "ann", tmp_path / "f")
    assert sending.end() == 8, sending.said()
    assert "ann refused" in sending.said()
    liar.end()
