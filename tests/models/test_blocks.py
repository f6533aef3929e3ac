"""Convolutional pieces."""

import pytest
import torch
import torch.nn.functional as F

from worldmodel_env.models.blocks import (
    AttnBlock,
    Downsample,
    PatchLinear,
    ResBlock,
    TecoResBlock,
    UnpatchLinear,
    Upsample,
    float_to_frames,
    frames_to_float,
    group_norm,
)


def test_every_byte_survives_the_way_to_floats_and_back() -> None:
    frames = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(2, 16, 16, 3)
    x = frames_to_float(frames)
    assert x.shape == (2, 3, 16, 16)
    assert (float(x.min()), float(x.max())) == (-1.0, 1.0)
    assert torch.equal(float_to_frames(x), frames)


def test_floats_out_of_range_are_clipped() -> None:
    x = torch.tensor([-7.0, 7.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert float_to_frames(x)[0, 0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(("channels", "groups"), [(512, 32), (128, 32), (64, 16), (24, 2), (4, 1)])
def test_group_norm_has_32_groups_where_they_are_wide_enough(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups


@pytest.mark.parametrize("block", [ResBlock, TecoResBlock])
@torch.no_grad()
def test_residual_blocks_keep_the_size_and_change_the_width(block: type[ResBlock]) -> None:
    x = torch.randn(2, 8, 6, 6)
    assert block(8, 12)(x).shape == (2, 12, 6, 6)
    same = block(8, 8)
    torch.nn.init.zeros_(same.conv2.weight)
    torch.nn.init.zeros_(same.conv2.bias)
    torch.testing.assert_close(same(x), x)


@torch.no_grad()
def test_attention_sees_the_whole_map() -> None:
    block, x = AttnBlock(8), torch.randn(1, 8, 4, 4)
    other = x.clone()
    other[..., 3, 3] += 3
    assert block(x).shape == x.shape
    assert not torch.allclose(block(x)[..., 0, 0], block(other)[..., 0, 0])


@torch.no_grad()
def test_sampling_up_and_down() -> None:
    x = torch.randn(2, 8, 6, 6)
    assert Downsample(8)(x).shape == (2, 8, 3, 3)
    assert Upsample(8, 4)(x).shape == (2, 4, 12, 12)


@torch.no_grad()
def test_unpatch_is_a_transposed_convolution() -> None:
    layer, x = UnpatchLinear(6, 5, 2), torch.randn(3, 6, 4, 4)
    kernel = layer.conv.weight.view(5, 2, 2, 6).permute(3, 0, 1, 2)
    expected = F.conv_transpose2d(x, kernel, stride=2)
    torch.testing.assert_close(layer(x), expected, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_patches_do_not_overlap() -> None:
    layer, x = PatchLinear(6, 5, 2), torch.randn(1, 6, 4, 4)
    other = x.clone()
    other[..., :2, :2] += 1
    difference = (layer(x) - layer(other)).abs().sum((0, 1)) > 0
    assert difference.tolist() == [[True, False], [False, False]]
