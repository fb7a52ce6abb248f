"""The command `planish`: what users type, and how failures reach them.

A failure is one line on stderr that says where, what and what to do, and an exit status: 2 bad options, 3 broken or
unsafe model, 4 unsupported, 5 a pass failed, 6 different numbers, 7 a run failed, 8 the result cannot be written,
9 TensorRT is missing or fails, 130 interrupted, 1 anything else.
"""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import sys
import traceback
from collections.abc import Sequence

import click

from ..compiler.errors import OptionError, PlanishError
from .bisect_command import bisect
from .checking.check_command import check_models
from .engines.build_command import build_engine
from .inspect_command import inspect_model
from .model_command import write_model
from .optimize_command import optimize_model
from .passes_command import list_passes

INTERRUPTED = 130

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Commands(click.Group):
    """The commands; a model in place of one is met with the one that was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and args[0].endswith(".onnx"):
            ctx.fail(f"'{args[0]}' is no command; for a smaller and faster model: planish optimize {shlex.join(args)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, invoke_without_command=True, context_settings=_HELP)
@click.version_option(importlib.metadata.version("planish"), prog_name="planish", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """A graph-level optimizing compiler for ONNX models: every step proven numerically and shown with its reason."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (optimize_model, build_engine, inspect_model, list_passes, write_model, bisect, check_models):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = run(given)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone, e.g. `planish passes | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run the command; failures become lines on stderr. Returns the exit status."""
    try:
        return int(cli.main(arguments, prog_name="planish", standalone_mode=False) or 0)
    except click.exceptions.Abort:
        click.echo("planish: interrupted; nothing was written", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        line, status = describe(error)
        click.echo(f"planish: {line}", err=True)
        return status


def describe(error: Exception) -> tuple[str, int]:
    """(one line for the user, exit status)."""
    if isinstance(error, PlanishError):
        place = f"{error.where}: " if error.where else ""
        advice = f" ({error.hint})" if error.hint else ""
        return " ".join(f"{place}{error.what}{advice}".split()), error.exit_code
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx is not None else "planish"
        message = " ".join(error.format_message().split()).removesuffix(".")
        return f"{message} (see {command} --help)", OptionError.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, OSError):
        return f"{error.filename or 'file'}: {error.strerror or error}", 1
    if isinstance(error, MemoryError):
        return "out of memory", 1
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"internal error, {reason} (please report it with what --debug prints)", 1
