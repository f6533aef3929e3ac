"""The exponential mean of weights."""

import torch
from torch import nn

from worldmodel_env.training.ema import Ema


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("usage", torch.tensor([0.5]))


def train(net: Net, average: Ema, steps: range) -> None:
    for step in steps:
        with torch.no_grad():
            net.weight += step + 1
            net.count += 1
            net.usage += 0.25
        average.update(net, step)


def test_parameters_are_averaged_and_buffers_copied() -> None:
    net, expected = Net(), torch.tensor([1.0, 2.0])
    average = Ema(net, decay=0.5)
    for step in range(20):
        train(net, average, range(step, step + 1))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * net.weight.detach()
    torch.testing.assert_close(average.state_dict()["weight"], expected)
    assert average.state_dict()["count"] == net.count == 23
    assert average.state_dict()["usage"] == net.usage


def test_the_model_is_not_touched() -> None:
    net = Net()
    average = Ema(net, decay=0.9)
    train(net, average, range(3))
    assert net.weight.tolist() == [7.0, 8.0]
    assert net.weight.requires_grad
    assert not average.state_dict()["weight"].requires_grad


def test_the_initial_weights_are_soon_forgotten() -> None:
    net = Net()
    average = Ema(net, decay=0.9999)
    nn.init.constant_(net.weight, 9.0)
    for step in range(50):
        average.update(net, step)
    assert (average.state_dict()["weight"] - 9).abs().max() < 1e-6


def test_applied_for_a_while() -> None:
    net = Net()
    average = Ema(net, decay=0.9)
    train(net, average, range(4))
    own = {k: v.clone() for k, v in net.state_dict().items()}
    with average.applied(net):
        assert torch.equal(net.weight, average.state_dict()["weight"])
    assert all(torch.equal(v, own[k]) for k, v in net.state_dict().items())
    # Inside, the model is the average's copy: to change it is not to change the average.
    before = average.state_dict()["weight"].clone()
    with average.applied(net):
        nn.init.zeros_(net.weight)
    assert torch.equal(net.weight, own["weight"])
    assert torch.equal(average.state_dict()["weight"], before)


def test_going_on_from_a_state_is_bit_equal() -> None:
    net, again = Net(), Net()
    average = Ema(net, decay=0.3)
    train(net, average, range(3))
    saved = {k: v.clone() for k, v in average.state_dict().items()}
    again.load_state_dict(net.state_dict())
    train(net, average, range(3, 6))

    other = Ema(Net(), decay=0.3)
    other.load_state_dict(saved)
    train(again, other, range(3, 6))
    for name, value in average.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
