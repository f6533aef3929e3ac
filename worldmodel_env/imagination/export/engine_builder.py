"""The process that builds TensorRT engines: a request as JSON on stdin, a result on stdout.

A process of its own, because a builder that runs out of memory takes its process along.
"""

import importlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError

AMPERE = 80
"""From this compute capability on, full TensorRT builds engines that run on all later ones."""


@dataclass(frozen=True)
class Request:
    """What to build.

    Attributes:
        package: "tensorrt" or "tensorrt_rtx".
        files: ONNX file -> where its engine goes.
        rows: fewest, usual and most rows.
        targets: such as "sm_86"; none: what the package runs on here, or what it builds for.
        present: this machine's GPU as a target, if it has one.
        precision: of the files; decides whether products may be rounded to TF32.
        workspace: most bytes of scratch memory on the GPU, if limited.
        timing_cache: a file that remembers what full TensorRT measured, made if absent;
            TensorRT-RTX measures nothing when it builds.
    """

    package: str
    files: dict[str, str]
    rows: tuple[int, int, int]
    targets: tuple[str, ...]
    present: str | None
    precision: str
    workspace: int | None
    timing_cache: str

    def to_json(self) -> str:
        """For stdin."""
        return json.dumps(asdict(self))


class Builder:
    """TensorRT's builder with the settings of a request."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.trt = trt = importlib.import_module(request.package)
        self.name = f"{trt.__name__} {trt.__version__}"
        self.log = _log(trt)
        self.builder = trt.Builder(self.log)
        self.targets = request.targets or self._usual_targets()

    def build(self, source: Path, target: Path) -> None:
        """Build the engine of an ONNX file.

        Raises:
            InputError: a node that TensorRT does not know, or no engine came of it.
        """
        network, _parser = self.parse(source)  # the parser owns the weights
        config = self._config(network)
        plan = self.builder.build_serialized_network(network, config)
        if plan is None:
            _tell(source, self.log.errors)
            reason = self.log.reason
            raise InputError(
                f"{self.name} built no engine of {source.name}: {_short(reason)}; "
                f"{_way_out(reason)}."
            )
        target.write_bytes(plan)
        self._keep_timings(config)

    def parse(self, source: Path) -> tuple[Any, Any]:
        """The network of an ONNX file, and its parser; InputError if there is an error."""
        self.log.errors.clear()
        trt = self.trt
        flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = self.builder.create_network(flag)
        parser = trt.OnnxParser(network, self.log)
        if not parser.parse(_spelled_out(source)):
            _tell(source, [str(parser.get_error(i)) for i in range(parser.num_errors)])
            error = parser.get_error(0)
            raise InputError(
                f"{self.name} cannot parse {source.name}: {_short(error.desc())} (node "
                f"{error.node_name()!r}, operator {error.node_operator()!r}); use another "
                "--precision, or run the world with backend='torch'."
            )
        return network, parser

    def _config(self, network: Any) -> Any:
        trt, request = self.trt, self.request
        config = self.builder.create_builder_config()
        if request.precision == "fp32":
            config.clear_flag(trt.BuilderFlag.TF32)
        if request.workspace is not None:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace)
        self._aim(config)
        profile = self.builder.create_optimization_profile()
        for i in range(network.num_inputs):
            given = network.get_input(i)
            shapes = [(rows, *tuple(given.shape)[1:]) for rows in request.rows]
            profile.set_shape(given.name, *shapes)
        config.add_optimization_profile(profile)
        if not self._ahead_of_time:
            file = Path(request.timing_cache)
            known = file.read_bytes() if file.is_file() else b""
            # One of another version is refused, and then begun anew.
            if not config.set_timing_cache(config.create_timing_cache(known), False):
                config.set_timing_cache(config.create_timing_cache(b""), False)
        return config

    def _usual_targets(self) -> tuple[str, ...]:
        if self.request.present is not None:
            return (self.request.present,)
        if self._ahead_of_time:
            return tuple(name for name in _capabilities(self.trt) if name != "sm_75")
        raise InputError(
            f"{self.name} builds on the GPU that runs the engine, and this machine "
            'has none; use --rtx (pip install "worldmodel-env[tensorrt]").'
        )

    @property
    def _ahead_of_time(self) -> bool:
        return hasattr(self.trt, "ComputeCapability")

    def _aim(self, config: Any) -> None:
        """Set the targets; InputError if they cannot be built for."""
        if self._ahead_of_time:
            known = _capabilities(self.trt)
            for target in self.targets:
                if target not in known:
                    raise InputError(
                        f"target {target!r} is none that {self.name} builds for; "
                        f"choose from {', '.join(known)}."
                    )
            config.num_compute_capabilities = len(self.targets)
            for i, target in enumerate(self.targets):
                config.set_compute_capability(known[target], i)
        elif self.targets != (self.request.present,):
            if min(int(target.removeprefix("sm_")) for target in self.targets) < AMPERE:
                raise InputError(
                    f"{self.name} builds for this machine's GPU "
                    f"({self.request.present}) or for sm_{AMPERE} and later, not for "
                    f"{', '.join(self.targets)}; use --rtx, or build on such a GPU."
                )
            level = self.trt.HardwareCompatibilityLevel.AMPERE_PLUS
            config.hardware_compatibility_level = level

    def _keep_timings(self, config: Any) -> None:
        if not self._ahead_of_time:
            timings = bytes(config.get_timing_cache().serialize())
            replace_file(Path(self.request.timing_cache), timings)


def main() -> None:
    """Build what stdin asks for; on bad input print the sentence as JSON and exit with 2."""
    asked = json.load(sys.stdin)
    request = Request(**{**asked, "rows": tuple(asked["rows"]), "targets": tuple(asked["targets"])})
    try:
        builder = Builder(request)
        for source, target in request.files.items():
            builder.build(Path(source), Path(target))
    except InputError as error:
        print(json.dumps({"error": str(error)}))
        raise SystemExit(2) from None
    print(json.dumps({"version": builder.trt.__version__, "targets": builder.targets}))


def _spelled_out(source: Path) -> bytes:
    """The file with ELU as max(x, 0) + exp(min(x, 0)) - 1, of which TensorRT makes one kernel.

    TensorRT-RTX 1.7 cannot infer the shape of its own ELU beside a loop.
    """
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    nodes = []
    for node in graph.node:
        if node.op_type != "Elu":
            nodes.append(node)
            continue
        x, y = node.input[0], node.output[0]
        nodes += [
            helper.make_node("Relu", [x], [f"{y}.above"]),
            helper.make_node("Sub", [x, f"{y}.above"], [f"{y}.below"]),
            helper.make_node("Exp", [f"{y}.below"], [f"{y}.exp"]),
            helper.make_node("CastLike", ["elu.one", x], [f"{y}.one"]),
            helper.make_node("Sub", [f"{y}.exp", f"{y}.one"], [f"{y}.bent"]),
            helper.make_node("Add", [f"{y}.above", f"{y}.bent"], [y]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), "elu.one"))
    return model.SerializeToString()


def _capabilities(trt: Any) -> dict[str, Any]:
    """Target -> compute capability, all that the package builds for."""
    members = trt.ComputeCapability.__members__.items()
    return {f"sm_{name[2:]}": value for name, value in members if name[2:].isdecimal()}


def _short(reason: str, most: int = 300) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= most else f"{text[:most]} ..."


def _way_out(reason: str) -> str:
    if any(word in reason.lower() for word in ("memory", "workspace", "alloc", "unavailable")):
        return "memory ran short: free some, allow more with --workspace, or give a smaller --batch"
    return "build with another --precision or --batch, or run the world with backend='torch'"


def _tell(source: Path, errors: list[str]) -> None:
    """All that TensorRT says, on stderr; the sentence that follows has room for one."""
    print(f"{source.name}:", *errors, sep="\n  ", file=sys.stderr)


def _log(trt: Any) -> Any:
    class Log(trt.ILogger):
        """Keeps errors to itself: without a driver there are some in every build."""

        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        @property
        def reason(self) -> str:
            """The first error that is not of the missing driver."""
            found = (error for error in self.errors if "CUDA driver version" not in error)
            return next(found, "it gave no reason")

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.ERROR:
                self.errors.append(message)

    return Log()


if __name__ == "__main__":
    main()
