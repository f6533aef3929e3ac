import numpy as np
import pytest
import torch

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics.lpips import Lpips


@pytest.fixture(scope="module")
def alex() -> Lpips:
    return Lpips("alex")


@pytest.fixture(scope="module")
def vgg() -> Lpips:
    return Lpips("vgg")


def images(n: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, size, size, generator=generator) * 2 - 1


@pytest.mark.parametrize(
    ("net", "size", "published"),
    [("vgg", 32, 0.511287), ("alex", 64, 0.813954), ("vgg", 64, 0.453837)],
)
def test_published_values(net, size, published, request: pytest.FixtureRequest) -> None:
    black = torch.full((1, 3, size, size), -1.0)
    assert request.getfixturevalue(net)(black, -black).item() == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_is_a_distance(net, request: pytest.FixtureRequest) -> None:
    lpips = request.getfixturevalue(net)
    x, y = images(2, 32), images(2, 32, seed=1)
    assert lpips(x, x).tolist() == [0, 0]
    assert (lpips(x, y) > 0.05).all()
    torch.testing.assert_close(lpips(x, y), lpips(y, x))


def test_more_noise_is_farther(alex: Lpips) -> None:
    grid = torch.linspace(-3, 3, 64)
    x = (torch.sin(grid)[:, None] * torch.cos(grid)).expand(3, 3, 64, 64)
    noise = images(1)
    far = alex(x, (x + torch.tensor([0.02, 0.1, 0.5]).view(3, 1, 1, 1) * noise).clamp(-1, 1))
    assert far[0] < far[1] < far[2]


def test_distance_takes_frames_in_any_grouping(alex: Lpips) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 2, 3, 40, 48, 3), dtype=np.uint8)
    together = alex.distance(a, b)
    assert together.shape == (2, 3)
    assert together.dtype == np.float64
    np.testing.assert_allclose(alex.distance(a, b, batch_size=1), together, rtol=1e-5)
    x, y = (
        torch.from_numpy(frames).flatten(0, 1).permute(0, 3, 1, 2) / 127.5 - 1 for frames in (a, b)
    )
    np.testing.assert_allclose(alex(x, y).view(2, 3).numpy(), together, rtol=1e-5)
    assert alex.distance(a[0, 0], b[0, 0]).shape == ()
    assert alex.distance(a[:0], b[:0]).shape == (0, 3)


def test_distance_is_the_same_inside_autocast(alex: Lpips) -> None:
    a, b = np.random.default_rng(0).integers(0, 256, (2, 2, 64, 64, 3), dtype=np.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        inside = alex.distance(a, b)
    np.testing.assert_array_equal(inside, alex.distance(a, b))


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_bfloat16_stays_near_float32(net, request: pytest.FixtureRequest) -> None:
    lpips = request.getfixturevalue(net)
    x, y = images(4), images(4, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        near = lpips(x, y)
    assert near.dtype == torch.float32
    torch.testing.assert_close(near, lpips(x, y), rtol=0.03, atol=0)


def test_as_a_loss_it_pulls_an_image_to_its_target(alex: Lpips) -> None:
    x, y = images(2).requires_grad_(), images(2, seed=1)
    optimizer = torch.optim.Adam([x], lr=0.05)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = alex(x, y).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_gradient_is_that_of_the_value() -> None:
    lpips = Lpips("alex").double()
    x, y = images(1, 31).double().requires_grad_(), images(1, 31, seed=1).double()
    (gradient,) = torch.autograd.grad(lpips(x, y).sum(), x)
    step = 1e-4 * torch.sign(gradient)
    with torch.no_grad():
        slope = (lpips(x + step, y) - lpips(x - step, y)) / 2
    assert slope.item() == pytest.approx((gradient * step).sum().item(), rel=2e-2)


def test_all_zero_features_have_finite_gradients() -> None:
    lpips = Lpips("alex")
    for name, buffer in lpips.named_buffers():
        if name.endswith("bias"):
            buffer.fill_(-1e6)  # nothing passes the first ReLU
    x = images(1).requires_grad_()
    distance = lpips(x, images(1, seed=1))
    distance.sum().backward()
    assert distance.item() == 0
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_flat_images_have_finite_gradients(alex: Lpips, value: float) -> None:
    x = torch.full((1, 3, 64, 64), value, requires_grad=True)
    alex(x, torch.full_like(x, -0.5)).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_nan_is_not_hidden(alex: Lpips) -> None:
    x = images(2)
    x[1, 0, 5, 5] = torch.nan
    distances = alex(x, images(2, seed=1))
    assert torch.isfinite(distances[0])
    assert torch.isnan(distances[1])


def test_weights_are_neither_trained_nor_saved_with_a_model(alex: Lpips) -> None:
    assert not list(alex.parameters())
    assert not alex.state_dict()


def test_bad_images_are_refused(alex: Lpips, vgg: Lpips) -> None:
    with pytest.raises(InputError, match=r"\(2, 3, 64, 64\) and \(1, 3, 64, 64\)"):
        alex(images(2), images(1))
    with pytest.raises(InputError, match="put channels first"):
        alex(images(1).permute(0, 2, 3, 1), images(1).permute(0, 2, 3, 1))
    with pytest.raises(InputError, match="at least 31x31"):
        alex(images(1, 30), images(1, 30))
    with pytest.raises(InputError, match="at least 16x16"):
        vgg(images(1, 15), images(1, 15))
    assert torch.isfinite(alex(images(1, 31), images(1, 31, seed=1))).all()
    assert torch.isfinite(vgg(images(1, 16), images(1, 16, seed=1))).all()
    with pytest.raises(InputError, match="float64 where uint8"):
        alex.distance(np.full((64, 64, 3), np.nan), np.zeros((64, 64, 3), np.uint8))
