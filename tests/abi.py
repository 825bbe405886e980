"""abi.py check|write: what programs that use the library rely on (its functions, the structs and constants of its
headers) against what tests/lint/libcyphernet.abi has written down; or write it down anew. abidw reads it from the
library's debugging information."""
import difflib
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KNOWN = ROOT / "tests/lint/libcyphernet.abi"
LIBRARY = ROOT / "build/libcyphernet.so"
ADVICE = """What programs that use the library rely on has changed. If that is meant: ./run abi, and commit the file.
If it breaks programs that were built before, raise the soversion in meson.build, too."""


class Interface:
    """What abidw says of the library."""

    def __init__(self, library):
        headers = ROOT / "include"
        said = subprocess.run(["abidw", "--headers-dir", headers, "--load-all-types", library], check=True,
                              stdout=subprocess.PIPE).stdout
        self.corpus = xml.fromstring(said)
        self.types = {one.get("id"): one for one in self.corpus.iter() if one.get("id")}
        self.public = set(re.findall(r"\w+", "".join(path.read_text() for path in headers.rglob("*.h"))))

    def name(self, key):
        """Of a type, as C has it, near enough."""
        one = self.types.get(key)
        if one is None:
            return "?"
        if one.tag == "pointer-type-def":
            return f"{self.name(one.get('type-id'))} *"
        if one.tag == "qualified-type-def":
            return f"{self.name(one.get('type-id'))} const"
        if one.tag == "array-type-def":
            lengths = "".join(f"[{part.get('length')}]" for part in one.iter("subrange"))
            return self.name(one.get("type-id")) + lengths
        if one.tag == "function-type":
            return f"{self.result(one)} ({self.parameters(one)})"
        kind = {"class-decl": "struct ", "enum-decl": "enum ", "union-decl": "union "}.get(one.tag, "")
        return kind + one.get("name")

    def result(self, function):
        return self.name(function.find("return").get("type-id"))

    def parameters(self, function):
        return ", ".join("..." if one.get("is-variadic") else self.name(one.get("type-id"))
                         for one in function.iter("parameter"))

    def functions(self):
        found = {one.get("name"): one for one in self.corpus.iter("function-decl")}
        for symbol in self.corpus.find("elf-function-symbols"):
            one = found[symbol.get("name")]
            version = symbol.get("version") or "of no version"
            yield f"{self.result(one)} {one.get('name')}({self.parameters(one)}), {version}"

    def structs(self):
        """Those that the headers tell all of: their octets, and where in them each member is."""
        found = {}
        for one in self.corpus.iter("class-decl"):
            if one.get("is-declaration-only") or "include/cyphernet" not in (one.get("filepath") or ""):
                continue
            lines = [f"struct {one.get('name')}: {int(one.get('size-in-bits')) // 8} octets"]
            for member in one.iter("data-member"):
                variable = member.find("var-decl")
                offset = int(member.get("layout-offset-in-bits")) // 8
                lines.append(f"struct {one.get('name')}: {offset}: {self.name(variable.get('type-id'))}, {variable.get('name')}")
            found[one.get("name")] = lines
        return [line for _, lines in sorted(found.items()) for line in lines]

    def constants(self):
        return [f"{one.get('name')} = {one.get('value')}" for one in self.corpus.iter("enumerator")
                if one.get("name") in self.public and one.get("name").startswith("CN_")]

    def lines(self):
        soname = self.corpus.get("soname")
        return [soname, *sorted(set(self.functions())), *self.structs(), *sorted(set(self.constants()))]


def main(task):
    found = Interface(LIBRARY).lines()
    if task == "write":
        KNOWN.write_text("\n".join(found) + "\n")
        return 0
    known = KNOWN.read_text().splitlines()
    for line in difflib.unified_diff(known, found, str(KNOWN.relative_to(ROOT)), "the library", lineterm="", n=0):
        print(line)
    if known != found:
        print(ADVICE)
    return known != found


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("check", "write"):
        sys.exit("usage: abi.py check|write")
    sys.exit(main(sys.argv[1]))
