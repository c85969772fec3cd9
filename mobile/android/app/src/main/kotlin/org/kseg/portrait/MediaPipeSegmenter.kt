package org.kseg.portrait

import android.content.Context
import android.graphics.Bitmap
import com.google.mediapipe.framework.image.BitmapImageBuilder
import com.google.mediapipe.framework.image.ByteBufferExtractor
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.core.Delegate
import com.google.mediapipe.tasks.vision.core.RunningMode
import com.google.mediapipe.tasks.vision.imagesegmenter.ImageSegmenter
import java.nio.ByteOrder

/** The net in MediaPipe's Image Segmenter, which reads the rest from the metadata. */
class MediaPipeSegmenter(context: Context, gpu: Boolean) : Segmenter {
    override val name = if (gpu) "MediaPipe, GPU" else "MediaPipe, CPU"

    private val segmenter =
        ImageSegmenter.createFromOptions(
            context,
            ImageSegmenter.ImageSegmenterOptions.builder()
                .setBaseOptions(
                    BaseOptions.builder()
                        .setModelAssetPath(PersonModel.FILE)
                        .setDelegate(if (gpu) Delegate.GPU else Delegate.CPU)
                        .build()
                )
                .setRunningMode(RunningMode.IMAGE)
                .setOutputConfidenceMasks(true)
                .setOutputCategoryMask(false)
                .build(),
        )

    override fun segment(image: Bitmap): FloatArray {
        val masks = segmenter.segment(BitmapImageBuilder(image).build()).confidenceMasks()
        val mask = masks.get().last() // the only one, or background before person
        val values = FloatArray(mask.width * mask.height)
        val bytes = ByteBufferExtractor.extract(mask).order(ByteOrder.nativeOrder())
        bytes.asFloatBuffer().get(values)
        return values
    }

    override fun close() = segmenter.close()
}
