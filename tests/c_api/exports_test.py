"""Compares what the shared library exports with the functions that tutti.h declares.

usage: exports_test.py tutti.h NM LIBRARY
"""

import re
import subprocess
import sys


def declared(header):
    text = re.sub(r"/\*.*?\*/", "", open(header, encoding="utf-8").read(), flags=re.S)
    return set(re.findall(r"^TUTTI_C_API [^;(]*?(\w+)\(", text, flags=re.M))


def exported(nm, library):
    lines = subprocess.run([nm, "-D", "--defined-only", "-C", library], check=True, capture_output=True, text=True).stdout
    kinds_and_names = [line.split(" ", 2)[1:] for line in lines.splitlines()]
    return {re.sub(r"@@?TUTTI_[\w.]+$", "", name) for kind, name in kinds_and_names if kind != "A"}


def main():
    header, nm, library = sys.argv[1:]
    wanted, found = declared(header), exported(nm, library)
    c = {name for name in found if re.fullmatch(r"\w+", name)}
    cpp = re.compile(r"(typeinfo|typeinfo name|vtable) for tutti::|tutti::")
    mistakes = [f"{name} is declared and not exported" for name in sorted(wanted - c)]
    mistakes += [f"{name} is exported and not declared" for name in sorted(c - wanted)]
    mistakes += [f"{name} is exported and not public" for name in sorted(found - c) if not cpp.match(name)]
    if not wanted or not any(name.startswith("tutti::Ensemble::predict(") for name in found):
        mistakes.append("the header or the library was not read")
    print("\n".join(mistakes) or f"{len(wanted)} functions")
    return 1 if mistakes else 0


sys.exit(main())
