"""A command line that teaches: help with examples, errors in one sentence, nearest names."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console

from servegraph.errors import GraphError, nearest


class Examples(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:
        """Take the examples without the name of the program."""
        super().__init__(*args, **options)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, however long their lines."""
        if self.examples:
            formatter.write_paragraph()
            formatter.write("Examples:\n")
            formatter.write("".join(f"  servegraph {example}\n" for example in self.examples))


class TeachingGroup(click.Group):
    """Turns errors into one sentence and exit code 1 (2 for a wrong command line)."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; ``--verbose`` shows the traceback of what goes wrong."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params.get("verbose"):
                traceback.print_exc()
            fail(error)
            ctx.exit(1)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by its name, with the nearest one where there is none."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            known = ", ".join(self.list_commands(ctx))
            hint = nearest(args[0], self.commands)
            raise click.UsageError(f"there is no command '{args[0]}', there are: {known}{hint}", ctx)
        return super().resolve_command(ctx, args)


def fail(error: BaseException) -> None:
    """Print what went wrong, without a traceback."""
    console = Console(stderr=True, soft_wrap=True)
    text = str(error) if isinstance(error, GraphError | OSError) else f"{type(error).__name__}: {error}"
    console.print("Error:", style="bold red", end=" ")
    console.print("\n".join([text, *getattr(error, "__notes__", ())]), markup=False, highlight=False)
