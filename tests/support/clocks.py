"""Clocks of programs, set by tests."""

from ctl_helper import preload


class Leaps:
    """A clock that runs ahead, for programs that get `env`."""

    def __init__(self, place):
        self.path, self.seconds = place / "leap", 0
        self.env = {**preload("shift_clock.so", place), "CLOCK_LEAP_FILE": str(self.path)}

    def leap(self, seconds):
        self.seconds += seconds
        (self.path.parent / "next").write_text(str(self.seconds))
        (self.path.parent / "next").replace(self.path)
