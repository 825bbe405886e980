"""What is linked into what is shipped, as CycloneDX 1.5 (JSON): sbom.py BUILD

The programs and the library of that build; of each the shared libraries that it names, with the Debian packages that they
are of; and the package of package-lock.json whose sources are compiled in, where they are."""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIPPED = ("cyphernet", "cyphernetd", "cyphernetd-gate", "cyphernetd-metrics", "cyphernetd-switch", "cyphernetctl",
           "libcyphernet.so.0")
COMPILED_IN, ITS_SYMBOLS = "node_modules/pqclean", "PQCLEAN_"  # unless libcrypto has what is wanted of it


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def version():
    return re.search(r"^  version: '(.*)',$", (ROOT / "meson.build").read_text(), re.M)[1]


def needed(program):
    """The shared libraries that it names, and where they are found: name, path."""
    names = re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-dW", program))
    places = dict(re.findall(r"^\s*(\S+) => (/\S+)", output("ldd", program), re.M))
    return {name: places[name] for name in names if name in places}


@functools.cache
def package_of(path):
    """The Debian package that the file is of: name, version. Both spellings of a merged /usr are tried."""
    real = Path(path).resolve()
    spelled = dict.fromkeys((str(path), str(real), str(path).removeprefix("/usr"), f"/usr{path}"))
    found = subprocess.run(["dpkg-query", "-S", *spelled], capture_output=True, text=True, check=False).stdout
    if found:
        return tuple(output("dpkg-query", "-W", "-f", "${Package} ${Version}", found.split(": ", 1)[0]).split())
    sys.exit(f"sbom: {path} is of no package")


def compiled_in():
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"][COMPILED_IN]
    name = COMPILED_IN.split("/", 1)[1]
    return {"type": "library", "bom-ref": f"pkg:npm/{name}@{locked['version']}", "name": name,
            "version": locked["version"], "purl": f"pkg:npm/{name}@{locked['version']}",
            "properties": [{"name": "npm:integrity", "value": locked["integrity"]}]}


def bill(build):
    inside = compiled_in()
    components, dependencies = {}, []
    for name in SHIPPED:
        refs = []
        if ITS_SYMBOLS in output("nm", build / name):
            components[inside["bom-ref"]] = inside
            refs.append(inside["bom-ref"])
        for library, path in sorted(needed(build / name).items()):
            package, its_version = package_of(path)
            ref = f"pkg:deb/debian/{package}@{its_version}"
            one = components.setdefault(ref, {"type": "library", "bom-ref": ref, "name": package,
                                              "version": its_version, "purl": ref, "properties": []})
            if {"name": "soname", "value": library} not in one["properties"]:
                one["properties"].append({"name": "soname", "value": library})
            if ref not in refs:
                refs.append(ref)
        kind = "library" if name.startswith("lib") else "application"
        components[name] = {"type": kind, "bom-ref": name, "name": name, "version": version()}
        dependencies.append({"ref": name, "dependsOn": sorted(refs)})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "cyphernet-source", "name": "cyphernet",
                                   "version": version(), "licenses": [{"license": {"id": "ISC"}}]}},
        "components": [components[ref] for ref in sorted(components)],
        "dependencies": dependencies,
    }


if __name__ == "__main__":
    print(json.dumps(bill(Path(sys.argv[1])), indent=2))
