"""`python -m tutti.export COMMAND`: the command line and its messages. Exit codes: 0 done, 1 the exported model does
not agree with the original, 2 wrong usage or input."""

from __future__ import annotations

import argparse
import sys

from . import dataset, fusion_bench, head, model
from .errors import ExportError

COMMANDS = {"model": model, "head": head, "dataset": dataset, "fusion-bench": fusion_bench}


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; each module adds its options."""
    top = argparse.ArgumentParser(prog="python -m tutti.export", description="Converts models, zero-shot heads, images "
                                  "and configurations from other tools for tutti. Reads local files; hf:owner/name is "
                                  "looked for in the local Hugging Face cache.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        module.add_options(commands.add_parser(name, help=module.SUMMARY, description=summary))
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command].run(options)
    except ExportError as error:
        print(f"tutti.export {options.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
