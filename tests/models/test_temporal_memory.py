"""The temporal transformer with a memory or a sink: one function, one state, the right one."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.models.temporal import State, TemporalConfig, TemporalTransformer

TOKENS, FRAMES, WINDOW = 3, 26, 4
CONFIG = TemporalConfig(16, 24, 2, 2, "window", window=WINDOW)
KINDS = {
    "window": {},
    "sink": {"sink": 2},
    "gated delta": {"memory": "gated_delta"},
    "mamba 2": {"memory": "mamba2"},
    "ttt linear": {"memory": "ttt_linear"},
    "ttt mlp": {"memory": "ttt_mlp", "forgetting": True},
    "recurrent": {"memory": "gated_delta", "window": 1},
    "all": {"memory": "ttt_linear", "sink": 1},
}
ALL = pytest.mark.parametrize("kind", KINDS)


def build(kind: str) -> TemporalTransformer:
    torch.manual_seed(0)
    return TemporalTransformer(replace(CONFIG, **KINDS[kind]), TOKENS)


def frames(batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, FRAMES, TOKENS, CONFIG.dim, generator=generator)


def run(
    model: TemporalTransformer, x: Tensor, sizes: list[int], state: State | None = None
) -> tuple[Tensor, State]:
    state, out = state or model.begin(len(x), x), []
    for part in x.split(sizes, 1):
        if part.shape[1] == 1:
            y, state = model.step(part[:, 0], state)
            y = y[:, None]
        else:
            y, state = model.chunk(part, state)
        out.append(y)
    return torch.cat(out, 1), state


@ALL
@pytest.mark.parametrize("sizes", [[1] * FRAMES, [FRAMES], [3, 1, 1, 7, 14], [25, 1]], ids=str)
@torch.no_grad()
def test_whole_clips_chunks_and_steps_agree(kind: str, sizes: list[int]) -> None:
    model, x = build(kind), frames()
    y, state = run(model, x, sizes)
    torch.testing.assert_close(y, model(x), atol=1e-4, rtol=0)
    _, expected = run(model, x, [1] * FRAMES)
    for name in expected:
        torch.testing.assert_close(state[name], expected[name], atol=1e-4, rtol=1e-4)


@ALL
@torch.no_grad()
def test_a_state_never_grows_and_is_left_alone(kind: str) -> None:
    model, x = build(kind), frames()
    state = model.begin(3, x)
    before = {name: tensor.clone() for name, tensor in state.items()}
    _, after = run(model, x, [1, 25], state)
    _, late = run(model, x, [1, 25], after)
    for name, tensor in state.items():
        assert torch.equal(tensor, before[name])
        assert late[name].shape == tensor.shape
        assert late[name].dtype == tensor.dtype
    assert late["index"].tolist() == [2 * FRAMES] * 3


@ALL
@torch.no_grad()
def test_a_row_that_begins_again_forgets_everything(kind: str) -> None:
    model, x = build(kind), frames()
    _, state = run(model, x, [FRAMES])
    again = torch.tensor([False, True, False])
    fresh = model.begin(3, x)
    mixed = {
        name: torch.where(again.view(-1, *[1] * (old.ndim - 1)), fresh[name], old)
        for name, old in state.items()
    }
    y, _ = run(model, x, [1, 25], mixed)
    on, _ = run(model, x, [1, 25], state)
    torch.testing.assert_close(y[1], model(x)[1], atol=1e-4, rtol=0)
    torch.testing.assert_close(y[[0, 2]], on[[0, 2]], atol=1e-5, rtol=0)
    assert not torch.allclose(y[1], on[1], atol=1e-3)


@torch.no_grad()
def test_a_memory_reaches_beyond_the_window() -> None:
    for kind, reaches in (("window", False), ("sink", True), ("gated delta", True)):
        model, x = build(kind), frames()
        other = x.clone()
        other[:, 0] = -other[:, 0]
        apart = (model(x)[:, -1] - model(other)[:, -1]).abs().max()
        assert bool(apart > 1e-6) == reaches, kind


@torch.no_grad()
def test_without_a_memory_weights_and_states_are_named_as_before() -> None:
    model, x = build("window"), frames()
    assert set(model.begin(1, x)) == {"keys_0", "values_0", "keys_1", "values_1", "index"}
    assert not any("memory" in name for name in model.state_dict())
    extra = set(build("gated delta").state_dict()) - set(model.state_dict())
    assert all(".memory." in name for name in extra)
    assert set(model.state_dict()) < set(build("gated delta").state_dict())


@torch.no_grad()
def test_a_thousand_frames_leave_numbers_finite() -> None:
    """One head of one layer; weights as they begin."""
    for memory in ("gated_delta", "mamba2", "ttt_linear", "ttt_mlp"):
        torch.manual_seed(0)
        cfg = TemporalConfig(8, 8, 1, 1, "window", window=1, memory=memory)
        model = TemporalTransformer(cfg, 1)
        y, state = model.chunk(torch.randn(1, 500, 1, 8), model.begin(1, torch.zeros(1)))
        y, state = model.chunk(torch.randn(1, 500, 1, 8), state)
        assert y.isfinite().all()
        assert state["memory"].isfinite().all(), memory


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"window": 0}, "window is 0 frames .* at least 1"),
        ({"sink": -1}, "sink -1; give at least 1 and 0"),
        ({"positions": "absolute", "sink": 1}, "sink is 1 .* use positions='window'"),
        ({"positions": "absolute", "memory": "mamba2"}, "'mamba2', but absolute positions"),
        ({"memory": "mamba2", "forgetting": True}, "forgetting .* memory is 'mamba2'; turn it off"),
    ],
)
def test_configurations_that_mean_nothing_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(CONFIG, **fields)


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ({"window": 3}, {}, "keys_0 are of 3 frames, but the model's window and sink are 4 frames"),
        ({}, {"sink": 1}, "keys_0 are of 4 frames, but the model's window and sink are 5 frames"),
        ({"layers": 1}, {}, "keeps keys_0, values_0, but the model has 2 layers"),
        ({"heads": 4}, {}, r"keys_0 is \(4, 4, 3, 4\), expected \(2, 4, 3, 8\)"),
        ({}, {"memory": "mamba2"}, "has no memory, but the model's memory is 'mamba2'"),
        ({"memory": "mamba2"}, {}, "has a memory, but the model's memory is 'none'"),
        (
            {"memory": "ttt_mlp"},
            {"memory": "ttt_linear"},
            r"is \(2, 2, 78, 8\), but 'ttt_linear' keeps \(2, 2, 18, 8\): it is another mixer's",
        ),
    ],
)
def test_the_state_of_another_model_is_refused(theirs: dict, ours: dict, message: str) -> None:
    x = frames()
    state = TemporalTransformer(replace(CONFIG, **theirs), TOKENS).begin(3, x)
    model = TemporalTransformer(replace(CONFIG, **ours), TOKENS)
    for call in (lambda: model.step(x[:, 0], state), lambda: model.chunk(x, state)):
        with pytest.raises(InputError, match=message):
            call()


def test_a_memory_in_another_dtype_and_frames_of_another_size_are_refused() -> None:
    model, x = build("ttt linear"), frames()
    state = model.begin(3, x)
    with pytest.raises(InputError, match=r"memory is torch.float16, .* keep the float32"):
        model.step(x[:, 0], {**state, "memory": state["memory"].half()})
    with pytest.raises(InputError, match="a frame has 2 tokens, but the model was trained with 3"):
        model.step(x[:, 0, :2], state)
