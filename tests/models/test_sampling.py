"""Passes that are repeated, and in exported graphs made only where somebody wants them."""

import pytest
import torch
from torch import Tensor, nn

from worldmodel_env.models.sampling import repeat


class Counter(nn.Module):
    """Adds 1, 2, 3 to codes."""

    def forward(self, codes: Tensor, wanted: Tensor) -> Tensor:
        return repeat(3, lambda i, codes: codes + i + 1, codes, wanted)


@pytest.mark.parametrize("wanted", [True, False])
def test_an_exported_graph_makes_no_pass_that_nobody_wants(wanted: bool) -> None:
    codes = torch.tensor([5, 7])
    program = torch.export.export(Counter(), (codes, torch.tensor(True))).module()
    made = program(codes, torch.tensor(wanted))
    assert made.tolist() == ([11, 13] if wanted else [5, 7])


def test_without_a_graph_all_passes_are_made() -> None:
    made = Counter()(torch.tensor([5, 7]), torch.tensor(False))
    assert made.tolist() == [11, 13]
