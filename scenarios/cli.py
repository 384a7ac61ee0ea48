"""``elson``: the command line. What a command does is imported when it is called, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    name="elson",
    help="Stand a trading platform up, load it, break it on purpose, and prove from the record what survived.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _group(name: str, about: str) -> typer.Typer:
    group = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None, add_completion=False)
    app.add_typer(group, name=name)
    return group


fault_app = _group("fault", "Hurt the running platform, and heal it.")
backup_app = _group("backup", "Back the platform's data up, and go back to any moment.")
db_app = _group("db", "The platform's PostgreSQL cluster.")
market_app = _group("market", "Simulate market days, and judge how real they look.")

Json = Annotated[bool, typer.Option("--json", help="Machine-readable, on standard output.")]
StackId = Annotated[str | None, typer.Option("--stack", metavar="ID", help="Which stack, when several are running.")]
ArchiveFolder = Annotated[Path | None, typer.Option("--archive", help="This archive, without a running platform.")]
KeyFile = Annotated[Path | None, typer.Option(help="The archive's key; else it is in ELSON_BACKUP_KEY.")]
Received = Annotated[list[Path] | None, typer.Option(help="A folder of the receiver's that is left, for --archive.")]


def main() -> NoReturn:
    """The entry point. Wrong usage and everything else a user can put right ends in one line on standard error."""
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        sys.exit(130)
    except typer.TyperException as error:
        code = _complain(error)
    sys.exit(code if isinstance(code, int) else 0)


@app.command("run")
def run_command(
    name: Annotated[str, typer.Argument(help="A scenario of the catalogue (see `elson list`), or a .yaml file.")],
    seed: Annotated[int | None, typer.Option(help="Replaces the scenario's seed.", min=0, max=2**63 - 1)] = None,
    json: Json = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the platform up after the report, until Ctrl-C.")] = False,
    repeats: Annotated[
        int | None, typer.Option(help="Runs to judge together; replaces the scenario's.", min=1, max=100)
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Replaces a value, as load.rate_per_s=400; may be repeated."),
    ] = None,
) -> int:
    """Run a scenario from start to verdict: 0 pass, 1 fail, 2 wrong usage, 3 inconclusive, 4 invalid."""
    from scenarios.documents import Override, ScenarioError
    from scenarios.library import find_scenario

    try:
        find_scenario(name)  # before anything slow is imported
        replaced = [Override.parse(text) for text in overrides or ()]
    except ScenarioError as error:
        sys.stderr.write(f"elson: {error}\n")
        return 2
    from scenarios.run_commands import run

    if repeats is not None:
        replaced.append(Override("repeats", repeats, f"--repeats {repeats}"))
    return run(name, replaced, seed=seed, json=json, keep=keep)


@app.command("list")
def list_command(json: Json = False) -> int:
    """List the scenarios of the catalogue: what each proves, and about how long it takes."""
    from scenarios.documents import ScenarioError
    from scenarios.listing import lines, listed, listed_json

    try:
        scenarios = listed()
    except ScenarioError as error:
        sys.stderr.write(f"elson: {error}\n")
        return 2
    sys.stdout.write(listed_json(scenarios) if json else "".join(f"{line}\n" for line in lines(scenarios)))
    return 0


@app.command("schema")
def schema_command() -> int:
    """Print the JSON schema of scenario files, for editors."""
    from scenarios.schema import schema_text

    sys.stdout.write(schema_text())
    return 0


@app.command("up")
def up_command(
    scenario: Annotated[str, typer.Option(help="Whose topology, instruments and accounts.")] = "quickstart",
    market: Annotated[bool, typer.Option("--market", help="Let the simulated market trade.")] = False,
    proxied: Annotated[
        list[str] | None, typer.Option(metavar="LINK", help="Also put a proxy into these links, as engine->redis.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where backups stay; without it they end with the platform.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The backups' key; made when it is not there.")
    ] = None,
) -> int:
    """Stand the platform up in the foreground, with a live table of its nodes. Ctrl-C takes everything down."""
    from scenarios.up import up

    return up(scenario, market=market, proxied=proxied or [], archive=archive, key_file=key_file)


@app.command("status")
def status_command(json: Json = False, stack: StackId = None) -> int:
    """Show the running platform: nodes, links, endpoints, and the accounts any client may use."""
    from scenarios.commands import show_status

    return show_status(stack, json=json)


@app.command("down")
def down_command(stack: StackId = None) -> int:
    """Take the running platform down, wherever it was started."""
    from scenarios.commands import take_down

    return take_down(stack)


@fault_app.command("add")
def fault_add_command(
    kind: Annotated[str, typer.Argument(help="latency, cut, kill, freeze, switchover, lose, wrong_delete, disk_full.")],
    target: Annotated[str, typer.Argument(help="A link (engine->postgres) or a node (engine:active).")],
    value: Annotated[str | None, typer.Argument(help="As 150ms for latency, refuse or stall for cut.")] = None,
    duration: Annotated[str, typer.Option("--for", help="How long, as 10s; `good` is possible for kill.")] = "10s",
    stack: StackId = None,
) -> int:
    """Inject a fault now; it is undone after its time, by `fault clear`, and when the platform goes down."""
    from scenarios.commands import add_fault

    return add_fault(kind, target, value, duration=duration, stack_id=stack)


@fault_app.command("list")
def fault_list_command(json: Json = False, stack: StackId = None) -> int:
    """List the faults that are on."""
    from scenarios.commands import list_faults

    return list_faults(stack, json=json)


@fault_app.command("clear")
def fault_clear_command(stack: StackId = None) -> int:
    """Undo every fault that is on."""
    from scenarios.commands import clear_faults

    return clear_faults(stack)


@backup_app.command("now")
def backup_now_command(json: Json = False, stack: StackId = None) -> int:
    """Take a base backup of the running platform, and read it back."""
    from scenarios.backup_commands import Where, take_backup

    return take_backup(Where(stack), json=json)


@backup_app.command("list")
def backup_list_command(
    json: Json = False,
    stack: StackId = None,
    archive: ArchiveFolder = None,
    key_file: KeyFile = None,
    received: Received = None,
) -> int:
    """List backups, named points, and how far the log leads without a gap."""
    from scenarios.backup_commands import Where, list_backups

    return list_backups(Where(stack, archive, key_file, tuple(received or ())), json=json)


@backup_app.command("verify")
def backup_verify_command(
    backup: Annotated[str | None, typer.Argument(help="One backup; all of them otherwise.")] = None,
    json: Json = False,
    stack: StackId = None,
    archive: ArchiveFolder = None,
    key_file: KeyFile = None,
    received: Received = None,
) -> int:
    """Decrypt everything and compare it with its manifest: 1 when anything is damaged or missing."""
    from scenarios.backup_commands import Where, verify_backups

    return verify_backups(Where(stack, archive, key_file, tuple(received or ())), backup, json=json)


@backup_app.command("point")
def backup_point_command(name: Annotated[str, typer.Argument()], stack: StackId = None) -> int:
    """Name this moment, to come back to it with `backup restore --to NAME`."""
    from scenarios.backup_commands import Where, make_point

    return make_point(Where(stack), name)


@backup_app.command("restore")
def backup_restore_command(
    to: Annotated[str, typer.Option(help="latest, a time (2026-03-01T12:00:00.5Z), a position (0/3000028), a point.")],
    into: Annotated[Path | None, typer.Option(help="A folder that is not there or empty.")] = None,
    exclusive: Annotated[bool, typer.Option("--exclusive", help="End just before the time, not with it.")] = False,
    timeline: Annotated[int | None, typer.Option(help="Into a past that was left; else the newest.", min=1)] = None,
    take_over: Annotated[bool, typer.Option("--take-over", help="Take the primary's place, once checked.")] = False,
    json: Json = False,
    stack: StackId = None,
    archive: ArchiveFolder = None,
    key_file: KeyFile = None,
    received: Received = None,
) -> int:
    """Restore beside the running servers and check it against its own journal; 1 when a check does not hold."""
    from scenarios.backup_commands import Target, Where, restore_backup

    where = Where(stack, archive, key_file, tuple(received or ()))
    return restore_backup(where, Target(to, exclusive, timeline), into=into, take_over=take_over, json=json)


@db_app.command("status")
def db_status_command(json: Json = False, stack: StackId = None) -> int:
    """Show who is primary since which epoch, which copies a commit may rest on, and how far each is behind."""
    from scenarios.db_commands import show_database

    return show_database(stack, json=json)


@db_app.command("switchover")
def db_switchover_command(stack: StackId = None) -> int:
    """Make the synchronous standby the primary, in order: clients wait a moment and see no error."""
    from scenarios.db_commands import change_primary

    return change_primary("switchover", stack)


@db_app.command("failover")
def db_failover_command(stack: StackId = None) -> int:
    """Kill the primary and promote the standby, as after a crash."""
    from scenarios.db_commands import change_primary

    return change_primary("failover", stack)


@db_app.command("rejoin")
def db_rejoin_command(
    node: Annotated[str, typer.Argument(help="A server that is not the primary, as postgres:2.")], stack: StackId = None
) -> int:
    """Rewind a follower to the primary, or copy it anew, whatever its state."""
    from scenarios.db_commands import rejoin

    return rejoin(node, stack)


@market_app.command("run")
def market_run_command(
    day: Annotated[str, typer.Argument(help="A day of the catalogue (see `elson market list`), or a .yaml file.")],
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 1,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Else market-DAY-SEED, with all runs.")] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0.01, help="Trade on the running platform, this many times as fast as real time."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="With --speed: stop at this time of the day.")
    ] = None,
    stack: StackId = None,
    plots: Annotated[bool, typer.Option("--plots", help="Also draw plots.html.")] = False,
    json: Json = False,
) -> int:
    """Simulate a day as fast as it goes, byte for byte the same for the same seed; 0 when its books balance.

    With --speed its orders go to the running platform, too; 4 when the market could not keep up.
    """
    from scenarios.market_commands import Live, run_day

    if speed is None and (until is not None or stack is not None):
        raise typer.BadParameter("only with --speed", param_hint="--stack" if until is None else "--until")
    live = None if speed is None else Live(speed, until, stack)
    return run_day(day, seed=seed, out=out, plots=plots, json=json, live=live)


@market_app.command("list")
def market_list_command() -> int:
    """List the days of the catalogue and what each must show."""
    from scenarios.market_commands import list_days

    return list_days()


@market_app.command("facts")
def market_facts_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Of one day, by path or name, each of a seed.")],
    json: Json = False,
) -> int:
    """Judge by the stylized facts of markets: 0 all pass, 1 one fails, 3 some cannot be told, 2 no record."""
    from scenarios.market_commands import judge_runs

    return judge_runs(runs, json=json)


@app.command("report")
def report_command(
    run: Annotated[str, typer.Argument(help="A run's name or folder, or `latest`.")],
    against: Annotated[str | None, typer.Option(metavar="RUN", help="Compare with this run instead.")] = None,
) -> int:
    """Check and judge a record again, and write its report anew; or compare it with another run's."""
    from scenarios.run_commands import compare, report

    return report(run) if against is None else compare(run, against)


@app.command("doctor")
def doctor_command(
    install: Annotated[bool, typer.Option("--install", help="Get what is missing, where that is possible.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing when nothing is missing.")] = False,
) -> int:
    """Show where each server program comes from, or the command that gets it."""
    from scenarios.commands import doctor

    return doctor(install=install, quiet=quiet)


def _complain(error: typer.TyperException) -> int:
    message = getattr(error, "format_message", lambda: str(error))()
    asked_for_help = message.startswith("Usage:")  # the whole help, for a group of commands without a command
    sys.stderr.write(f"{message}\n" if asked_for_help else f"elson: {message.rstrip('.')}; see `elson --help`\n")
    return int(getattr(error, "exit_code", 2))


if __name__ == "__main__":
    main()
