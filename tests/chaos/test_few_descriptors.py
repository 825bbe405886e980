"""A program that may open few files works, or says that it cannot."""

import pytest


@pytest.mark.parametrize("command", ["pipe", "send", "receive"])
def test_from_none_to_as_many_as_it_takes(line, command, tmp_path):
    world, _, ann, bob = line
    content = b"what is sent" * 1000
    (tmp_path / "file").write_bytes(content)
    worked = []
    for count in range(4, 22):  # the loader takes one
        target = tmp_path / f"{command}-{count}"
        target.mkdir()
        calls = {"pipe": (["pipe", "bob"], ["pipe", "ann"]),
                 "send": (["send", "bob", tmp_path / "file"], ["receive", "ann", "-d", target]),
                 "receive": (["receive", "bob", "-d", target], ["send", "ann", tmp_path / "file"])}
        mine, theirs = calls[command]
        partner = world.start(bob, *theirs, stdin=content)
        partner.says("waiting for ann")
        one = world.start(ann, *mine, stdin=content, wait=20, resume=2, under=["prlimit", f"--nofile={count}:{count}"])
        code = one.end()
        worked.append(code == 0)
        if code == 0:
            partner.end(0)
            arrived = {"pipe": one.output, "send": target / "file", "receive": target / "file"}[command]
            assert arrived.read_bytes() == content
        else:
            partner.stop()
            assert code in (1, 4, 5, 6), (count, code, one.said())
            assert "cyphernet: error: " in one.said(), (count, one.said())
            assert not (target / "file").exists()
    assert not worked[0] and worked[-1]
