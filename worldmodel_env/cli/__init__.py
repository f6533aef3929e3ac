"""The `worldmodel` command: a function per subcommand, whose signature is the options."""

import sys
from collections.abc import Callable, Mapping, Sequence

import tyro

from worldmodel_env._version import __version__
from worldmodel_env.cli import (
    agent,
    benchmark,
    blind,
    data,
    evaluation,
    export,
    probes,
    train,
    worlds,
)
from worldmodel_env.cli.options import Later
from worldmodel_env.errors import InputError

Tree = Mapping[str, "Callable[..., None] | Later | Tree"]

COMMANDS: Tree = {
    "demo": worlds.demo,
    "record": data.record,
    "data": {
        "info": data.data_info,
        "validate": data.data_validate,
        "pack": data.data_pack,
        "encode": data.data_encode,
        "import": data.data_import,
        "export": data.data_export,
        "view": data.data_view,
    },
    "train": {
        "vqgan": train.train_vqgan,
        "teco": train.train_teco,
        "selfforcing": train.train_selfforcing,
    },
    "evaluate": evaluation.evaluate,
    "score": evaluation.score,
    "compare": evaluation.compare,
    "probe": probes.probe,
    "blind": blind.blind,
    "elo": blind.elo,
    "benchmark": benchmark.benchmark,
    "imagine": worlds.imagine,
    "play": worlds.play,
    "average": worlds.average,
    "export": export.export,
    "agent": {
        "train": Later(agent.train),
        "evaluate": agent.evaluate,
        "transfer": Later(agent.transfer),
        "plan": agent.plan,
    },
    "check-parity": train.check_parity,
    "doctor": worlds.doctor,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; bad input ends with one sentence on stderr and exit status 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(__version__)
        return
    node: Callable[..., None] | Later | Tree = COMMANDS
    path = ["worldmodel"]
    while isinstance(node, Mapping):
        if not words or words[0] not in node:
            asked_for_help = bool(words) and words[0] in ("-h", "--help")
            print(_usage(path, node), file=sys.stdout if asked_for_help else sys.stderr)
            raise SystemExit(0 if asked_for_help else 2)
        path.append(words.pop(0))
        node = node[path[-1]]
    try:
        tyro.cli(node.make() if isinstance(node, Later) else node, prog=" ".join(path), args=words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _usage(path: list[str], node: Tree) -> str:
    lines = [f"usage: {' '.join(path)} COMMAND ... (each has --help)", ""]
    for name, child in node.items():
        text = ", ".join(child) if isinstance(child, Mapping) else _first_line(child)
        lines.append(f"  {name:12s} {text}")
    return "\n".join(lines)


def _first_line(command: Callable[..., None] | Later) -> str:
    function = command.make if isinstance(command, Later) else command
    return (function.__doc__ or "").splitlines()[0]
