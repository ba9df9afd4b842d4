"""The command `tutti` of an installed package: becomes the program, and shows it the libraries of this environment."""

from __future__ import annotations

import os
import sys

from . import _environment
from ._errors import UsageError


def main() -> None:
    try:
        program = _environment.program()
    except UsageError as error:
        print(f"tutti: {error}", file=sys.stderr)
        sys.exit(2)
    for package, variable in (("torch", "TUTTI_LIBTORCH"), *_environment.OPENED.items()):
        folder = _environment.folder_of(package)
        if folder is not None and not os.environ.get(variable):
            os.environ[variable] = str(folder)
    os.execv(program, ["tutti", *sys.argv[1:]])


if __name__ == "__main__":
    main()
