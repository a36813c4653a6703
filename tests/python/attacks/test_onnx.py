"""Hostile ONNX files: memory of a few times the file's size, no other file, one sentence."""

import time
import tracemalloc

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn._src.interop.onnx import writing
from ferrnn._src.interop.onnx.writing import Builder

FEW = 24 << 20


def peak_of(function):
    """The largest memory that a call takes, in bytes, and what it gives or raises."""
    tracemalloc.start()
    try:
        found = function()
    except (ValueError, MemoryError) as error:
        found = error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak, found


def model_of(write):
    """The bytes of a model whose output is a large constant plus its input."""
    b = Builder("float32")
    x = b.input("x", "float32", ("n",))
    b.output(b.op("Add", x, b.op("ReduceMax", write(b), keepdims=0)), "y", "float32", ("n",))
    return b.model("bomb", "nobody", "1")


def doubled(b):
    x = b.constant(np.ones(1 << 10))
    for _ in range(30):
        x = b.op("Concat", x, x, axis=0)
    return x


def many(b):
    """Each constant is small, all are a gigabyte."""
    row = b.constant(np.ones((1, 1 << 10)))
    total = b.constant(np.ones(1))
    for at in range(250):
        made = b.op("Mul", b.constant(np.full((1 << 10, 1), at + 1.0)), row)
        total = b.op("Add", total, b.op("ReduceMax", made, keepdims=0))
        b.output(made, f"out_{at}", "float32", (1 << 10, 1 << 10))
    return total


BOMBS = {
    "ConstantOfShape": lambda b: b.op("ConstantOfShape", b.integers(1 << 15, 1 << 15)),
    "Expand": lambda b: b.op("Exp", b.op("Expand", b.constant([1.0]), b.integers(1 << 30))),
    "Tile": lambda b: b.op("Tile", b.constant(np.ones(64)), b.integers(1 << 24)),
    "Range": lambda b: b.op("Range", *(b.constant(n, "n", "int64") for n in (0, 1 << 30, 1))),
    "OneHot": lambda b: b.op(
        "OneHot", b.integers(*range(100)), b.integers(1 << 24), b.constant([0.0, 1.0])
    ),
    "Pad": lambda b: b.op("Pad", b.constant([1.0]), b.integers(1 << 29, 1 << 29)),
    "MatMul": lambda b: b.op("MatMul", *(b.constant(np.ones(n)) for n in ((9000, 1), (1, 9000)))),
    "Gemm": lambda b: b.op("Gemm", *(b.constant(np.ones(n)) for n in ((9000, 1), (1, 9000)))),
    "broadcast": lambda b: b.op("Add", b.constant(np.ones((9000, 1))), b.constant(np.ones(9000))),
    "Einsum": lambda b: b.op(
        "Einsum", b.constant(np.ones(9000)), b.constant(np.ones(9000)), equation="i,j->ij"
    ),
    "Gather": lambda b: b.op(
        "Gather", b.constant(np.ones((2, 9000))), b.integers(*[0] * 9000), axis=0
    ),
    "GatherND": lambda b: b.op(
        "GatherND", b.constant(np.ones((2, 9000))), b.constant(np.zeros((9000, 1)), "at", "int64")
    ),
    "Resize": lambda b: b.op(
        "Resize", b.constant(np.ones((1, 1, 9, 9))), "", b.constant([1, 1, 5000, 5000]),
        mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    ),
    "Conv": lambda b: b.op(
        "Conv", b.constant(np.ones((1, 1, 9))), b.constant(np.ones((1, 1, 1))),
        pads=[1 << 29, 1 << 29], kernel_shape=[1],
    ),
    "ConvTranspose": lambda b: b.op(
        "ConvTranspose", b.constant(np.ones((1, 1, 9))), b.constant(np.ones((1, 1, 1))),
        strides=[1 << 28],
    ),
    "doubled": doubled,
    "many": many,
}  # fmt: skip


@each_case("name", BOMBS)
def test_constants_that_grow_are_not_computed_when_the_file_is_read(name):
    content = model_of(BOMBS[name])
    ferrnn.from_onnx(model_of(lambda b: b.constant([1.0])))  # its modules are there
    peak, _ = peak_of(lambda: ferrnn.from_onnx(content))
    assert peak < 24 * len(content) + FEW


def test_constants_of_usual_models_are_still_computed():
    content = model_of(lambda b: b.op("Tile", b.constant(np.ones((40, 50))), b.integers(3, 2)))
    model = ferrnn.from_onnx(content)
    assert [step.node.operator for step in model._programs.plan.steps] == ["Add", "Identity"]


PARTS = {
    "nodes": b"\x0a\x00",
    "inputs": b"\x5a\x00",
    "outputs": b"\x62\x00",
    "constants": b"\x2a\x00",
    "nodes with names": writing._inside(1, writing._text(4, "Add")),
    "inputs of a node": writing._inside(1, b"\x0a\x00" * 60_000),
    "attributes of a node": writing._inside(1, b"\x2a\x00" * 60_000),
    "axes": writing._inside(
        5, b"\x08\x01" * 60_000 + writing._integer(2, 1) + writing._inside(9, b"1234")
    ),
}


@each_case("name", PARTS)
def test_parts_that_take_more_memory_than_bytes(name):
    part = PARTS[name]
    graph = part if len(part) > 1000 else part * (120_000 // len(part))
    content = writing._integer(1, 8) + writing._inside(7, graph)
    peak, error = peak_of(lambda: ferrnn.from_onnx(content))
    assert isinstance(error, ValueError)
    assert "damaged" in str(error)
    assert len(str(error)) < 500
    assert peak < 24 * len(content) + FEW


def test_graphs_inside_of_graphs_end():
    inner = writing._text(2, "deepest")
    for _ in range(100):
        attribute = writing._text(1, "body") + writing._inside(6, inner) + writing._integer(20, 5)
        node = writing._text(4, "Scan") + writing._inside(5, attribute)
        inner = writing._inside(1, node)
    with pytest.raises(ValueError, match="nested more than 16 deep"):
        ferrnn.from_onnx(writing._integer(1, 8) + writing._inside(7, inner))


def scanning(write, **attributes):
    """A Scan over the input, its body written by `write`."""
    b = Builder("float32")
    x = b.input("x", "float32", ("n", 2))
    inner = b.inside()
    step = inner.input("step", "float32", (2,))
    inner.output(write(inner, step), "shown", "float32", (2,))
    told = {"num_scan_inputs": 1, **attributes}
    y = b.op("Scan", x, body=inner.graph("body"), **told)
    b.output(y, "y", "float32", ("n", 2))
    return b.model("scan", "nobody", "1")


def test_a_body_of_a_scan_is_no_bomb():
    content = scanning(
        lambda b, x: b.op("Add", x, b.op("ConstantOfShape", b.integers(1 << 14, 1 << 14, 2)))
    )
    peak, model = peak_of(lambda: ferrnn.from_onnx(content))
    assert peak < 24 * len(content) + FEW
    assert [value.name for value in model.outputs] == ["y"]


@each_case(
    ("attributes", "reason"),
    [
        ({"num_scan_inputs": 0}, "between 1 and the number"),
        ({"num_scan_inputs": -1}, "between 1 and the number"),
        ({"num_scan_inputs": 10**12}, "between 1 and the number"),
        ({"scan_input_directions": [2]}, "directions 0 or 1"),
        ({"scan_input_axes": [0, 0, 0]}, "must be 1 numbers"),
        ({"scan_output_axes": [1, 2]}, "must be 1 numbers"),
    ],
)
def test_scans_with_attributes_that_do_not_fit(attributes, reason):
    with pytest.raises(ValueError, match=reason):
        ferrnn.from_onnx(scanning(lambda b, x: b.op("Neg", x), **attributes))


def test_axes_that_a_scan_has_not_got_are_named_when_it_runs():
    model = ferrnn.from_onnx(scanning(lambda b, x: b.op("Neg", x), scan_input_axes=[7]))
    with pytest.raises(ValueError, match=r"the Scan node .* cannot take inputs"):
        model(np.ones((3, 2), "float32"))


def test_a_body_that_asks_for_what_nothing_computes():
    model = ferrnn.from_onnx(scanning(lambda b, x: b.op("Add", x, "nowhere")))
    with pytest.raises(ValueError, match="'nowhere', which is not computed by any node"):
        model(np.ones((3, 2), "float32"))


@pytest.mark.parametrize("place", ["/etc/passwd", "../secret", "secret", "file:///etc/passwd"])
def test_weights_in_another_file_are_not_read(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(b"1234")
    entry = writing._text(1, "location") + writing._text(2, place)
    tensor = writing._integer(1, 1) + writing._integer(2, 1) + writing._text(8, "w")
    tensor += writing._inside(13, entry) + writing._integer(14, 1)
    content = writing._integer(1, 8) + writing._inside(7, writing._inside(5, tensor))
    with pytest.raises(ValueError, match="lies in another file, which is not read"):
        ferrnn.from_onnx(content)


def test_many_outputs_of_a_split_and_the_largest_of_more_than_there_are():
    def split(b):
        return b.node("Split", b.constant(np.ones(4)), count=2, num_outputs=1 << 40)[0]

    start = time.perf_counter()
    ferrnn.from_onnx(model_of(split))
    with pytest.raises(ValueError, match="k must be between 0 and"):
        ferrnn.from_onnx(
            model_of(
                lambda b: b.node("TopK", b.constant(np.ones(4)), b.integers(1 << 40), count=2)[0]
            )
        )
    assert time.perf_counter() - start < 5
