"""The command `tinylearn`. Each subcommand is a small file in `commands/`."""

from __future__ import annotations

import click

from tinylearn_host import __version__
from tinylearn_host.commands import (
    cmd_adapt,
    cmd_bench,
    cmd_benchmark,
    cmd_boards,
    cmd_continual,
    cmd_convert,
    cmd_demo,
    cmd_flash,
    cmd_freeze,
    cmd_inspect,
    cmd_partition,
    cmd_pull,
    cmd_push,
    cmd_quantize,
    cmd_run,
    cmd_search,
    cmd_sizes,
    cmd_train,
    cmd_zoo,
)
from tinylearn_host.errors import INTERRUPTED, MEANINGS, TinylearnError

EPILOG = "\b\nExit codes:\n   0  done\n   1  something unforeseen\n" + "\n".join(
    f"  {code:2}  {meaning}" for code, meaning in MEANINGS.items()
)


class Commands(click.Group):
    """A group whose commands end with a sentence and an exit code where something is wrong."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except TinylearnError as error:
            click.echo(f"tinylearn: error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:  # what ran on a board has been stopped by now, and its model is as it was before
            click.echo("tinylearn: stopped by Ctrl-C", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tinylearn")
def main() -> None:
    """Few-shot learning on MicroPython boards, in integers.

    \b
    A model's way:
      tinylearn convert model.tflite -o model.tlm --board pico
      tinylearn inspect model.tlm
      tinylearn flash model.tlm --board pico
      tinylearn adapt model.tlm --board pico --support s.npz --query q.npz

    Every command that takes --board also takes --board sim: the board's own code, in this process.
    """


for module in (
    cmd_zoo,
    cmd_train,
    cmd_quantize,
    cmd_continual,
    cmd_convert,
    cmd_inspect,
    cmd_partition,
    cmd_search,
    cmd_freeze,
    cmd_sizes,
    cmd_run,
    cmd_boards,
    cmd_flash,
    cmd_adapt,
    cmd_demo,
    cmd_bench,
    cmd_benchmark,
    cmd_pull,
    cmd_push,
):
    main.add_command(module.command)

if __name__ == "__main__":
    main()
