"""What of the TensorRT backend can be tested without a GPU: refusals, and that its names exist."""

import pytest
import torch

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.backend import open_backend
from worldmodel_env.imagination.export.manifest import Export
from worldmodel_env.imagination.tensorrt_backend import TensorRt, installed
from worldmodel_env.imagination.world import World

BUILT = {"package": "tensorrt_rtx", "version": "1.0", "targets": ["sm_86"], "rows": [2, 4, 8]}


@pytest.fixture
def runtime() -> TensorRt:
    """For three rows, without the device that its constructor asks for."""
    made = object.__new__(TensorRt)
    made.batch = 3
    return made


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("device", "words"), [("auto", "torch finds none"), ("cpu", "torch was given 'cpu'")]
)
def test_it_needs_a_gpu(nano_world, device, words):
    with pytest.raises(InputError, match=rf"'tensorrt' needs a CUDA device, and {words}; use"):
        open_backend(World.load(nano_world), "tensorrt", device=device)


def test_other_rows_than_were_built(runtime, tmp_path):
    engines = Export(tmp_path, {"engine": BUILT})
    for rows in (1, 9):
        runtime.batch = rows
        with pytest.raises(InputError, match=rf"for 2 to 8 rows, not for {rows}; .*--batch"):
            runtime.load(engines, "step")


def test_onnx_files_are_no_engines(runtime, tmp_path):
    with pytest.raises(InputError, match=r"holds ONNX files, not engines; build some"):
        runtime.load(Export(tmp_path, {}), "step")


def test_another_version(runtime):
    pytest.importorskip("tensorrt_rtx", reason='pip install "worldmodel-env[tensorrt]"')
    with pytest.raises(InputError, match=r"built by tensorrt_rtx 1.0, and .* is installed; build"):
        installed(BUILT)


def test_a_missing_package():
    with pytest.raises(InputError, match=r"package none_such; pip .*worldmodel-env\[tensorrt\]"):
        installed({**BUILT, "package": "none_such"})


def test_the_names_that_it_uses_exist():
    trt = pytest.importorskip("tensorrt_rtx", reason='pip install "worldmodel-env[tensorrt]"')
    assert installed({**BUILT, "version": trt.__version__}) is trt
    used = {
        trt.Runtime: ["deserialize_cuda_engine"],
        trt.ICudaEngine: ["create_execution_context"],
        trt.IExecutionContext: ["set_input_shape", "set_tensor_address", "execute_async_v3"],
        trt.Logger: ["ERROR"],
    }
    for kind, names in used.items():
        assert all(hasattr(kind, name) for name in names), kind
