"""The tokenizer's losses against their formulas."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.models.discriminator import Discriminator, DiscriminatorConfig
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset
from worldmodel_env.training.recipes import GanTraining, VqganTraining
from worldmodel_env.training.vqgan_loss import discriminator_losses, vqgan_losses

PLAIN = VqganTraining(perceptual="none")


def tokenizer() -> Vqgan:
    torch.manual_seed(0)
    return Vqgan(load_preset("nano").vqgan)


def judge() -> Discriminator:
    torch.manual_seed(1)
    return Discriminator(DiscriminatorConfig(layers=2, channels=8))


def frames(count: int = 4) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1


class Constant(nn.Module):
    """Judges the first `real` frames one way and the others another."""

    def __init__(self, real: int, on_real: float, on_fake: float) -> None:
        super().__init__()
        self.verdicts = real, on_real, on_fake

    def forward(self, x: Tensor) -> Tensor:
        real, on_real, on_fake = self.verdicts
        first = torch.arange(len(x)) < real
        return torch.where(first, on_real, on_fake)[:, None, None, None].expand(-1, 1, 3, 3)


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    model, x = tokenizer(), frames()
    training = replace(PLAIN, l2_weight=0.3, codebook_weight=1.5, commitment_weight=0.7)
    losses, codes, reconstruction = vqgan_losses(model, x, None, None, training)
    expected = (
        (reconstruction - x).abs().mean()
        + 0.3 * (reconstruction - x).square().mean()
        + 1.5 * losses["codebook"]
        + 0.7 * losses["commitment"]
    )
    torch.testing.assert_close(losses["loss"], expected)
    assert torch.equal(codes, model(x)[1].codes)
    torch.testing.assert_close(reconstruction, model(x)[0])
    assert not reconstruction.requires_grad


def test_the_defaults_are_the_papers_losses() -> None:
    """L1 + the whole squared distances, the encoder's at a quarter; no squared error of pixels."""
    model, x = tokenizer(), frames()
    losses, codes, reconstruction = vqgan_losses(model, x, None, None, PLAIN)
    latents = model.codebook.normalise(model.latents(x))
    squared = (latents - model.codebook.lookup(codes)).square().mean()
    expected = (reconstruction - x).abs().mean() + squared + 0.25 * squared
    torch.testing.assert_close(losses["loss"], expected)


@pytest.mark.parametrize("weight", [0.8, 0.1])
def test_the_adaptive_weight_and_its_gradient(weight: float) -> None:
    """Against the formula, each loss differentiated on its own from the frames up."""
    model, critic, x = tokenizer(), judge(), frames()
    training = replace(PLAIN, l2_weight=0.5, gan=GanTraining(weight=weight))
    losses, _, _ = vqgan_losses(model, x, None, critic, training)
    losses["loss"].backward()
    found = {k: p.grad.clone() for k, p in model.named_parameters()}
    assert all(p.grad is None for p in critic.parameters())

    last = model.decoder.last.weight
    reconstruction, quantised = model(x)
    nll = (reconstruction - x).abs().mean() + 0.5 * (reconstruction - x).square().mean()
    g = -critic(reconstruction).mean()
    (nll_gradient,) = torch.autograd.grad(nll, last, retain_graph=True)
    (g_gradient,) = torch.autograd.grad(g, last, retain_graph=True)
    ratio = nll_gradient.norm() / (g_gradient.norm() + 1e-4)
    torch.testing.assert_close(losses["generator_weight"], weight * ratio)
    torch.testing.assert_close(losses["generator"], g)

    vq = 2.0 * quantised.codebook.mean() + 0.5 * quantised.commitment.mean()
    total = nll + weight * ratio.detach() * g + vq
    torch.testing.assert_close(losses["loss"], total)
    model.zero_grad()
    total.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-7)


def test_the_adaptive_weight_is_bounded() -> None:
    """A judge that has no opinion would get a weight of millions."""
    model, critic, x = tokenizer(), judge(), frames()
    nn.init.constant_(critic.layers[-1].weight, 1e-12)
    with torch.no_grad():
        model.decoder.last.weight.mul_(0)
    training = replace(PLAIN, l2_weight=1e6)
    losses, _, _ = vqgan_losses(model, x, None, critic, training)
    assert losses["generator_weight"] == pytest.approx(0.8e4)


@pytest.mark.parametrize(
    ("on_real", "on_fake", "expected"),
    [(0.0, 0.0, 1.0), (1.0, -1.0, 0.0), (5.0, -7.0, 0.0), (0.25, 0.5, 1.125), (-1.0, -3.0, 1.0)],
)
def test_the_hinge_loss(on_real: float, on_fake: float, expected: float) -> None:
    losses = discriminator_losses(Constant(4, on_real, on_fake), frames(), frames())  # type: ignore[arg-type]
    assert losses["discriminator"] == expected
    assert losses["verdict_real"] == on_real
    assert losses["verdict_fake"] == on_fake


def test_a_judge_learns_to_tell_apart() -> None:
    critic, x = judge(), frames(8)
    blurred = F.avg_pool2d(x, 3, stride=1, padding=1)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3, betas=(0.5, 0.9))
    trace = []
    for _ in range(40):
        losses = discriminator_losses(critic, x, blurred)
        optimizer.zero_grad()
        losses["discriminator"].backward()
        optimizer.step()
        trace.append(float(losses["discriminator"].detach()))
    assert trace[0] > 0.8
    assert trace[-1] < 0.2
    assert losses["verdict_real"] > losses["verdict_fake"]


@pytest.mark.parametrize(("count", "looked_at"), [(None, [0, 1, 2, 3]), (2, [0, 2]), (1, [0])])
def test_the_perceptual_loss_looks_at_some_frames(count: int | None, looked_at: list[int]) -> None:
    model, x, lpips = tokenizer(), frames(), Lpips("alex")
    training = VqganTraining(perceptual="alex", perceptual_weight=0.6, perceptual_frames=count)
    losses, _, reconstruction = vqgan_losses(model, x, lpips, None, training)
    distances = lpips(reconstruction, x)
    torch.testing.assert_close(losses["lpips"], distances[looked_at].mean())
    without, _, _ = vqgan_losses(model, x, None, None, training)
    torch.testing.assert_close(losses["loss"], without["loss"] + 0.6 * losses["lpips"])


def test_more_perceptual_frames_than_the_batch_has_are_all_of_it() -> None:
    model, x, lpips = tokenizer(), frames(), Lpips("alex")
    whole, more = (
        vqgan_losses(model, x, lpips, None, VqganTraining(perceptual_frames=count))[0]["lpips"]
        for count in (None, 9)
    )
    assert whole == more
