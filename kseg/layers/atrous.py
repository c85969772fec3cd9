"""Atrous convolutions: fixed padding, and strides together with dilation."""

import keras
from keras import activations, initializers, layers, ops, regularizers

from kseg.layers.checking import check_positive
from kseg.layers.fixed_padding import convolve, pair, strided_shape


@keras.saving.register_keras_serializable(package="kseg.layers")
class AtrousConv2D(layers.Layer):
    """Convolution whose kernel reads every `dilation_rate`-th pixel.

    Unlike `keras.layers.Conv2D` it takes strides together with dilation, and pads by a
    fixed amount, whatever the size of the image: a kernel that spans
    `k = (kernel_size - 1) * dilation_rate + 1` pixels gets `k - 1` zeros, `(k - 1) // 2`
    of them in front. With `strides=2` the padding of Keras depends on the size, and shifts
    the centres of even sizes by half a pixel. So a strided layer reads the pixels
    0, 2, 4, ... of the same layer without strides, which is what lets a trained net be
    made dense: its strides left out, its later dilation rates multiplied by them.

    In a .tflite file of static size this is one CONV_2D, after a PAD if it is strided.
    With both strides and dilation the kernel is filled up with zeros, which is exact and
    costs `(k / kernel_size)**2` times the multiplications.

    Reference:
    - [Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs](
      https://arxiv.org/abs/1412.7062) (ICLR 2015), section 3.1

    Args:
        filters: Number of filters.
        kernel_size: Height and width of the kernel, or one number for both.
        dilation_rate: Pixels from one value of the kernel to the next. Defaults to `1`.
        strides: Pixels from one position of the kernel to the next. Defaults to `1`.
        activation: Activation function. Defaults to `None`.
        use_bias: Whether a bias is added. Defaults to `True`.
        kernel_initializer: Initializer of the kernel. Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of the bias. Defaults to `"zeros"`.
        kernel_regularizer: Regularizer of the kernel. Defaults to `None`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.

    Output shape:
        `(batch, ceil(height / strides), ceil(width / strides), filters)`.

    Raises:
        ValueError: If a number is not positive.
        TypeError: If a number is not an integer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple,
        dilation_rate: int | tuple = 1,
        strides: int | tuple = 1,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive("filters", filters)
        self.filters = filters
        self.kernel_size = pair("kernel_size", kernel_size)
        self.dilation_rate = pair("dilation_rate", dilation_rate)
        self.strides = pair("strides", strides)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(*self.kernel_size, input_shape[-1], self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.filters,), initializer=self.bias_initializer, name="bias"
            )

    def call(self, inputs):
        x = convolve(ops.conv, inputs, self.kernel, self.strides, self.dilation_rate)
        if self.use_bias:
            x = x + self.bias
        return self.activation(x)

    def compute_output_shape(self, input_shape):
        return (*strided_shape(input_shape, self.strides), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "dilation_rate": self.dilation_rate,
            "strides": self.strides,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(package="kseg.layers")
class AtrousSeparableConv2D(layers.Layer):
    """Atrous depthwise convolution and a pointwise one, each with its own BatchNorm.

    Computes `depthwise -> BatchNorm -> depth_activation -> pointwise -> BatchNorm ->
    activation`, without biases. With the defaults it is the separable convolution in the
    heads of DeepLab v3+; Xception's units, which begin by a ReLU of their own, take
    `None` for both activations. Padding, strides and dilation are those of `AtrousConv2D`.

    In a .tflite file of static size this is one DEPTHWISE_CONV_2D, after a PAD if it is
    strided, and one CONV_2D.

    Reference:
    - [Encoder-Decoder with Atrous Separable Convolution](
      https://arxiv.org/abs/1802.02611) (ECCV 2018), section 3.1; the kernels start from
      truncated normals of deviation 0.33 and 0.06, as in the authors' code

    Args:
        filters: Number of filters of the pointwise convolution.
        kernel_size: Height and width of the depthwise kernel, or one number for both.
        dilation_rate: Pixels from one value of the kernel to the next. Defaults to `1`.
        strides: Pixels from one position of the kernel to the next. Defaults to `1`.
        depth_activation: Activation function behind the depthwise convolution. Defaults
            to `"relu"`.
        activation: Activation function behind the pointwise one. Defaults to `"relu"`.
        momentum: Momentum of the moving statistics. The authors' 0.9997 is for trainings
            that start from their weights; from random weights the statistics would never
            arrive. Defaults to `0.9`.
        epsilon: What is added to the variance. Defaults to `1e-5`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.
        training: Whether BatchNorm uses the statistics of the batch.

    Output shape:
        `(batch, ceil(height / strides), ceil(width / strides), filters)`.

    Raises:
        ValueError: If a number is not positive.
        TypeError: If a number is not an integer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple,
        dilation_rate: int | tuple = 1,
        strides: int | tuple = 1,
        depth_activation="relu",
        activation="relu",
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive("filters", filters)
        self.filters = filters
        self.kernel_size = pair("kernel_size", kernel_size)
        self.dilation_rate = pair("dilation_rate", dilation_rate)
        self.strides = pair("strides", strides)
        self.depth_activation = activations.get(depth_activation)
        self.activation = activations.get(activation)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        channels = input_shape[-1]
        self.depthwise_kernel = self.add_weight(
            shape=(*self.kernel_size, channels, 1),
            initializer=initializers.TruncatedNormal(stddev=0.33),
            name="depthwise_kernel",
        )
        self.depthwise_norm = self._norm("depthwise_norm")
        self.depthwise_norm.build((*input_shape[:-1], channels))
        self.pointwise_kernel = self.add_weight(
            shape=(1, 1, channels, self.filters),
            initializer=initializers.TruncatedNormal(stddev=0.06),
            name="pointwise_kernel",
        )
        self.pointwise_norm = self._norm("pointwise_norm")
        self.pointwise_norm.build((*input_shape[:-1], self.filters))

    def _norm(self, name):
        return layers.BatchNormalization(
            momentum=self.momentum,
            epsilon=self.epsilon,
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, inputs, training=None):
        x = convolve(
            ops.depthwise_conv,
            inputs,
            self.depthwise_kernel,
            self.strides,
            self.dilation_rate,
        )
        x = self.depth_activation(self.depthwise_norm(x, training=training))
        x = ops.conv(x, self.pointwise_kernel, data_format="channels_last")
        return self.activation(self.pointwise_norm(x, training=training))

    def compute_output_shape(self, input_shape):
        return (*strided_shape(input_shape, self.strides), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "dilation_rate": self.dilation_rate,
            "strides": self.strides,
            "depth_activation": activations.serialize(self.depth_activation),
            "activation": activations.serialize(self.activation),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
