package org.kseg.portrait

import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min
import kotlin.math.roundToInt

// Nothing of Android's in this file: it compiles and runs wherever Kotlin does.

/** Returns the net's input, RGB in rows, from pixels as `Bitmap.getPixels` gives them. */
fun toInput(pixels: IntArray, mean: Float, std: Float): FloatArray {
    val input = FloatArray(pixels.size * 3)
    for ((index, pixel) in pixels.withIndex()) {
        for (channel in 0..2) {
            input[3 * index + channel] = (channelOf(pixel, channel) - mean) / std
        }
    }
    return input
}

/** Returns probabilities from the net's outputs. */
fun activate(outputs: FloatArray, activation: String): FloatArray =
    when (activation) {
        "none" -> outputs
        "sigmoid" -> FloatArray(outputs.size) { 1 / (1 + exp(-outputs[it])) }
        else -> throw IllegalArgumentException("no such activation: $activation")
    }

/** Whether a person is there: less than a thousandth of the picture is nobody. */
fun hasPerson(mask: FloatArray): Boolean = mask.count { it > 0.5f } * 1000 >= mask.size

/**
 * Blurs what is not the person.
 *
 * Every pixel counts as much as it is background, so that the person's colours do not
 * spread: a plain blur would leave a halo around the person.
 *
 * @param pixels ARGB, `height` rows of `width`.
 * @param mask Probability of person for every pixel.
 * @param radius Of each of the three boxes, in pixels; 0 changes nothing.
 * @return Opaque pixels. Deep inside of the person they mean nothing.
 */
fun blurBackground(
    pixels: IntArray,
    mask: FloatArray,
    width: Int,
    height: Int,
    radius: Int,
): IntArray {
    val weights = FloatArray(mask.size) { 1 - mask[it] }
    val blurredWeights = blur(weights, width, height, radius)
    val result = IntArray(pixels.size) { 0xFF shl 24 }
    for (channel in 0..2) {
        val plane = FloatArray(pixels.size) { channelOf(pixels[it], channel) * weights[it] }
        val blurred = blur(plane, width, height, radius)
        for (index in result.indices) {
            val value = blurred[index] / max(blurredWeights[index], 1e-3f)
            val byte = value.roundToInt().coerceIn(0, 255)
            result[index] = result[index] or (byte shl (16 - 8 * channel))
        }
    }
    return result
}

private fun channelOf(pixel: Int, channel: Int) = pixel shr (16 - 8 * channel) and 0xFF

private fun blur(plane: FloatArray, width: Int, height: Int, radius: Int): FloatArray {
    var result = plane
    repeat(3) { // three boxes are nearly a Gaussian
        result = sumRows(result, width, height, radius)
        result = sumRows(result, height, width, radius)
    }
    return result
}

/** Means over boxes along the rows, transposed: a second call does the columns. */
private fun sumRows(plane: FloatArray, width: Int, height: Int, radius: Int): FloatArray {
    val result = FloatArray(plane.size)
    for (y in 0 until height) {
        val row = y * width
        var sum = 0f
        for (x in 0 until min(radius, width)) sum += plane[row + x]
        for (x in 0 until width) {
            if (x + radius < width) sum += plane[row + x + radius]
            if (x > radius) sum -= plane[row + x - radius - 1]
            result[x * height + y] = sum / (2 * radius + 1)
        }
    }
    return result
}
