from ferrnn._src.tree.structures import (
    MAP_TO_NONE as MAP_TO_NONE,
)
from ferrnn._src.tree.structures import (
    assert_same_paths as assert_same_paths,
)
from ferrnn._src.tree.structures import (
    assert_same_structure as assert_same_structure,
)
from ferrnn._src.tree.structures import (
    flatten_with_path as flatten_with_path,
)
from ferrnn._src.tree.structures import (
    is_nested as is_nested,
)
from ferrnn._src.tree.structures import (
    lists_to_tuples as lists_to_tuples,
)
from ferrnn._src.tree.structures import (
    map_shape_structure as map_shape_structure,
)
from ferrnn._src.tree.structures import (
    map_structure_up_to as map_structure_up_to,
)
from ferrnn._src.tree.structures import (
    pack_sequence_as as pack_sequence_as,
)
from ferrnn._src.tree.structures import (
    traverse as traverse,
)
from ferrnn._src.tree.tree import flatten as flatten
from ferrnn._src.tree.tree import map_structure as map_structure
