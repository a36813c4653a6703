"""The layers, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn.cells.gru import GRUCell as GRUCell
from ferrnn.cells.lstm import LSTMCell as LSTMCell
from ferrnn.cells.simple_rnn import SimpleRNNCell as SimpleRNNCell
from ferrnn.cells.stacked import StackedRNNCells as StackedRNNCells
from ferrnn.core.layer import Layer as Layer
from ferrnn.core.missing import not_yet
from ferrnn.layers.activation import Activation as Activation
from ferrnn.layers.dense import Dense as Dense
from ferrnn.layers.dropout import Dropout as Dropout
from ferrnn.layers.gru import GRU as GRU
from ferrnn.layers.input import Input as Input
from ferrnn.layers.lstm import LSTM as LSTM
from ferrnn.layers.rnn import RNN as RNN
from ferrnn.layers.simple_rnn import SimpleRNN as SimpleRNN

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
