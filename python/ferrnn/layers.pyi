from ferrnn._src.cells.coupled_lstm import CoupledLSTMCell as CoupledLSTMCell
from ferrnn._src.cells.gru import GRUCell as GRUCell
from ferrnn._src.cells.ind_rnn import IndRNNCell as IndRNNCell
from ferrnn._src.cells.lstm import LSTMCell as LSTMCell
from ferrnn._src.cells.minimal_gated import MinimalGatedCell as MinimalGatedCell
from ferrnn._src.cells.peephole_lstm import PeepholeLSTMCell as PeepholeLSTMCell
from ferrnn._src.cells.projected_lstm import ProjectedLSTMCell as ProjectedLSTMCell
from ferrnn._src.cells.simple_rnn import SimpleRNNCell as SimpleRNNCell
from ferrnn._src.cells.stacked import StackedRNNCells as StackedRNNCells
from ferrnn._src.layer.input_spec import InputSpec as InputSpec
from ferrnn._src.layer.layer import Layer as Layer
from ferrnn._src.layers.activation import (
    ELU as ELU,
)
from ferrnn._src.layers.activation import (
    Activation as Activation,
)
from ferrnn._src.layers.activation import (
    LeakyReLU as LeakyReLU,
)
from ferrnn._src.layers.activation import (
    PReLU as PReLU,
)
from ferrnn._src.layers.activation import (
    ReLU as ReLU,
)
from ferrnn._src.layers.activation import (
    Softmax as Softmax,
)
from ferrnn._src.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D as AdaptiveAveragePooling1D,
)
from ferrnn._src.layers.adaptive_pooling import AdaptiveMaxPooling1D as AdaptiveMaxPooling1D
from ferrnn._src.layers.attention import (
    AdditiveAttention as AdditiveAttention,
)
from ferrnn._src.layers.attention import (
    Attention as Attention,
)
from ferrnn._src.layers.bidirectional import Bidirectional as Bidirectional
from ferrnn._src.layers.categories import (
    CategoryEncoding as CategoryEncoding,
)
from ferrnn._src.layers.categories import (
    Discretization as Discretization,
)
from ferrnn._src.layers.conv1d import Conv1D as Conv1D
from ferrnn._src.layers.conv2d import Conv2D as Conv2D
from ferrnn._src.layers.conv_lstm import ConvLSTM1D as ConvLSTM1D
from ferrnn._src.layers.conv_lstm import ConvLSTM2D as ConvLSTM2D
from ferrnn._src.layers.conv_transpose import Conv1DTranspose as Conv1DTranspose
from ferrnn._src.layers.conv_transpose import Conv2DTranspose as Conv2DTranspose
from ferrnn._src.layers.coupled_lstm import CoupledLSTM as CoupledLSTM
from ferrnn._src.layers.data_normalization import Normalization as Normalization
from ferrnn._src.layers.dense import Dense as Dense
from ferrnn._src.layers.depthwise import DepthwiseConv1D as DepthwiseConv1D
from ferrnn._src.layers.depthwise import DepthwiseConv2D as DepthwiseConv2D
from ferrnn._src.layers.depthwise import SeparableConv1D as SeparableConv1D
from ferrnn._src.layers.depthwise import SeparableConv2D as SeparableConv2D
from ferrnn._src.layers.dropout import AlphaDropout as AlphaDropout
from ferrnn._src.layers.dropout import (
    Dropout as Dropout,
)
from ferrnn._src.layers.dropout import (
    GaussianDropout as GaussianDropout,
)
from ferrnn._src.layers.dropout import (
    GaussianNoise as GaussianNoise,
)
from ferrnn._src.layers.dropout import (
    SpatialDropout1D as SpatialDropout1D,
)
from ferrnn._src.layers.dropout import SpatialDropout2D as SpatialDropout2D
from ferrnn._src.layers.einsum_dense import EinsumDense as EinsumDense
from ferrnn._src.layers.embedding import Embedding as Embedding
from ferrnn._src.layers.frame_resizing import Cropping2D as Cropping2D
from ferrnn._src.layers.frame_resizing import UpSampling2D as UpSampling2D
from ferrnn._src.layers.frame_resizing import ZeroPadding2D as ZeroPadding2D
from ferrnn._src.layers.global_pooling import GlobalAveragePooling1D as GlobalAveragePooling1D
from ferrnn._src.layers.global_pooling import GlobalAveragePooling2D as GlobalAveragePooling2D
from ferrnn._src.layers.global_pooling import GlobalMaxPooling1D as GlobalMaxPooling1D
from ferrnn._src.layers.global_pooling import GlobalMaxPooling2D as GlobalMaxPooling2D
from ferrnn._src.layers.gru import GRU as GRU
from ferrnn._src.layers.hashing import Hashing as Hashing
from ferrnn._src.layers.ind_rnn import IndRNN as IndRNN
from ferrnn._src.layers.input import Input as Input
from ferrnn._src.layers.input import InputLayer as InputLayer
from ferrnn._src.layers.joining import (
    Concatenate as Concatenate,
)
from ferrnn._src.layers.joining import (
    Dot as Dot,
)
from ferrnn._src.layers.joining import (
    add as add,
)
from ferrnn._src.layers.joining import (
    average as average,
)
from ferrnn._src.layers.joining import (
    concatenate as concatenate,
)
from ferrnn._src.layers.joining import (
    dot as dot,
)
from ferrnn._src.layers.joining import (
    maximum as maximum,
)
from ferrnn._src.layers.joining import (
    minimum as minimum,
)
from ferrnn._src.layers.joining import (
    multiply as multiply,
)
from ferrnn._src.layers.joining import (
    subtract as subtract,
)
from ferrnn._src.layers.lambda_ import Lambda as Lambda
from ferrnn._src.layers.layer_normalization import LayerNormalization as LayerNormalization
from ferrnn._src.layers.lookups import IntegerLookup as IntegerLookup
from ferrnn._src.layers.lookups import StringLookup as StringLookup
from ferrnn._src.layers.lstm import LSTM as LSTM
from ferrnn._src.layers.masking import Masking as Masking
from ferrnn._src.layers.merge import (
    Add as Add,
)
from ferrnn._src.layers.merge import (
    Average as Average,
)
from ferrnn._src.layers.merge import (
    Maximum as Maximum,
)
from ferrnn._src.layers.merge import (
    Minimum as Minimum,
)
from ferrnn._src.layers.merge import (
    Multiply as Multiply,
)
from ferrnn._src.layers.merge import (
    Subtract as Subtract,
)
from ferrnn._src.layers.minimal_gated import MinimalGatedUnit as MinimalGatedUnit
from ferrnn._src.layers.multi_head_attention import MultiHeadAttention as MultiHeadAttention
from ferrnn._src.layers.normalization import BatchNormalization as BatchNormalization
from ferrnn._src.layers.passing import ActivityRegularization as ActivityRegularization
from ferrnn._src.layers.passing import Identity as Identity
from ferrnn._src.layers.passing import Rescaling as Rescaling
from ferrnn._src.layers.peephole_lstm import PeepholeLSTM as PeepholeLSTM
from ferrnn._src.layers.pooling import (
    AveragePooling1D as AveragePooling1D,
)
from ferrnn._src.layers.pooling import AveragePooling2D as AveragePooling2D
from ferrnn._src.layers.pooling import (
    MaxPooling1D as MaxPooling1D,
)
from ferrnn._src.layers.pooling import MaxPooling2D as MaxPooling2D
from ferrnn._src.layers.projected_lstm import ProjectedLSTM as ProjectedLSTM
from ferrnn._src.layers.reshaping import (
    Flatten as Flatten,
)
from ferrnn._src.layers.reshaping import (
    Permute as Permute,
)
from ferrnn._src.layers.reshaping import (
    RepeatVector as RepeatVector,
)
from ferrnn._src.layers.reshaping import (
    Reshape as Reshape,
)
from ferrnn._src.layers.resizing import (
    Cropping1D as Cropping1D,
)
from ferrnn._src.layers.resizing import (
    UpSampling1D as UpSampling1D,
)
from ferrnn._src.layers.resizing import (
    ZeroPadding1D as ZeroPadding1D,
)
from ferrnn._src.layers.rnn import RNN as RNN
from ferrnn._src.layers.scaling import (
    GroupNormalization as GroupNormalization,
)
from ferrnn._src.layers.scaling import (
    RMSNormalization as RMSNormalization,
)
from ferrnn._src.layers.scaling import (
    UnitNormalization as UnitNormalization,
)
from ferrnn._src.layers.serializing import deserialize as deserialize
from ferrnn._src.layers.serializing import serialize as serialize
from ferrnn._src.layers.simple_rnn import SimpleRNN as SimpleRNN
from ferrnn._src.layers.spectral_normalization import (
    SpectralNormalization as SpectralNormalization,
)
from ferrnn._src.layers.text_vectorization import TextVectorization as TextVectorization
from ferrnn._src.layers.time_distributed import TimeDistributed as TimeDistributed
from ferrnn._src.layers.wrapper import Wrapper as Wrapper

Convolution1D = Conv1D
Convolution2D = Conv2D
MaxPool1D = MaxPooling1D
AvgPool1D = AveragePooling1D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalAvgPool1D = GlobalAveragePooling1D
Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose = Conv2DTranspose
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D
MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalAvgPool2D = GlobalAveragePooling2D
