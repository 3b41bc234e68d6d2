"""The program: its commands, and what each kind of failure prints and exits with.

0    done
1    an internal error with a traceback on stderr, or something that failed while a study ran
2    the request is wrong: one sentence, nothing created; if the machine is the cause, a line about the machine; if rows
     of the data are, a table of everything that was found in them
3    no trial of the study can be used
130  interrupted
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from unipelt_search import __version__
from unipelt_search.cli import (
    delete_command,
    doctor_command,
    export_commands,
    predict_command,
    read_commands,
    run_command,
    suite_command,
    upgrade_command,
)
from unipelt_search.cli.doctor import doctor_line
from unipelt_search.cli.findings_view import show_error
from unipelt_search.cli.parameters import expand
from unipelt_search.cli.run_command import INTERRUPTED, PROGRAM, WRONG_REQUEST
from unipelt_search.errors import MachineError, NoUsableTrialError, RequestError, StorageError, UnipeltError
from unipelt_search.records.finding import FindingsError

INTERNAL_ERROR, NO_USABLE_TRIAL = 1, 3

app = typer.Typer(
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    run_command.demo,
    run_command.run,
    run_command.resume,
    suite_command.suite,
    read_commands.report,
    read_commands.gates,
    read_commands.studies,
    read_commands.methods,
    export_commands.export,
    predict_command.predict,
    doctor_command.doctor,
    delete_command.delete,
    upgrade_command.upgrade,
)
for command in COMMANDS:
    app.command()(expand(command))


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Find the parameter-efficient tuning method for a labelled text dataset, and how sure that is."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: The words after the program's name; None takes those of the process.

    Returns:
        The exit code.
    """
    try:
        code = app(args=arguments, prog_name=PROGRAM, standalone_mode=False)
    except typer.Abort:
        return _fail("Nothing was done.", INTERRUPTED)
    except KeyboardInterrupt:
        return _fail("Interrupted.", INTERRUPTED)
    except typer.TyperException as error:
        return _fail(_usage_error(error), error.exit_code)
    except (MachineError, StorageError) as error:
        return _fail(f"{error}\n{doctor_line()}", WRONG_REQUEST)
    except FindingsError as error:
        words = sys.argv[1:] if arguments is None else arguments
        show_error(error, PROGRAM, as_json="--json" in words)
        return WRONG_REQUEST
    except RequestError as error:
        return _fail(str(error), WRONG_REQUEST)
    except NoUsableTrialError as error:
        return _fail(str(error), NO_USABLE_TRIAL)
    except UnipeltError as error:
        return _fail(f"{error}\n{doctor_line()}", INTERNAL_ERROR)
    except Exception as error:  # noqa: BLE001  the last place where a fault can be told apart from success
        traceback.print_exc()
        return _fail(f"This is a fault of {PROGRAM}, not of the request: {error}\n{doctor_line()}", INTERNAL_ERROR)
    return code if isinstance(code, int) else 0


def _usage_error(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else PROGRAM
    message = error.format_message().replace("Value error, ", "").replace("Input should", "It must")
    return f"{message}\nSee {command} --help."


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {message}\n")
    return code
