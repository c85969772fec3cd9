"""A tf_keras model as a layer of a Keras 3 model, which is fitted and exported as any."""

import keras


class Twin(keras.layers.Layer):
    """Runs a tf_keras model, whose variables are those of this layer.

    So Keras 3 fits it: its optimizers, losses, metrics, callbacks and data sets.

    Args:
        trained: The tf_keras model that is fitted.
        finished: The one of inference, if it is another over the same variables.
        learned_ranges: Whether the model holds the ranges of an int8 file.
        after_step: Function without arguments that is called after every step of
            training.
        **kwargs: Base layer arguments, such as `name`.
    """

    def __init__(
        self, trained, finished=None, learned_ranges=False, after_step=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.trained = trained
        self.finished = trained if finished is None else finished
        self.learned_ranges = learned_ranges
        self.after_step = after_step
        self.supports_jit = False  # XLA has no rounding with a range per channel
        variables = [*trained.variables, *self.finished.variables]
        trainable = {id(variable) for variable in trained.trainable_variables}
        self.shared = [
            keras.Variable(  # of a tf.Variable Keras makes no copy
                variable,
                trainable=id(variable) in trainable,
                dtype=variable.dtype,
                name=variable.name.replace("/", "_").replace(":", "_"),
            )
            for variable in {id(v): v for v in variables}.values()
        ]

    def call(self, images, training=False):
        if training:
            return self.trained(images, training=True)
        return self.finished(images, training=False)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.trained.output_shape[1:])

    def get_config(self):
        raise NotImplementedError(
            "A net that is fine-tuned for the phone cannot be saved as a .keras file: "
            "keep its weights with `model.save_weights(path)`, and load them into what "
            "the same call makes of the same model with `load_weights(path)`."
        )


class FineTuned(keras.Model):
    """A Keras 3 model around a `Twin`."""

    def train_step(self, data):
        logs = super().train_step(data)
        twin = find_twin(self)
        if twin.after_step is not None:
            twin.after_step()
        return logs


def find_twin(model) -> Twin | None:
    """Returns the layer of a model that is a `Twin`, else `None`."""
    twins = [x for x in getattr(model, "layers", ()) if isinstance(x, Twin)]
    return twins[0] if twins else None


def has_learned_ranges(model) -> bool:
    """Tells whether a model comes from `kseg.mobile.quantize_aware`."""
    twin = find_twin(model)
    return twin is not None and twin.learned_ranges
