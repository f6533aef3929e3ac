"""Runs of both stages that several tests look at; not to be changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stages
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny models lose time to threads, and equal runs need equal numbers of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tokenizer_run(
    toy_set: Path, tmp_path_factory: pytest.TempPathFactory, _one_thread: None
) -> Path:
    """A run folder with a tokenizer, trained for `stages.STEPS` steps without disturbance."""
    out = tmp_path_factory.mktemp("tokenizer")
    stages.train("vqgan", toy_set, out)
    return out


@pytest.fixture(scope="session")
def whole_run(toy_set: Path, tokenizer_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with both stages, each trained without disturbance."""
    out = stages.prepare("teco", tokenizer_run, tmp_path_factory.mktemp("whole"))
    stages.train("teco", toy_set, out)
    return out
