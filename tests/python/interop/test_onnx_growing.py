"""Resizing and transposed convolutions of ONNX files give ONNX Runtime's numbers."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from foreign import expect_close
from onnx_session import session_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper = onnx.helper


def check(operator, inputs, x, constants=None, opset=17, **attributes):
    """ferrnn computes what ONNX Runtime does for one node."""

    def value(name):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * x.ndim)

    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"], **attributes)],
        "one",
        [value("x")],
        [value("y")],
        [onnx.numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    wanted = session_of(model.SerializeToString()).run(None, {"x": x})[0]
    found = ferrnn.from_onnx(model)(x)
    assert found.shape == wanted.shape
    expect_close(found, wanted)


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
MODES = [
    *({"mode": "nearest", "nearest_mode": each} for each in ROUNDINGS),
    {"mode": "linear"},
    {"mode": "cubic"},
    {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
]


@each_case("mode", MODES, ids=lambda mode: "-".join(map(str, mode.values())))
@each_case("kind", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
def test_frames_are_resized_by_factors_and_to_sizes(mode, kind):
    told = {**mode, "coordinate_transformation_mode": kind}
    x = draw(2, 3, 7, 5)
    for rows, columns in ((2, 3), (1.5, 2.25), (0.45, 0.5), (1, 4)):
        scales = np.array([1, 1, rows, columns], "f4")
        check("Resize", ["x", "", "scales"], x, {"scales": scales}, **told)
        sizes = np.array([2, 3, int(7 * rows), int(5 * columns)])
        check("Resize", ["x", "", "", "sizes"], x, {"sizes": sizes}, **told)


def test_older_versions_of_resizing():
    scales = np.array([1, 1, 2, 3], "f4")
    x = draw(2, 3, 4, 5)
    check("Resize", ["x", "scales"], x, {"scales": scales}, opset=10, mode="linear")
    check("Upsample", ["x", "scales"], x, {"scales": scales}, opset=9, mode="nearest")
    check("Upsample", ["x"], x, opset=7, mode="linear", scales=[1.0, 1.0, 2.0, 3.0])


def test_what_resizing_does_not_know_is_named():
    x, scales = draw(1, 1, 4, 4), {"scales": np.array([1, 1, 0.5, 0.5], "f4")}
    with pytest.raises(ValueError, match=r"Resize.* antialias"):
        check("Resize", ["x", "", "scales"], x, scales, opset=18, antialias=1, mode="linear")


@each_case("groups", [1, 2])
@each_case(
    "where",
    [
        {},
        {"strides": [2, 3], "output_padding": [1, 2]},
        {"strides": [2, 3], "dilations": [2, 1], "pads": [1, 0, 0, 1]},
        {"strides": [2, 3], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "dilations": [1, 2], "auto_pad": "SAME_LOWER"},
        {"strides": [2, 3], "output_shape": [13, 14]},
        {"strides": [2, 3], "output_shape": [11, 12], "auto_pad": "SAME_UPPER"},
    ],
    ids=str,
)
def test_transposed_convolutions(groups, where):
    constants = {"w": draw(4, 3, 3, 2), "b": draw(3 * groups)}
    x = draw(2, 4, 6, 5)
    check("ConvTranspose", ["x", "w", "b"], x, constants, group=groups, **where)
    del constants["b"]
    check("ConvTranspose", ["x", "w"], x, constants, group=groups, **where)


def test_transposed_convolutions_of_one_and_three_axes():
    check("ConvTranspose", ["x", "w"], draw(2, 4, 6), {"w": draw(4, 3, 3)}, strides=[2])
    check("ConvTranspose", ["x", "w"], draw(2, 4, 3, 4, 5), {"w": draw(4, 3, 2, 3, 1)})
