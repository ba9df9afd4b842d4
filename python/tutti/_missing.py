"""Why the compiled library cannot be imported, in words that say what to do. Imported only when that has happened."""

from __future__ import annotations

import re
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

# The system's libraries of which symbols have versions.
_OF_SYSTEM = {"GLIBC": "glibc", "GLIBCXX": "a libstdc++ with GLIBCXX", "CXXABI": "a libstdc++ with CXXABI"}


def explained(name: str, error: ImportError, folder: Path = Path(__file__).parent) -> ImportError:
    """The error for the public `name`, whose module could not be imported because of `error`: the same one, unless it is
    the library in `folder` that is missing, belongs to another Python, or needs a newer system."""
    libraries = sorted(path.name for path in folder.glob("_core.*") if path.suffix == ".so")
    if not libraries:
        text = (f"tutti.{name} needs the compiled library, and only the Python files are installed: run 'pip install .' "
                "in the top folder of Tutti (pip install ./python installs tutti.export only)")
    elif (not any(library == "_core" + suffix for library in libraries for suffix in EXTENSION_SUFFIXES)
          or re.search("undefined symbol: _?Py", str(error))):
        text = (f"tutti.{name} needs the compiled library, and the one in {folder} is for another Python: "
                f"{', '.join(libraries)}; this is {sys.implementation.name} {sys.version.split()[0]} ({sys.executable}). "
                "Install Tutti with this interpreter: '-m pip install .' in the top folder of Tutti, or a wheel for it")
    elif found := re.search(r"version .(GLIBC|GLIBCXX|CXXABI)_([\d.]+)' not found", str(error)):
        text = (f"this system is too old for the compiled library of Tutti, which needs {_OF_SYSTEM[found[1]]} {found[2]}: "
                f"{error}. Take a wheel for an older glibc, or build Tutti here: pip install . in its top folder")
    else:
        return error
    return ImportError(text, name="tutti._core")
