from ferrnn._src.data.text import (
    Tokenizer as Tokenizer,
)
from ferrnn._src.data.text import (
    hashing_trick as hashing_trick,
)
from ferrnn._src.data.text import (
    one_hot as one_hot,
)
from ferrnn._src.data.text import (
    text_to_word_sequence as text_to_word_sequence,
)
from ferrnn._src.data.text import (
    tokenizer_from_json as tokenizer_from_json,
)
