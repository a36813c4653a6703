"""The layers, under Keras' names."""

from typing import TYPE_CHECKING

from ferrnn.cells.gru import GRUCell as GRUCell
from ferrnn.cells.lstm import LSTMCell as LSTMCell
from ferrnn.cells.simple_rnn import SimpleRNNCell as SimpleRNNCell
from ferrnn.cells.stacked import StackedRNNCells as StackedRNNCells
from ferrnn.core.input_spec import InputSpec as InputSpec
from ferrnn.core.layer import Layer as Layer
from ferrnn.core.missing import not_yet
from ferrnn.layers.activation import ELU as ELU
from ferrnn.layers.activation import Activation as Activation
from ferrnn.layers.activation import LeakyReLU as LeakyReLU
from ferrnn.layers.activation import PReLU as PReLU
from ferrnn.layers.activation import ReLU as ReLU
from ferrnn.layers.activation import Softmax as Softmax
from ferrnn.layers.attention import AdditiveAttention as AdditiveAttention
from ferrnn.layers.attention import Attention as Attention
from ferrnn.layers.bidirectional import Bidirectional as Bidirectional
from ferrnn.layers.categories import CategoryEncoding as CategoryEncoding
from ferrnn.layers.categories import Discretization as Discretization
from ferrnn.layers.conv1d import Conv1D as Conv1D
from ferrnn.layers.conv_lstm import ConvLSTM1D as ConvLSTM1D
from ferrnn.layers.data_normalization import Normalization as Normalization
from ferrnn.layers.dense import Dense as Dense
from ferrnn.layers.dropout import Dropout as Dropout
from ferrnn.layers.dropout import GaussianDropout as GaussianDropout
from ferrnn.layers.dropout import GaussianNoise as GaussianNoise
from ferrnn.layers.dropout import SpatialDropout1D as SpatialDropout1D
from ferrnn.layers.embedding import Embedding as Embedding
from ferrnn.layers.gru import GRU as GRU
from ferrnn.layers.input import Input as Input
from ferrnn.layers.input import InputLayer as InputLayer
from ferrnn.layers.joining import Concatenate as Concatenate
from ferrnn.layers.joining import Dot as Dot
from ferrnn.layers.joining import add as add
from ferrnn.layers.joining import average as average
from ferrnn.layers.joining import concatenate as concatenate
from ferrnn.layers.joining import dot as dot
from ferrnn.layers.joining import maximum as maximum
from ferrnn.layers.joining import minimum as minimum
from ferrnn.layers.joining import multiply as multiply
from ferrnn.layers.joining import subtract as subtract
from ferrnn.layers.lambda_ import Lambda as Lambda
from ferrnn.layers.layer_normalization import LayerNormalization as LayerNormalization
from ferrnn.layers.lookups import IntegerLookup as IntegerLookup
from ferrnn.layers.lookups import StringLookup as StringLookup
from ferrnn.layers.lstm import LSTM as LSTM
from ferrnn.layers.masking import Masking as Masking
from ferrnn.layers.merge import Add as Add
from ferrnn.layers.merge import Average as Average
from ferrnn.layers.merge import Maximum as Maximum
from ferrnn.layers.merge import Minimum as Minimum
from ferrnn.layers.merge import Multiply as Multiply
from ferrnn.layers.merge import Subtract as Subtract
from ferrnn.layers.multi_head_attention import MultiHeadAttention as MultiHeadAttention
from ferrnn.layers.normalization import BatchNormalization as BatchNormalization
from ferrnn.layers.pooling import AveragePooling1D as AveragePooling1D
from ferrnn.layers.pooling import GlobalAveragePooling1D as GlobalAveragePooling1D
from ferrnn.layers.pooling import GlobalMaxPooling1D as GlobalMaxPooling1D
from ferrnn.layers.pooling import MaxPooling1D as MaxPooling1D
from ferrnn.layers.reshaping import Flatten as Flatten
from ferrnn.layers.reshaping import Permute as Permute
from ferrnn.layers.reshaping import RepeatVector as RepeatVector
from ferrnn.layers.reshaping import Reshape as Reshape
from ferrnn.layers.resizing import Cropping1D as Cropping1D
from ferrnn.layers.resizing import UpSampling1D as UpSampling1D
from ferrnn.layers.resizing import ZeroPadding1D as ZeroPadding1D
from ferrnn.layers.rnn import RNN as RNN
from ferrnn.layers.scaling import GroupNormalization as GroupNormalization
from ferrnn.layers.scaling import RMSNormalization as RMSNormalization
from ferrnn.layers.scaling import UnitNormalization as UnitNormalization
from ferrnn.layers.serializing import deserialize as deserialize
from ferrnn.layers.serializing import serialize as serialize
from ferrnn.layers.simple_rnn import SimpleRNN as SimpleRNN
from ferrnn.layers.text_vectorization import TextVectorization as TextVectorization
from ferrnn.layers.time_distributed import TimeDistributed as TimeDistributed
from ferrnn.layers.wrapper import Wrapper as Wrapper

Convolution1D = Conv1D
MaxPool1D, AvgPool1D = MaxPooling1D, AveragePooling1D
GlobalMaxPool1D, GlobalAvgPool1D = GlobalMaxPooling1D, GlobalAveragePooling1D

if not TYPE_CHECKING:  # a type checker reports names that are missing by itself
    __getattr__ = not_yet(__name__)
