"""cyphernet send --later and queue: the agent delivers when the partner is there."""

import json
import re
import signal

import pytest

from agents import agent, arrived, asked, came_of, forgotten, given, history  # noqa: F401 (a fixture)
from ctl_helper import preload
from live import until

pytestmark = pytest.mark.usefixtures("forgotten")


def queued(person, *words):
    """Its ID."""
    done = person.ok("send", *words, "--later")
    return re.search(r"queued as (\w+);", done.stderr).group(1)


def listed(person):
    return [json.loads(line) for line in person.ok("queue", "--json").stdout.splitlines()]


def emptied(person):
    until(lambda: listed(person) == [], "the queue is empty")


def test_it_is_delivered_when_the_partner_comes(world, source, target):
    agent(world, world.ann, "")
    queued(world.ann, "bob", given(source, "a", b"x" * 100000), given(source, "b", b"y"))
    assert listed(world.ann) != []
    world.start(world.bob, "receive", "ann", "-d", target).end(0)
    assert arrived(target) == {"a": b"x" * 100000, "b": b"y"}
    emptied(world.ann)
    [line] = came_of(world.ann, "deliver", "done")
    assert "2 of 2 delivered" in line and str(source) in line


def test_what_was_queued_without_an_agent(world, source, target):
    done = world.ann.ok("send", "bob", given(source, "a", b"x"), "--later")
    assert "no agent is running" in done.stderr
    assert "no agent is running" in world.ann.ok("queue").stderr
    agent(world, world.ann, "")
    assert "no agent" not in world.ann.ok("queue").stderr
    world.start(world.bob, "receive", "ann", "-d", target).end(0)
    emptied(world.ann)


def test_each_delivery_is_a_call_and_the_oldest_goes_first(world, source, target):
    for name in ("a", "b", "c"):
        queued(world.ann, "bob", given(source, name, name.encode()))
    assert [one["paths"][0][-1] for one in listed(world.ann)] == ["a", "b", "c"] or len(listed(world.ann)) == 3
    agent(world, world.ann, "")
    taking = world.start(world.bob, "receive", "ann", "-d", target, "--keep", wait=0)
    emptied(world.ann)
    taking.signal(signal.SIGTERM)
    assert set(arrived(target)) == {"a", "b", "c"}
    assert len(came_of(world.ann, "deliver", "done", count=3)) == 3


def test_directories_exclusions_and_relative_paths(world, source, target):
    (source / "tree").mkdir()
    given(source / "tree", "kept", b"x")
    given(source / "tree", "left.o", b"x")
    world.ann.ok("send", "bob", "tree", "--exclude", "*.o", "--later", cwd=source)
    [one] = listed(world.ann)
    assert one["paths"] == [f"{source}/tree"]
    agent(world, world.ann, "")
    world.start(world.bob, "receive", "ann", "-d", target).end(0)
    assert [path.name for path in (target / "tree").iterdir()] == ["kept"]
    emptied(world.ann)


def test_what_was_interrupted_is_delivered_by_the_next_agent(slow, source, target):
    """Both ends are killed in the middle of it."""
    ann, bob = slow.ann, slow.bob
    content = b"0123456789abcdef" * (40 << 16)
    running = agent(slow, ann, "")
    queued(ann, "bob", given(source, "a", content))
    taking = slow.start(bob, "receive", "ann", "-d", target)
    until(lambda: any(path.stat().st_size > 0 for path in target.glob(".cyphernet-*.part")), "some of it has come")
    running.stop()
    taking.end(5)
    assert len(listed(ann)) == 1 and listed(ann)[0]["failed"] is None
    agent(slow, ann, "")
    slow.start(bob, "receive", "ann", "-d", target).end(0)
    assert arrived(target) == {"a": content}
    emptied(ann)


def test_when_the_partner_is_killed_it_is_tried_again(slow, source, target):
    ann, bob = slow.ann, slow.bob
    content = b"0123456789abcdef" * (40 << 16)
    agent(slow, ann, "")
    queued(ann, "bob", given(source, "a", content))
    taking = slow.start(bob, "receive", "ann", "-d", target)
    until(lambda: any(path.stat().st_size > 0 for path in target.glob(".cyphernet-*.part")), "some of it has come")
    taking.stop()
    came_of(ann, "deliver", "interrupted")
    slow.start(bob, "receive", "ann", "-d", target).end(0)
    assert arrived(target) == {"a": content}
    emptied(ann)


def test_a_source_that_has_gone_is_kept_with_its_reason(world, source, target):
    agent(world, world.ann, "")
    path = given(source, "a", b"x")
    queued(world.ann, "bob", path)
    path.unlink()
    world.start(world.bob, "receive", "ann", "-d", target).end()
    came_of(world.ann, "deliver", "failed", "No such file", "it is not tried again")
    until(lambda: listed(world.ann)[0]["failed"], "that is noted")
    assert "No such file" in listed(world.ann)[0]["failed"]
    shown = world.ann.ok("queue")
    assert "FAILED: " in shown.stdout and "No such file" in shown.stdout
    assert history(world.bob) == []


def test_what_is_refused_is_kept_with_its_reason(world, source, target):
    agent(world, world.ann, "")
    agent(world, world.bob, f"[ann]\nreceive = {target}\nreceive_max = 1\n")
    queued(world.ann, "bob", given(source, "a", b"xx"))
    until(lambda: listed(world.ann)[0]["failed"], "it is refused")
    assert "refused" in listed(world.ann)[0]["failed"]
    came_of(world.ann, "deliver", "refused", "it is not tried again")
    assert arrived(target) == {}


def test_a_name_that_is_taken_there_is_a_reason_too(world, source, target):
    agent(world, world.ann, "")
    given(target, "a", b"before")
    queued(world.ann, "bob", given(source, "a", b"after"))
    world.start(world.bob, "receive", "ann", "-d", target).end()
    until(lambda: listed(world.ann)[0]["failed"], "it is noted")
    assert arrived(target) == {"a": b"before"}


def test_while_a_tree_is_listed_everything_else_goes_on(world, source, target, tmp_path):
    """One that takes long: here for as long as a file is there."""
    (source / "tree").mkdir()
    given(source / "tree", "a", b"x")
    one = queued(world.ann, "bob", source / "tree")
    held = given(tmp_path, "held", b"")
    agent(world, world.ann, "[bob]\ntalk = refuse\n", env={**preload("slow_disk.so", tmp_path), "SLOW_LIST_FILE": str(held)})
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    taking.says("connected with ann")
    assert asked(world.ann, b"1 here\n") == b"ok\n"
    world.start(world.bob, "talk", "ann").end(8)
    assert arrived(target) == {} and one in world.ann.ok("queue").stdout
    held.unlink()
    taking.end(0)
    assert (target / "tree/a").read_bytes() == b"x"
    emptied(world.ann)


@pytest.mark.parametrize("how", ["cancel", "end"])
def test_a_tree_that_is_being_listed_is_let_go_of(world, source, target, tmp_path, how):
    (source / "tree").mkdir()
    one = queued(world.ann, "bob", source / "tree")
    held = given(tmp_path, "held", b"")
    running = agent(world, world.ann, "", env={**preload("slow_disk.so", tmp_path), "SLOW_LIST_FILE": str(held)})
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    taking.says("connected with ann")
    if how == "cancel":
        world.ann.ok("queue", "cancel", one)
    else:
        running.signal(signal.SIGTERM)
    taking.end(5)
    held.unlink()
    if how == "end":
        running.end(0)
    came_of(world.ann, "deliver", "interrupted")
    assert len(listed(world.ann)) == (how == "end")


def test_cancelled_it_is_not_delivered(world, source, target):
    agent(world, world.ann, "")
    one = queued(world.ann, "bob", given(source, "a", b"x"))
    world.ann.ok("queue", "cancel", one)
    assert listed(world.ann) == []
    world.start(world.bob, "receive", "ann", "-d", target, wait=1).end(6)
    assert history(world.ann) == []


def test_cancelled_while_it_is_under_way_it_ends(slow, source, target):
    ann, bob = slow.ann, slow.bob
    agent(slow, ann, "")
    one = queued(ann, "bob", given(source, "a", b"0123456789abcdef" * (80 << 16)))
    taking = slow.start(bob, "receive", "ann", "-d", target)
    until(lambda: list(target.glob(".cyphernet-*.part")), "it has begun")
    ann.ok("queue", "cancel", one)
    taking.end(5)
    came_of(ann, "deliver", "interrupted", "given up here")
    assert listed(ann) == []


def test_a_contact_that_is_renamed_meanwhile_gets_it_all_the_same(own, own_pair, source, target):
    own.ann, own.bob = own_pair
    agent(own, own.ann, "")
    queued(own.ann, "bob", given(source, "a", b"x"))
    assert "1 of the queue is for robert now" in own.ann.ok("contact", "rename", "bob", "robert").stderr
    assert [one["contact"] for one in listed(own.ann)] == ["robert"]
    own.start(own.bob, "receive", "ann", "-d", target).end(0)
    assert arrived(target) == {"a": b"x"}
    emptied(own.ann)


def test_what_is_for_a_contact_that_is_removed_is_told(own, own_pair, source):
    own.ann, own.bob = own_pair
    queued(own.ann, "bob", given(source, "a", b"x"))
    assert "cannot be delivered any more" in own.ann.ok("contact", "remove", "bob").stderr


def test_send_goes_before_the_queue(world, source, target):
    """Whoever calls himself is not kept waiting by what is queued."""
    agent(world, world.ann, "")
    queued(world.ann, "bob", given(source, "later", b"x"))
    sending = world.start(world.ann, "send", "bob", given(source, "now", b"x"))
    sending.says("waiting for bob")
    world.start(world.bob, "receive", "ann", "-d", target).end(0)
    sending.end(0)
    assert list(arrived(target)) == ["now"]
    world.start(world.bob, "receive", "ann", "-d", target).end(0)
    assert set(arrived(target)) == {"now", "later"}
