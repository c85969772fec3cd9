package org.kseg.portrait

import android.graphics.Bitmap
import android.util.Log

/** Finds the person in a picture. Used from one thread, as MediaPipe's GPU demands. */
interface Segmenter : AutoCloseable {
    /** What runs the net, to be shown. */
    val name: String

    /**
     * Returns the probability of person for every pixel, row by row.
     *
     * @param image Picture of the net's size, ARGB_8888.
     */
    fun segment(image: Bitmap): FloatArray
}

/** Opens a segmenter on the GPU or, where that fails, on the CPU. */
fun openOnGpuOrCpu(open: (gpu: Boolean) -> Segmenter): Segmenter =
    try {
        warmedUp(open(true))
    } catch (error: Exception) {
        Log.w("portrait", "no GPU for this net, the CPU runs it", error)
        warmedUp(open(false))
    }

/** Runs once: some drivers take a net and then fail to run it. */
private fun warmedUp(segmenter: Segmenter): Segmenter {
    val size = PersonModel.WIDTH to PersonModel.HEIGHT
    val blank = Bitmap.createBitmap(size.first, size.second, Bitmap.Config.ARGB_8888)
    try {
        val mask = segmenter.segment(blank)
        check(mask.size == size.first * size.second) {
            "${PersonModel.FILE} must give ${size.first} x ${size.second} probabilities, " +
                "as PersonModel.kt says. Received: ${mask.size}"
        }
        return segmenter
    } catch (error: Exception) {
        segmenter.close()
        throw error
    }
}
