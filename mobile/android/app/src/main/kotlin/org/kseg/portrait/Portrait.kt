package org.kseg.portrait

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.PorterDuff
import android.graphics.PorterDuffXfermode
import android.graphics.Rect
import android.os.SystemClock
import kotlin.math.roundToInt

/** A picture with its background out of focus; `null` if there is no person. */
class Portrait(val picture: Bitmap?, val segmentMillis: Long)

/**
 * Puts the background of a photo out of focus.
 *
 * The blur is made at the net's size: it has no detail that a larger one would keep.
 *
 * @param photo Upright, ARGB_8888.
 * @param radius Of the blur, in pixels of the net's input.
 */
fun portrait(photo: Bitmap, segmenter: Segmenter, radius: Int): Portrait {
    val (width, height) = PersonModel.WIDTH to PersonModel.HEIGHT
    val small = shrink(photo, width, height)
    val before = SystemClock.elapsedRealtime()
    val mask = segmenter.segment(small)
    val millis = SystemClock.elapsedRealtime() - before
    if (!hasPerson(mask)) return Portrait(null, millis)

    val pixels = IntArray(width * height)
    small.getPixels(pixels, 0, width, 0, 0, width, height)
    val background = bitmapOf(blurBackground(pixels, mask, width, height, radius))
    val alpha = IntArray(mask.size) { (255 * mask[it].coerceIn(0f, 1f)).roundToInt() shl 24 }
    return Portrait(compose(photo, background, bitmapOf(alpha)), millis)
}

private fun bitmapOf(pixels: IntArray) =
    Bitmap.createBitmap(
        pixels,
        PersonModel.WIDTH,
        PersonModel.HEIGHT,
        Bitmap.Config.ARGB_8888,
    )

/** Halves first: filtering takes four pixels only, so that a larger step skips some. */
private fun shrink(photo: Bitmap, width: Int, height: Int): Bitmap {
    var result = photo
    while (result.width >= 2 * width && result.height >= 2 * height) {
        result = Bitmap.createScaledBitmap(result, result.width / 2, result.height / 2, true)
    }
    return Bitmap.createScaledBitmap(result, width, height, true)
}

private fun compose(photo: Bitmap, background: Bitmap, mask: Bitmap): Bitmap {
    val result = Bitmap.createBitmap(photo.width, photo.height, Bitmap.Config.ARGB_8888)
    val canvas = Canvas(result)
    val frame = Rect(0, 0, photo.width, photo.height)
    val paint = Paint(Paint.FILTER_BITMAP_FLAG)
    canvas.drawBitmap(background, null, frame, paint)
    val layer = canvas.saveLayer(null, null)
    canvas.drawBitmap(photo, 0f, 0f, null)
    paint.xfermode = PorterDuffXfermode(PorterDuff.Mode.DST_IN) // keeps the person
    canvas.drawBitmap(mask, null, frame, paint)
    canvas.restoreToCount(layer)
    return result
}
