package org.kseg.portrait

/** What the `.tflite` among the assets takes and gives; a test of kseg's compares. */
object PersonModel {
    const val FILE = "person_float16.tflite"

    const val SIGNATURE = "serving_default"
    const val INPUT = "image" // float32, (1, HEIGHT, WIDTH, CHANNELS), RGB
    const val OUTPUT = "probabilities" // float32, (1, HEIGHT, WIDTH, CLASSES)
    const val HEIGHT = 256
    const val WIDTH = 256
    const val CHANNELS = 3
    const val CLASSES = 1

    /** (0..255 - MEAN) / STD goes in; 0 and 1, because the net normalises inside. */
    const val MEAN = 0f
    const val STD = 1f

    /** What makes the outputs probabilities: "none" or "sigmoid". */
    const val ACTIVATION = "none"
}
