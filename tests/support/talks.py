"""A pipe under way, into which a test writes words and sees them arrive."""

import os

from live import until

RESUME = 60


class Pipe:
    """ann and bob pipe to each other; both ends are open."""

    def __init__(self, world, ann, bob, resume=RESUME, **options):
        self.expected = [b"", b""]  # at ann's, at bob's
        self.writers, self.ends = [], []
        for one, other in ((ann, bob), (bob, ann)):
            reader, writer = os.pipe()
            self.ends.append(world.start(one, "pipe", other.name, stdin=reader, resume=resume, **options))
            os.close(reader)
            self.writers.append(writer)
        self.ann, self.bob = self.ends
        self.word()

    def write(self, who, octets):
        """0: ann, 1: bob. What it writes is to arrive at the other."""
        while octets:
            done = os.write(self.writers[who], octets[:65536])
            self.expected[1 - who] += octets[:done]
            octets = octets[done:]

    def word(self, octets=b"a word\n"):
        """Both say something, and both hear it."""
        for who in (0, 1):
            self.write(who, octets)
        self.arrives()

    def arrives(self):
        for end, expected in zip(self.ends, self.expected, strict=True):
            until(lambda at=end, size=len(expected): at.output.stat().st_size >= size or at.process.poll() is not None,
                  f"what was written has come: {self.ann.said()} {self.bob.said()}")
            assert end.got() == expected, end.said()

    def says(self, text):
        for end in self.ends:
            end.says(text)

    def lost(self):
        """How often each end has lost its line."""
        return [end.said().count("is lost; reconnecting") for end in self.ends]

    def close(self):
        """Both have nothing more to say: all has come, and both say so."""
        for writer in self.writers:
            os.close(writer)
        self.writers = []
        for end, expected in zip(self.ends, self.expected, strict=True):
            end.end(0)
            assert end.got() == expected
