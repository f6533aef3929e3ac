"""Exported steps of models with a memory, or that recall, compute what the models compute."""

import numpy as np
import pytest
import torch
from nano import make_nano
from torch import Tensor, nn

from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.mixers.state import ring_names
from worldmodel_env.models.temporal import TemporalConfig, TemporalTransformer

MEMORIES = ("gated_delta", "mamba2", "ttt_linear", "ttt_mlp")


class Step(nn.Module):
    """`TemporalTransformer.step` with tensors in and out."""

    def __init__(self, model: TemporalTransformer, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, following = self.model.step(x, dict(zip(self.names, state, strict=True)))
        return y, *(following[name] for name in self.names)


SLOW = ({"sink": 2}, {"memory": "ttt_linear"})
FAST = ({"memory": "gated_delta"}, {"memory": "mamba2"}, {"memory": "ttt_mlp"})


@pytest.mark.parametrize(
    "fields", [*FAST, *(pytest.param(x, marks=pytest.mark.slow) for x in SLOW)], ids=str
)
@torch.no_grad()
def test_the_exported_step_computes_the_same(fields, tmp_path):
    """In ONNX Runtime, for a number of rows that the export did not know."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    model = TemporalTransformer(TemporalConfig(16, 24, 2, 1, "window", window=3, **fields), 3)
    names = tuple(model.begin(1, torch.zeros(1)))

    def given(batch: int) -> tuple[Tensor, ...]:
        return torch.randn(batch, 3, 16), *model.begin(batch, torch.zeros(1)).values()

    file, rows = str(tmp_path / "step.onnx"), torch.export.Dim("batch", min=1, max=64)
    outputs = ["y", *(f"next_{name}" for name in names)]
    program = torch.onnx.export(
        Step(model, names).eval(), given(2), input_names=["x", *names], output_names=outputs,
        dynamic_shapes=({0: rows}, tuple({0: rows} for _ in names)), opset_version=20, dynamo=True,
    )  # fmt: skip
    program.save(file)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    ours = theirs = given(5)
    for _ in range(8):
        x = torch.randn(5, 3, 16)
        ours = Step(model, names)(x, *ours[1:])
        fed = [x.numpy(), *(np.asarray(value) for value in theirs[1:])]
        theirs = session.run(outputs, dict(zip(["x", *names], fed, strict=True)))
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, torch.from_numpy(other), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("kept", "fields"),
    [
        *(pytest.param(("memory",), {"memory": m}, marks=pytest.mark.slow) for m in MEMORIES),
        pytest.param(("views", "places", "pose"), {"recall": 20}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_exported_world_imagines_the_same(kept, fields, tmp_path):
    """All graphs; the export checks itself against the model, and OpenVINO reads it too."""
    for package in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package)
    from worldmodel_env.imagination.export.manifest import Options
    from worldmodel_env.imagination.export.write import write_export
    from worldmodel_env.imagination.graph_backend import GraphBackend
    from worldmodel_env.imagination.onnxruntime_backend import OnnxRuntime
    from worldmodel_env.imagination.openvino_backend import OpenVino

    world = World.load(make_nano(**fields).save(tmp_path / "world"))
    export = write_export(world, tmp_path / "out", Options(world.config.sampling))
    rings = tuple(
        name for layer in range(world.config.teco.temporal.layers) for name in ring_names(layer)
    )
    assert set(export.state) == {*rings, "index", *kept, "latent", "codes"}
    reference, keys = TorchBackend(world, precision="fp32"), torch.tensor([1, 2])
    for runtime in (
        OnnxRuntime(batch=2, threads=1),
        OpenVino(batch=2, threads=1, precision="fp32"),
    ):
        backend = GraphBackend(world, export, runtime)
        state, equal = reference.begin(world.starts[:2]), []
        for t in range(20):
            action = np.array([t % 3, (t + 1) % 3])
            want, _ = reference.step(state, action, keys)
            got, _ = backend.step(state, action, keys)
            for name in kept:
                torch.testing.assert_close(got[name], want[name], atol=1e-4, rtol=1e-4)
            equal.append((got["codes"] == want["codes"]).float().mean())
            state = want
        assert np.mean(equal) >= 0.999
