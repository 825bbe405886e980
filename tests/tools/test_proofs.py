"""The models in docs/model that are for ProVerif are of the code: the same labels, items and fields in the same order, and
each case of proofs.txt can be made into a model. ProVerif itself is run by ./run model."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import model  # noqa: E402 (after the path is known)
import proofs  # noqa: E402

# Whose labels have to be in the models, and what is left out: ids decide who is A; safety numbers are for people.
SOURCES = ["admission", "card", "certificate", "handshake", "noise", "pair", "tag"]
LEFT_OUT = {"safety"}
TYPES = {"LABEL": {"label"}, "label": {"label"}, "NUMBER": {"number"}, "CARD": {"card"}, "ROLE": {"role"}, "NAME": {"name"},
         "TAG": {"tag"}, "HASH": {"hash"}, "MESSAGE": {"message", "bitstring"}, "SECRET": {"shared", "key"}, "NONCE": {"nonce"},
         "PUBLIC": {"point"}}
NOISE_STEP = re.compile(r"mix_hash\(noise, (\w+)(?:->public)?,|(ephemeral_)(?:write|read)\("
                        r"|mix_key\(noise, &noise->(\w+), noise->(\w+)\)|(en|de)crypt_and_hash\(noise,")
ITEM = re.compile(r'CN_LABEL\("([^"]+)"\)|CN_ITEM_LABEL(?:, (\w+))?|CN_ITEM_([A-KM-Z]\w+)|(&label, 1|^\s+label,)', re.MULTILINE)
LABEL = re.compile(r'CN_LABEL\("([^"]+)"\)|(?:\blabel|_label|protocol_name)\[\] = "cyphernet/1 ([^"]+)"')


def read_models():
    return {path.name: path.read_text() for path in proofs.MODELS.glob("*.pv")}


def read_code():
    return {f"core/{name}.c": (ROOT / "core" / f"{name}.c").read_text() for name in SOURCES}


def body(source, function):
    found = re.search(rf"^[^\n;{{}}]*\b{function}\([^;{{}}]*?\)\n\{{\n(.*?)^\}}", source, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def text_of(source, name):
    found = re.search(rf'\b{name}\[\] = "cyphernet/1 ([^"]+)"', source)
    return found[1] if found else ""


def items_of(source, function, array):
    """The items that a C function hashes or expands with: of the array of that name, or of the whole function."""
    text = body(source, function)
    named = re.search(rf"struct cn_item {array or 'items?'}(?:\[\])? = \{{(.*?)\}};", text, re.DOTALL)
    text = named[1] if named else text
    found = []
    for label, constant, kind, given in ITEM.findall(text):
        if label or kind:
            found.append(f"LABEL {label}" if label else kind)
        else:
            found.append("label" if given else f"LABEL {text_of(source, constant or 'label')}")
    return found


def fields_of(source, function):
    return re.findall(r"cn_writer_((?!ok)\w+)\(", body(source, function))


def steps_of(source, function):
    def word(hashed, ephemeral, mine, their, crypt):
        if hashed:
            return f"hash {hashed}"
        if mine:
            return f"{mine} {their}"
        return "e" if ephemeral else {"en": "seal", "de": "open"}[crypt]

    return [word(*step) for step in NOISE_STEP.findall(body(source, function))]


def code_labels(code):
    return {label for source in code.values() for found in LABEL.findall(source) for label in found if label}


FUNCTION = re.compile(r"^fun (\w+)\(([^)]*)\): \w+(?: \[\w+\])?\.$")
NOTE = re.compile(r"^\(\* (core/\w+\.c) (\w+)(?: (\w+))?: (.*) \*\)$")
SAYS = re.compile(r'^\(\* (core/\w+\.c) says "([^"]+)"')


def differences(models, code):
    """What is in the models and not so in the code, in words."""
    found = []
    for name, model in sorted(models.items()):
        functions = []  # those right above the notes
        noted = False
        for line in model.splitlines():
            if FUNCTION.match(line):
                functions = [*([] if noted else functions), FUNCTION.match(line)]
            elif SAYS.match(line):
                path, text = SAYS.match(line).groups()
                if f'"{text}"' not in code[path]:
                    found.append(f"{name}: {path} does not say {text}")
            elif NOTE.match(line):
                path, function, array, said = NOTE.match(line).groups()
                found += [f"{name}: {path} {function}: {each}"
                          for each in note_differences(functions, code[path], function, array, said)]
            elif line.startswith("(* core/"):
                found.append(f"{name}: not understood: {line}")
            elif not line.startswith("(*"):
                functions = []
            noted = line.startswith("(*")
    return found + label_differences(models, code)


def note_differences(functions, source, function, array, said):
    wanted = said.rstrip(":").split(", ")
    if "Noise_IK" in source:
        there = steps_of(source, function)
        wrong = []
    elif "bytes" in said:
        there = fields_of(source, function)
        count = sum(not each.startswith("(") for each in wanted)
        wanted = [word.strip("()") for each in wanted for word in each.split()]
        taken = [len(arguments(each)) - ("label" in arguments(each)) for each in functions]
        wrong = [f"{count} fields, {number} arguments" for number in taken if number != count]
    else:
        there = items_of(source, function, array)
        wrong = [] if said.endswith(":") else [each for one in functions for each in type_differences(one, wanted)]
    return wrong + ([] if there == wanted else [f"{wanted} in the model, {there} in the code"])


def arguments(function):
    return function[2].split(", ")


def type_differences(function, items):
    """Behind a key or salt, if there is one, an argument of the type of each item."""
    given = arguments(function)[0 if function[1].startswith("H_") else 1:]
    if len(given) != len(items):
        return [f"{function[1]} has {len(given)} arguments for {items}"]
    return [f"{function[1]} takes {type_} for {item}" for type_, item in zip(given, items, strict=True)
            if type_ not in TYPES[item.split()[0]]]


def label_differences(models, code):
    declared = {label.replace("_", " ") for model in models.values()
                for label in re.findall(r"^const label_(\w+): label\.$", model, re.MULTILINE)}
    used = {label.replace("_", " ") for model in models.values()
            for line in model.splitlines() if not line.startswith("const ")
            for label in re.findall(r"\blabel_(\w+)", line)}
    there = code_labels(code) - LEFT_OUT
    services = {name for model in models.values() for name in re.findall(r"^const service_(\w+): name\.$", model, re.MULTILINE)}
    return ([f"label not in the code: {label}" for label in sorted(declared - there)]
            + [f"label not in the models: {label}" for label in sorted(there - declared)]
            + [f"label not used: {label}" for label in sorted(declared - used)]
            + [f"no such service: {name}" for name in sorted(services) if f'{{ "{name}", ' not in code["core/tag.c"]])


def test_the_models_are_of_the_code():
    assert differences(read_models(), read_code()) == []


@pytest.mark.parametrize(("file", "before", "after", "said"), [
    ("core/handshake.c", 'CN_LABEL("traffic"), me', 'CN_LABEL("trafic"), me', "label not in the models: trafic"),
    ("core/handshake.c", "CN_ITEM_TAG", "CN_ITEM_NONCE", "hash_start"),
    ("core/handshake.c", "cyphernet/1 call", "cyphernet/1 talk", "label not in the code: call"),
    ("core/handshake.c", "{ CN_ITEM_SECRET, pq_tokens[1], CN_KEM_SHARED_SIZE },", "", "chain_start"),
    ("core/handshake.c", "    cn_writer_u16be(w, (uint16_t)key_data_size);\n", "", "prologue_content"),
    ("core/pair.c", "    { CN_ITEM_SECRET, dh, dh_size },", "", "secret_derive"),
    ("core/pair.c", "cyphernet/1 pair", "cyphernet/1 pairs", "label not in the code: pair"),
    ("core/certificate.c", "CN_ITEM_MESSAGE", "CN_ITEM_CARD", "signed_encode"),
    ("core/admission.c", "cyphernet/1 admission", "cyphernet/1 admit", "does not say"),
    ("core/tag.c", '{ "resume", ', '{ "again", ', "no such service: resume"),
    ("core/noise.c", "mix_key(noise, &noise->my_static, noise->their_ephemeral); /* es */",
     "mix_key(noise, &noise->my_static, noise->their_static); /* es */", "cn_noise_read1"),
    ("handshake.pv", "fun Extract_answers(key, shared, shared)", "fun Extract_answers(key, shared)", "Extract_answers has 1"),
    ("handshake.pv", "fun H_oaep(label, hash, role)", "fun H_oaep(label, role, hash)", "H_oaep takes role for HASH"),
    ("handshake.pv", "const label_resume: label.\n", "", "label not in the models: resume"),
    ("handshake.pv", "fun answer(mlkem_ciphertext, number)", "fun answer(mlkem_ciphertext)", "2 fields, 1 arguments"),
    ("handshake_end.pv", "label_answer", "label_finish", "label not used: answer"),
    ("admission.pv", "my_static their_static, seal *)", "seal *)", "cn_noise_write1"),
])
def test_a_change_of_the_code_or_of_a_model_is_noticed(file, before, after, said):
    models, code = read_models(), read_code()
    changed = code if file in code else models
    assert before in changed[file]
    changed[file] = changed[file].replace(before, after)
    assert any(said in each for each in differences(models, code))


def test_each_case_is_of_a_model_with_such_switches_and_has_results():
    models = read_models()
    cases = proofs.cases()
    assert len({case.title for case in cases}) == len(cases) > 30
    for case in cases:
        text = models[f"{case.model}.pv"] + (models["handshake_end.pv"] if case.model == "handshake" else "")
        unknown = [word for word in case.switches if not re.search(rf"^#.*\b{word.split('=')[0]}\b", text, re.MULTILINE)]
        assert case.expected and not unknown, (case.title, unknown)
        assert all(result in ("true", "false") or query == "Observational equivalence" for result, query in case.expected)


TRUE = "RESULT inj-event(Accepts(A,x,y)) ==> inj-event(Commits(B,x,y)) is true.\n"
FALSE = TRUE.replace("true", "false")
OPEN = TRUE.replace("is true", "cannot be proved")
REACHED = "RESULT not (event(Commits(A,x)) && attacker(said(A,h))) is true.\n"


@pytest.mark.parametrize(("said", "passed", "failed"), [
    (TRUE + REACHED, 2, 0),
    (FALSE + REACHED, 1, 1),
    (OPEN + REACHED, 1, 1),
    (REACHED, 1, 1),
    ("not done within 600 s", 0, 2),
    (TRUE + REACHED + REACHED.replace("A", "B"), 1, 1),
])
def test_a_query_counts_if_its_result_is_the_one_noted(monkeypatch, said, passed, failed):
    case = proofs.Case("a case", "handshake", (), [("true", "once Accepts A ==> Commits B"), ("true", "never known: Commits A; said A")])
    monkeypatch.setattr(proofs, "prove", lambda *_: (said, 1.0))
    assert model.check_proof(case)[:2] == (passed, failed)


def run_models(monkeypatch, tmp_path, program):
    """model.py without SPIN's models, with the first case of proofs.txt, and this as proverif, if anything."""
    directory = tmp_path / "bin"
    directory.mkdir()
    if program:
        (directory / "proverif").write_text(f"#!/bin/sh\n{program}\n")
        (directory / "proverif").chmod(0o755)
    others = [at for at in os.environ["PATH"].split(":") if not (Path(at) / "proverif").exists()]
    monkeypatch.setenv("PATH", ":".join([str(directory), *others]))
    monkeypatch.setattr(model, "ALL", [])
    monkeypatch.setattr(model, "FAULTS", [])
    monkeypatch.setattr(model, "BUILT", tmp_path)
    first = proofs.cases()[0]
    monkeypatch.setattr(proofs, "cases", lambda: [first._replace(expected=[("true", "never known: said A")])])
    monkeypatch.setattr(sys, "argv", ["model.py"])
    return model.main()


def test_where_proverif_is_not_its_models_are_left_out_in_so_many_words(monkeypatch, tmp_path, capsys):
    assert not run_models(monkeypatch, tmp_path, None)
    assert capsys.readouterr().out == "ProVerif is not installed: its models were not run\n0 passed, 0 failed\n"


def test_where_proverif_is_it_gets_the_model_made_of_its_parts(monkeypatch, tmp_path, capsys):
    said = "RESULT not attacker(said(A,h)) is true."
    assert not run_models(monkeypatch, tmp_path, f'grep -q "^let End_A(" "$1" && ! grep -q "^#" "$1" && echo "{said}"')
    assert capsys.readouterr().out.endswith("1 passed, 0 failed\n")


def test_a_proverif_that_says_nothing_fails(monkeypatch, tmp_path, capsys):
    assert run_models(monkeypatch, tmp_path, "echo 'Error: syntax error'; exit 2")
    assert "Error: syntax error" in capsys.readouterr().out
