"""A trained net taken apart for fine-tuning, and put together again around its twin."""

import keras

from kseg.mobile.compressing.folding import fold
from kseg.mobile.compressing.rebuilding import rebuild
from kseg.mobile.compressing.tracing import trace
from kseg.mobile.compressing.twin import FineTuned, Twin
from kseg.mobile.exporting.image_jobs import static_size
from kseg.mobile.exporting.keras_model import check_backend, with_output
from kseg.models.inference import output_kind


class NetInSteps:
    """A model in steps, from its image to its logits, at one size.

    Args:
        model: Functional `keras.Model` of one image input and one output of scores.
        size: `(height, width)` or an int for a square; `None` for the model's own.

    Attributes:
        image: The input tensor.
        steps: The steps, constants folded into the convolutions.
        activation: What makes probabilities of their output, `None` for a model that
            ends in logits.

    Raises:
        ExportError: If the model cannot be taken apart, or runs on another backend than
            TensorFlow.
        TypeError: If `model` is no functional model.
        ValueError: If it has several inputs or outputs, or any size and `size` is `None`.
    """

    def __init__(self, model, size=None):
        if isinstance(model, keras.Model) and not getattr(model, "outputs", None):
            raise TypeError(
                "`model` must be a functional keras.Model: a subclassed one does not "
                f"show its layers. Received: model of type {type(model).__name__}"
            )
        check_backend()
        size, channels = static_size(model, size)
        self.image = keras.Input((*size, channels), name="image")
        self.activation = None
        if output_kind(model) == "probabilities":
            self.activation = "sigmoid" if model.output_shape[-1] == 1 else "softmax"
        calls, self._output = trace(with_output(model, "logits"), self.image)
        self.steps = fold(calls, self._output)

    def rebuild(self, **kwargs):
        """Returns the steps as a `tf_keras.Model`; arguments as in `rebuilding.rebuild`."""
        return rebuild(self.steps, self.image, self._output, **kwargs)

    def as_keras(self, twin: Twin, name: str) -> keras.Model:
        """Returns a Keras 3 model of this image around a layer that gives logits."""
        image = keras.Input(self.image.shape[1:], name="image")
        scores = twin(image)
        if self.activation:
            scores = keras.layers.Activation(self.activation, name="probabilities")(
                scores
            )
        return FineTuned(image, scores, name=name)
