package org.kseg.portrait

import android.content.Context
import android.graphics.Bitmap
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel

/** The net on LiteRT's CompiledModel. */
class LiteRtSegmenter(context: Context, gpu: Boolean) : Segmenter {
    override val name = if (gpu) "LiteRT, GPU" else "LiteRT, CPU"

    private val model =
        CompiledModel.create(
            context.assets,
            PersonModel.FILE,
            CompiledModel.Options(if (gpu) Accelerator.GPU else Accelerator.CPU),
        )
    private val input = model.createInputBuffer(PersonModel.INPUT, PersonModel.SIGNATURE)
    private val output = model.createOutputBuffer(PersonModel.OUTPUT, PersonModel.SIGNATURE)
    private val pixels = IntArray(PersonModel.WIDTH * PersonModel.HEIGHT)

    override fun segment(image: Bitmap): FloatArray {
        image.getPixels(pixels, 0, image.width, 0, 0, image.width, image.height)
        input.writeFloat(toInput(pixels, PersonModel.MEAN, PersonModel.STD))
        model.run(
            mapOf(PersonModel.INPUT to input),
            mapOf(PersonModel.OUTPUT to output),
            PersonModel.SIGNATURE,
        )
        return activate(output.readFloat(), PersonModel.ACTIVATION)
    }

    override fun close() {
        input.close()
        output.close()
        model.close()
    }
}
