"""Kernel-sharing atrous convolution: one kernel at several dilation rates."""

import keras
from keras import layers, ops

from kseg.layers.branches import ConvNormReLU, ImagePooling, batch_norm
from kseg.layers.checking import (
    check_dilation_rates,
    check_dropout_rate,
    check_positive,
)
from kseg.layers.fixed_padding import convolve


@keras.saving.register_keras_serializable(package="kseg.layers")
class KSAC(layers.Layer):
    """Kernel-sharing atrous convolution: ASPP with one 3x3 kernel for all its rates.

    The kernel sees objects of every size, and the number of kernels does not grow with
    that of the rates: of the kernels of an `ASPP` with three rates it saves 18/29. Each
    rate keeps a BatchNorm of its own, since its statistics differ. Beside the rates stand
    a 1x1 convolution and the mean of the whole map, as in `ASPP`, and what is said there
    about batches of 1 and about the momentum of BatchNorm holds here.

    The paper leaves open how the rates are fused, and its authors' code is not public:
    `"sum"` is our choice of default.

    Reference:
    - [See More Than Once: Kernel-Sharing Atrous Convolution](
      https://arxiv.org/abs/1908.09443) (2019), section 3

    Args:
        filters: Number of filters of each branch and of the projection. Defaults to
            `256`.
        dilation_rates: Dilation rates of the shared kernel. Defaults to `(6, 12, 18)`.
        fusion: `"sum"` adds up the rates and concatenates the sum with the other two
            branches; `"concat"` concatenates all branches; `"sum_all"` adds up all. A 1x1
            convolution projects each of them. Defaults to `"sum"`.
        dropout_rate: Rate of the dropout behind the projection; 0 for none. Defaults to
            `0.1`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.
        training: Whether BatchNorm uses the statistics of the batch, and dropout drops.

    Output shape:
        `(batch, height, width, filters)`.

    Raises:
        ValueError: If there is no dilation rate, or an argument is out of its range.
        TypeError: If a number is not an integer.
    """

    def __init__(
        self,
        filters: int = 256,
        dilation_rates: tuple = (6, 12, 18),
        fusion: str = "sum",
        dropout_rate: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive("filters", filters)
        check_dilation_rates(dilation_rates)
        check_dropout_rate(dropout_rate)
        if fusion not in ("sum", "concat", "sum_all"):
            raise ValueError(
                '`fusion` must be "sum", "concat" or "sum_all". '
                f"Received: fusion={fusion!r}"
            )
        self.filters = filters
        self.dilation_rates = tuple(dilation_rates)
        self.fusion = fusion
        self.dropout_rate = dropout_rate

    def build(self, input_shape):
        dtype, filters = self.dtype_policy, self.filters
        self.kernel = self.add_weight(
            shape=(3, 3, input_shape[-1], filters), name="kernel"
        )
        self.norms = [
            batch_norm(dtype=dtype, name=f"norm{i}")
            for i, _ in enumerate(self.dilation_rates, 1)
        ]
        self.image_pooling = ImagePooling(filters, dtype=dtype, name="image_pooling")
        self.pointwise = ConvNormReLU(filters, dtype=dtype, name="pointwise")
        self.projection = ConvNormReLU(filters, dtype=dtype, name="projection")
        self.dropout = layers.Dropout(self.dropout_rate, dtype=dtype, name="dropout")
        parts = {"sum": 3, "concat": 2 + len(self.norms), "sum_all": 1}[self.fusion]
        for norm in self.norms:
            norm.build((*input_shape[:-1], filters))
        self.image_pooling.build(input_shape)
        self.pointwise.build(input_shape)
        self.projection.build((*input_shape[:-1], parts * filters))

    def call(self, inputs, training=None):
        rates = [
            ops.relu(norm(self._convolve(inputs, rate), training=training))
            for rate, norm in zip(self.dilation_rates, self.norms, strict=True)
        ]
        others = [
            self.image_pooling(inputs, training=training),
            self.pointwise(inputs, training=training),
        ]
        match self.fusion:
            case "sum":
                x = ops.concatenate([*others, sum(rates)], axis=-1)
            case "concat":
                x = ops.concatenate([*others, *rates], axis=-1)
            case "sum_all":
                x = sum(others) + sum(rates)
        return self.dropout(self.projection(x, training=training), training=training)

    def _convolve(self, inputs, rate):
        return convolve(ops.conv, inputs, self.kernel, (1, 1), (rate, rate))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "dilation_rates": self.dilation_rates,
            "fusion": self.fusion,
            "dropout_rate": self.dropout_rate,
        }
