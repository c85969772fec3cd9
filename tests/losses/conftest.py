"""Gradients on whichever backend the tests run."""

import keras
import pytest
from keras import ops


@pytest.fixture(scope="session")
def gradient():
    """Returns a function: (scalar function, array) -> its gradient, a NumPy array."""

    def of(function, x, dtype="float32"):
        x = ops.convert_to_tensor(x, dtype)
        match keras.backend.backend():
            case "tensorflow":
                import tensorflow as tf

                with tf.GradientTape() as tape:
                    tape.watch(x)
                    value = function(x)
                result = tape.gradient(value, x)
            case "jax":
                import jax

                result = jax.grad(function)(x)
            case "torch":
                x = x.detach().clone().requires_grad_()
                function(x).backward()
                result = x.grad
        return ops.convert_to_numpy(ops.cast(result, "float32"))

    return of
