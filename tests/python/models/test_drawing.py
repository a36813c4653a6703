"""`plot_model`: boxes and lines for every layer and connection, as SVG and as text."""

import xml.etree.ElementTree as ET

import pytest

import ferrnn as keras
from ferrnn.layers import Dense


def twins():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    shared = Dense(2, name="shared<&>")
    return keras.Model([a, b], Dense(1, name="out")(shared(a) + shared(b)))


def test_svg_has_a_box_for_each_layer_and_a_line_for_each_connection(tmp_path):
    path = tmp_path / "model.svg"
    picture = keras.utils.plot_model(twins(), path, show_shapes=True, show_dtype=True)
    assert path.read_text(encoding="utf-8") == picture == picture._repr_svg_()
    root = ET.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    texts = [text.text for text in root.iter(f"{space}text")]
    assert "shared<&> (Dense)" in texts
    assert texts.count("Output shape: (None, 2)") == 2
    assert texts.count("Output dtype: float32") == 5
    assert len(list(root.iter(f"{space}rect"))) == 5
    assert len(list(root.iter(f"{space}path"))) == 4
    boxes = [
        [int(box.get(key)) for key in ("x", "y", "width", "height")]
        for box in root.iter(f"{space}rect")
    ]
    for at, (left, top, width, height) in enumerate(boxes):
        assert left + width <= int(root.get("width"))
        assert top + height <= int(root.get("height"))
        for other_left, other_top, other_width, other_height in boxes[:at]:
            apart = left >= other_left + other_width or other_left >= left + width
            assert apart or top >= other_top + other_height or other_top >= top + height


def test_text_says_what_feeds_what(tmp_path):
    path = tmp_path / "model.txt"
    keras.utils.plot_model(twins(), path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[2] == "shared<&> (Dense)  <- a[0][0], b[0][0]"
    assert lines[-1].startswith("out (Dense)  <- add")


def test_another_format_becomes_svg_with_a_warning(tmp_path):
    with pytest.warns(UserWarning, match=r"writes .*model\.svg instead of .*model\.png"):
        picture = keras.utils.plot_model(twins(), str(tmp_path / "model.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["model.svg"]
    assert (tmp_path / "model.svg").read_text(encoding="utf-8") == picture


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="has not yet been built"):
        keras.utils.plot_model(keras.Sequential([Dense(1)]))
    with pytest.raises(TypeError, match="unknown arguments"):
        keras.utils.plot_model(twins(), to_file=None, rank="LR")
