"""Atrous spatial pyramid pooling: several fields of view side by side."""

import keras
from keras import initializers, layers, ops

from kseg.layers.atrous import AtrousConv2D, AtrousSeparableConv2D
from kseg.layers.branches import ConvNormReLU, ImagePooling
from kseg.layers.checking import (
    check_dilation_rates,
    check_dropout_rate,
    check_positive,
)


@keras.saving.register_keras_serializable(package="kseg.layers")
class ASPP(layers.Layer):
    """Atrous spatial pyramid pooling of DeepLab v3 and v3+.

    Concatenates the mean of the whole map, a 1x1 convolution, and a 3x3 convolution per
    dilation rate, and projects them by a 1x1 convolution. Each convolution is followed by
    BatchNorm and ReLU, the projection by dropout as well.

    The mean is that of the map, whatever its size; the authors' code pools windows of the
    size of the training crop. Its branch has one value per image and channel: trained
    with a batch of 1, BatchNorm there returns its offset, whatever the image. Train with
    two images or more, or with `aspp.trainable = False`.

    BatchNorm has a momentum of 0.9. The paper's 0.9997 is for trainings that start from
    its weights; from random weights the moving statistics would never arrive.

    Reference:
    - [Rethinking Atrous Convolution](https://arxiv.org/abs/1706.05587) (2017),
      section 3.3, figure 5
    - [Encoder-Decoder with Atrous Separable Convolution](
      https://arxiv.org/abs/1802.02611) (ECCV 2018), section 3.1, for `separable`

    Args:
        filters: Number of filters of each branch and of the projection. Defaults to
            `256`.
        dilation_rates: Dilation rates of the 3x3 convolutions: `(6, 12, 18)` at output
            stride 16, twice that at 8. Defaults to `(6, 12, 18)`.
        separable: Whether the 3x3 convolutions are `AtrousSeparableConv2D`. Defaults to
            `False`.
        dropout_rate: Rate of the dropout; 0 for none. Defaults to `0.1`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.
        training: Whether BatchNorm uses the statistics of the batch, and dropout drops.

    Output shape:
        `(batch, height, width, filters)`.

    Raises:
        ValueError: If there is no dilation rate, or a number is out of its range.
        TypeError: If a number is not an integer.
    """

    def __init__(
        self,
        filters: int = 256,
        dilation_rates: tuple = (6, 12, 18),
        separable: bool = False,
        dropout_rate: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive("filters", filters)
        check_dilation_rates(dilation_rates)
        check_dropout_rate(dropout_rate)
        self.filters = filters
        self.dilation_rates = tuple(dilation_rates)
        self.separable = separable
        self.dropout_rate = dropout_rate

    def build(self, input_shape):
        dtype = self.dtype_policy
        atrous = AtrousSeparableConv2D if self.separable else ConvNormReLU
        self.branches = [
            ImagePooling(self.filters, dtype=dtype, name="image_pooling"),
            ConvNormReLU(self.filters, dtype=dtype, name="pointwise"),
            *(
                atrous(self.filters, 3, rate, dtype=dtype, name=f"atrous{i}")
                for i, rate in enumerate(self.dilation_rates, 1)
            ),
        ]
        for branch in self.branches:
            branch.build(input_shape)
        self.projection = ConvNormReLU(self.filters, dtype=dtype, name="projection")
        channels = len(self.branches) * self.filters
        self.projection.build((*input_shape[:-1], channels))
        self.dropout = layers.Dropout(self.dropout_rate, dtype=dtype, name="dropout")

    def call(self, inputs, training=None):
        x = [branch(inputs, training=training) for branch in self.branches]
        x = self.projection(ops.concatenate(x, axis=-1), training=training)
        return self.dropout(x, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "dilation_rates": self.dilation_rates,
            "separable": self.separable,
            "dropout_rate": self.dropout_rate,
        }


@keras.saving.register_keras_serializable(package="kseg.layers")
class ASPPSum(layers.Layer):
    """Atrous spatial pyramid pooling of DeepLab v2: summed scores of several rates.

    Each branch turns the map into class scores of its own. On ResNet a branch is one 3x3
    convolution. On VGG it has two hidden layers (`hidden_filters=1024`): a 3x3 and a 1x1
    convolution with ReLU and dropout, and then the 1x1 convolution of the scores.

    Reference:
    - [DeepLab](https://arxiv.org/abs/1606.00915) (PAMI 2018), section 3.2, figure 7

    Args:
        filters: Number of scores: that of the classes.
        dilation_rates: One dilation rate per branch: `(6, 12, 18, 24)` is the paper's
            ASPP-L, `(2, 4, 8, 12)` its ASPP-S. Defaults to `(6, 12, 18, 24)`.
        hidden_filters: Number of filters of the hidden layers, or `None` for none.
            Defaults to `None`.
        dropout_rate: Rate of the dropout behind each hidden layer. Defaults to `0.5`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.
        training: Whether dropout drops.

    Output shape:
        `(batch, height, width, filters)`.

    Raises:
        ValueError: If there is no dilation rate, or a number is out of its range.
        TypeError: If a number is not an integer.
    """

    def __init__(
        self,
        filters: int,
        dilation_rates: tuple = (6, 12, 18, 24),
        hidden_filters: int | None = None,
        dropout_rate: float = 0.5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive("filters", filters)
        check_dilation_rates(dilation_rates)
        check_dropout_rate(dropout_rate)
        if hidden_filters is not None:
            check_positive("hidden_filters", hidden_filters)
        self.filters = filters
        self.dilation_rates = tuple(dilation_rates)
        self.hidden_filters = hidden_filters
        self.dropout_rate = dropout_rate

    def build(self, input_shape):
        self.branches = [
            self._branch(rate, f"branch{i}")
            for i, rate in enumerate(self.dilation_rates, 1)
        ]
        for branch in self.branches:
            shape = input_shape
            for layer in branch:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)

    def _branch(self, rate, name):
        dtype = self.dtype_policy

        def scores(kernel_size, dilation_rate):
            return AtrousConv2D(
                self.filters,
                kernel_size,
                dilation_rate,
                kernel_initializer=initializers.RandomNormal(stddev=0.01),
                dtype=dtype,
                name=f"{name}_scores",
            )

        def hidden(kernel_size, dilation_rate, number):
            yield AtrousConv2D(
                self.hidden_filters,
                kernel_size,
                dilation_rate,
                activation="relu",
                kernel_initializer="he_normal",
                dtype=dtype,
                name=f"{name}_hidden{number}",
            )
            yield layers.Dropout(
                self.dropout_rate, dtype=dtype, name=f"{name}_dropout{number}"
            )

        if self.hidden_filters is None:
            return [scores(3, rate)]
        return [*hidden(3, rate, 1), *hidden(1, 1, 2), scores(1, 1)]

    def call(self, inputs, training=None):
        total = 0
        for branch in self.branches:
            x = inputs
            for layer in branch:
                dropout = isinstance(layer, layers.Dropout)
                x = layer(x, training=training) if dropout else layer(x)
            total = total + x
        return total

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "dilation_rates": self.dilation_rates,
            "hidden_filters": self.hidden_filters,
            "dropout_rate": self.dropout_rate,
        }
