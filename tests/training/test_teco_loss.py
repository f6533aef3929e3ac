"""TECO's training loss: terms, padding, DropLoss, switches, gradients, diagnostics."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.presets import load_preset
from worldmodel_env.training.encoded import Encoded, encode
from worldmodel_env.training.recipes import LossConfig
from worldmodel_env.training.teco_loss import diagnostics, teco_losses

CONFIG = replace(load_preset("nano").teco, actions=ActionConfig.of(spaces.Discrete(3)))
PLAIN = replace(CONFIG, z_dropout=0.0, code_noise=0.0, local_skip=False, codebook_logits=False)
ALL_FRAMES = LossConfig(drop_loss=0.0)
TERMS = {"reconstruction", "prior", "commitment", "codebook", "reward", "termination"}


def build(config: TecoConfig = CONFIG) -> Teco:
    torch.manual_seed(0)
    model = Teco(config)
    model.code_vectors.copy_(F.normalize(torch.randn_like(model.code_vectors), dim=-1))
    # Heads start at zero, which would hide what they depend on.
    torch.nn.init.normal_(model.outcome_head.mlp[-1].weight)
    return model


def make_clips(lengths: tuple[int, ...] = (7, 7, 7), frames: int = 7, seed: int = 0) -> Clips:
    generator = torch.Generator().manual_seed(seed)
    b = len(lengths)

    def integers(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=generator)

    return Clips(
        codes=integers(CONFIG.vq_codes, b, frames, 8, 8),
        actions=integers(3, b, frames - 1),
        rewards=torch.randn(b, frames - 1, generator=generator),
        terminations=integers(2, b, frames - 1) > 0,
        valid=torch.arange(frames) < torch.tensor(lengths)[:, None],
    )


def loss(
    model: Teco, clips: Clips, config: LossConfig = ALL_FRAMES, seed: int = 0
) -> dict[str, Tensor]:
    return teco_losses(model, clips, config, torch.Generator().manual_seed(seed))[0]


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor], *names: str) -> None:
    for name in names or first:
        torch.testing.assert_close(first[name], second[name], atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.parametrize("config", [CONFIG, PLAIN], ids=["nano", "plain"])
def test_all_terms_are_finite_and_add_up(config: TecoConfig) -> None:
    weights = LossConfig(drop_loss=0.5, prior_weight=2, commitment_weight=3, outcome_weight=5)
    with torch.no_grad():
        losses = loss(build(config), make_clips(), weights)
    assert losses.keys() == TERMS | {"loss"}
    assert all(torch.isfinite(v) and v >= 0 for v in losses.values())
    total = (
        losses["reconstruction"] + losses["codebook"] + 2 * losses["prior"]
        + 3 * losses["commitment"] + 5 * (losses["reward"] + losses["termination"])
    )  # fmt: skip
    torch.testing.assert_close(losses["loss"], total)
    # A fresh model knows nothing: about ln K nats a code, ln n a latent.
    assert float(losses["reconstruction"]) == pytest.approx(64 * math.log(64), rel=0.25)
    assert float(losses["prior"]) == pytest.approx(16 * math.log(32), rel=0.25)


def test_what_lies_in_padding_changes_nothing() -> None:
    model, clips = build(), make_clips((7, 4, 2))
    other = make_clips((7, 4, 2), seed=1)
    follows, valid = clips.valid[:, 1:], clips.valid
    dirty = Clips(
        codes=torch.where(valid[..., None, None], clips.codes, other.codes),
        actions=torch.where(follows, clips.actions, other.actions),
        rewards=torch.where(follows, clips.rewards, 50.0),
        terminations=torch.where(follows, clips.terminations, ~clips.terminations),
        valid=valid,
    )
    assert not torch.equal(dirty.codes, clips.codes)
    for config in (ALL_FRAMES, LossConfig(drop_loss=0.5)):
        assert_equal(loss(model, clips, config), loss(model, dirty, config))


def test_a_padded_batch_has_the_loss_of_the_unpadded_one() -> None:
    model, padded = build(PLAIN), make_clips((4, 4, 4))
    cut = Clips(
        padded.codes[:, :4], padded.actions[:, :3], padded.rewards[:, :3],
        padded.terminations[:, :3], padded.valid[:, :4],
    )  # fmt: skip
    # The prior's masks are drawn per frame, so its term differs by chance.
    names = TERMS - {"prior"}
    assert_equal(loss(model, padded), loss(model, cut), *names)


@pytest.mark.parametrize(
    "config", [CONFIG, replace(PLAIN, first_frame=True)], ids=["nano", "plain"]
)
@pytest.mark.parametrize("frames", ["per_clip", "shared_with_repeats"])
def test_the_shares_of_a_divided_batch_add_up(config: TecoConfig, frames: str) -> None:
    """However unevenly padding falls on the parts: losses, and so gradients, are the whole's."""
    model, clips = build(config), make_clips((7, 2, 7, 4, 1))
    recipe = LossConfig(drop_loss=0.5, drop_loss_frames=frames, action_dropout=0.5)  # type: ignore[arg-type]
    whole = loss(model, clips, recipe)
    whole["loss"].backward()
    gradient = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    sums = {name: torch.zeros(()) for name in whole}
    for rows in (slice(0, 2), slice(2, 3), slice(3, 5)):
        generator = torch.Generator().manual_seed(0)
        part, encoded = teco_losses(model, clips, recipe, generator, rows)
        part["loss"].backward()
        sums = {name: sums[name] + part[name].detach() for name in sums}
        assert encoded.projected.shape[0] == clips.valid[rows].sum() * 16
    assert_equal(sums, whole)
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, gradient[name], atol=1e-4, rtol=1e-3, msg=name)


def test_the_codebooks_upkeep_sees_no_padding() -> None:
    encoded = encode(build(), make_clips((7, 4, 2)))
    assert encoded.projected.shape == ((7 + 4 + 2) * 16, CONFIG.code_dim)
    assert not encoded.projected.requires_grad
    assert encoded.valid.sum() == 6 + 3 + 1


@pytest.mark.parametrize(("rate", "each"), [(0.0, 6), (0.5, 3), (0.65, 2), (0.95, 1)])
@torch.no_grad()
def test_drop_loss_decodes_valid_frames_of_every_clip(
    rate: float, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[Tensor] = []
    select = Encoded.select

    def spy(self: Encoded, index: Tensor) -> tuple[Tensor, ...]:
        chosen.append(index)
        return select(self, index)

    monkeypatch.setattr(Encoded, "select", spy)
    clips = make_clips((7, 5, 3))
    model = build()
    for seed in range(8):
        loss(model, clips, LossConfig(drop_loss=rate), seed)
    valid = clips.valid[:, 1:].flatten()
    for index in chosen:
        assert len(set(index.tolist())) == len(index)
        assert torch.bincount(index // 6, minlength=3).tolist() == [each] * 3
        for clip, length in enumerate((7, 5, 3)):
            assert valid[index][index // 6 == clip].sum() == min(each, length - 1)
    if each < 6:
        assert len(torch.cat(chosen).unique()) > each * 3  # not always the same ones


def test_drop_loss_estimates_the_loss_on_all_frames() -> None:
    model, clips = build(PLAIN), make_clips()
    with torch.no_grad():
        everything = loss(model, clips)["reconstruction"]
        dropped = [
            loss(model, clips, LossConfig(drop_loss=0.8), seed)["reconstruction"]
            for seed in range(40)
        ]
    assert float(torch.stack(dropped).mean()) == pytest.approx(float(everything), rel=0.01)


def test_a_step_is_a_function_of_its_seed() -> None:
    model, clips = build(), make_clips()
    assert_equal(loss(model, clips, seed=3), loss(model, clips, seed=3))
    torch.manual_seed(99)  # the global generator plays no part
    assert_equal(loss(model, clips, seed=3), loss(model, clips, seed=3))
    assert loss(model, clips, seed=3)["loss"] != loss(model, clips, seed=4)["loss"]


def test_z_dropout_hides_z_from_the_decoder() -> None:
    clips = make_clips()
    for rate, seen in ((0.0, True), (1.0, False)):
        model = build(replace(PLAIN, z_dropout=rate))
        before = loss(model, clips)
        with torch.no_grad():
            # z of the last frame reaches only the decoder: no later frame has it as its past.
            last = Clips(
                clips.codes[:, :2], clips.actions[:, :1], clips.rewards[:, :1],
                clips.terminations[:, :1], clips.valid[:, :2],
            )  # fmt: skip
            before = loss(model, last)["reconstruction"]
            model.codebook.up.weight.mul_(-3)
            after = loss(model, last)["reconstruction"]
        assert (float(before) != float(after)) is seen
    model = build(replace(PLAIN, z_dropout=1.0))
    loss(model, clips)["reconstruction"].backward()
    assert model.null_z.grad.abs().sum() > 0


def test_code_noise_disturbs_only_what_the_local_path_reads() -> None:
    clips = make_clips()
    clean = loss(build(replace(CONFIG, code_noise=0.0, z_dropout=0.0)), clips)
    noisy = loss(build(replace(CONFIG, code_noise=1.0, z_dropout=0.0)), clips)
    assert clean["reconstruction"] != noisy["reconstruction"]
    assert_equal(clean, noisy, "commitment", "codebook", "reward", "termination")


def test_without_the_local_path_code_noise_does_nothing() -> None:
    clips = make_clips()
    clean = loss(build(PLAIN), clips)
    noisy = loss(build(replace(PLAIN, code_noise=1.0)), clips)
    assert_equal(clean, noisy, *(TERMS - {"prior"}))  # whose masks come from later draws


def test_action_dropout_hides_the_actions_of_whole_clips() -> None:
    model, clips = build(PLAIN), make_clips()
    hidden = loss(model, clips, replace(ALL_FRAMES, action_dropout=1.0))
    none = loss(model, replace(clips, actions=None), ALL_FRAMES)
    assert_equal(hidden, none)
    seen = loss(model, clips)
    assert seen["reconstruction"] != hidden["reconstruction"]


def test_gradients_reach_every_parameter() -> None:
    model, config = build(), replace(ALL_FRAMES, action_dropout=0.5)
    loss(model, make_clips((7, 7, 7, 7)), config)["loss"].backward()
    unreached = [
        name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0
    ]
    assert unreached == []


def test_the_null_vectors_alone_wait_for_their_switches() -> None:
    model = build(replace(CONFIG, z_dropout=0.0))
    loss(model, make_clips())["loss"].backward()
    unreached = [
        name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0
    ]
    assert sorted(unreached) == ["action.null", "null_z"]


def test_clips_without_actions_train() -> None:
    model = build()
    loss(model, replace(make_clips(), actions=None))["loss"].backward()
    assert model.action.null.grad.abs().sum() > 0
    assert model.action.tables[0].weight.grad is None


def test_a_frame_is_predicted_from_its_past_and_the_action_before_it() -> None:
    model, clips = build(PLAIN), make_clips((7,))
    with torch.no_grad():
        h = encode(model, clips).h
        codes = clips.codes.clone()
        codes[:, 4] = (codes[:, 4] + 1) % CONFIG.vq_codes
        by_frame = encode(model, replace(clips, codes=codes)).h
        actions = clips.actions.clone()
        actions[:, 3] = (actions[:, 3] + 1) % 3  # leads from frame 3 to frame 4
        by_action = encode(model, replace(clips, actions=actions)).h
    # Row k of h belongs to frame k + 1.
    assert ((h - by_frame).abs().sum((1, 2, 3)) > 0).nonzero()[0, 0] == 4
    assert ((h - by_action).abs().sum((1, 2, 3)) > 0).nonzero()[0, 0] == 3


def test_bfloat16_gives_about_the_same_loss_and_finite_gradients() -> None:
    model, clips = build(), make_clips()
    exact = loss(model, clips)
    with torch.autocast("cpu", torch.bfloat16):
        half = loss(model, clips)
    for name in exact:
        assert half[name].dtype == torch.float32
        torch.testing.assert_close(half[name], exact[name], rtol=0.08, atol=0.02, msg=name)
    half["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_few_steps_on_one_batch_lower_the_loss() -> None:
    model, clips = build(), make_clips()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    values = []
    for step in range(30):
        terms = loss(model, clips, LossConfig(drop_loss=0.5), step)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        values.append(float(terms["loss"].detach()))
    assert values[-1] < 0.9 * values[0]


def test_diagnostics_of_a_decoder_that_knows_nothing_are_uniform() -> None:
    model = build(PLAIN)
    torch.nn.init.zeros_(model.decoder.out.weight)
    torch.nn.init.zeros_(model.decoder.out.bias)
    result = diagnostics(model, make_clips((7, 4, 2)), torch.Generator().manual_seed(0))
    for source in ("posterior", "prior", "null", "shuffled_h"):
        assert result[f"ce_{source}"] == pytest.approx(math.log(64), rel=1e-5)
        assert 0 <= result[f"accuracy_{source}"] < 0.1
    assert 1 <= result["z_perplexity"] <= CONFIG.n_codes


def test_diagnostics_tell_a_decoder_that_ignores_h() -> None:
    model = build(PLAIN)
    with torch.no_grad():
        model.decoder.input.weight[:, : CONFIG.embed_dim] = 0
    result = diagnostics(model, make_clips(), torch.Generator().manual_seed(0))
    assert result["ce_shuffled_h"] == pytest.approx(result["ce_posterior"], rel=1e-5)
    assert result["ce_null"] != pytest.approx(result["ce_posterior"], rel=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"local_skip": False},
        {"first_frame": True},
        {"conditional_encoder": False},
        {"conditional_encoder": False, "first_frame": True},
        {"conditional_encoder": False, "first_frame": True, "local_skip": False},
    ],
    ids=lambda change: ", ".join(change) or "nano",
)
def test_every_trainable_parameter_has_a_gradient(change: dict[str, bool]) -> None:
    """Processes that train together wait for each of them."""
    model = build(replace(CONFIG, **change))
    loss(model, make_clips())["loss"].backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
