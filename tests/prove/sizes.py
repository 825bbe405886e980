"""sizes.py: preprocessed C, in which sizes of arrays that are constants of enumerations are written as numbers: frama-c 25
fails with an error of its own on others where a struct of arrays is zeroed."""
import re
import sys

CONSTANT = re.compile(r"[A-Z_a-z0-9 +*/()-]+")


def evaluate(expression, known):
    """None: not of known constants alone."""
    if not CONSTANT.fullmatch(expression):
        return None
    try:
        return int(eval(expression.replace("/", "//"), {"__builtins__": {}}, known))
    except (NameError, SyntaxError, TypeError):
        return None


def constants(text):
    known = {}
    for body in re.findall(r"\benum\b[^{;()]*\{([^}]*)\}", text):
        value = -1
        for item in re.sub(r"/\*.*?\*/|^#.*?$", "", body, flags=re.S | re.M).split(","):
            name, _, given = (part.strip() for part in item.partition("="))
            value = evaluate(given, known) if given else None if value is None else value + 1
            if name and value is not None:
                known[name] = value
    return known


def main():
    text = sys.stdin.read()
    known = constants(text)

    def number(match):
        value = evaluate(match[1], known)
        return match[0] if value is None else f"[{value}]"

    sys.stdout.write(re.sub(r"\[([^\][\"']*[A-Z][^\][\"']*)\]", number, text))


main()
