package org.kseg.portrait

import android.graphics.Bitmap
import android.graphics.Matrix
import androidx.activity.ComponentActivity
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import androidx.camera.lifecycle.ProcessCameraProvider
import java.util.concurrent.Executor

/** The front camera, or the back one where there is no other. */
class Camera(private val activity: ComponentActivity) {
    private var provider: ProcessCameraProvider? = null

    /** Hands every frame that `worker` has time for to `onFrame`, upright. */
    fun start(worker: Executor, onFrame: (Bitmap) -> Unit, onError: (Exception) -> Unit) {
        val future = ProcessCameraProvider.getInstance(activity)
        val bind = Runnable {
            try {
                provider = future.get().also { bind(it, worker, onFrame) }
            } catch (error: Exception) {
                onError(error)
            }
        }
        future.addListener(bind, activity.mainExecutor)
    }

    fun stop() {
        provider?.unbindAll()
        provider = null
    }

    private fun bind(
        provider: ProcessCameraProvider,
        worker: Executor,
        onFrame: (Bitmap) -> Unit,
    ) {
        val front = provider.hasCamera(CameraSelector.DEFAULT_FRONT_CAMERA)
        val selector =
            if (front) CameraSelector.DEFAULT_FRONT_CAMERA
            else CameraSelector.DEFAULT_BACK_CAMERA
        val analysis =
            ImageAnalysis.Builder()
                .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
                .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
                .build()
        analysis.setAnalyzer(worker) { frame -> frame.use { onFrame(upright(it, front)) } }
        provider.unbindAll()
        provider.bindToLifecycle(activity, selector, analysis)
    }

    private fun upright(frame: ImageProxy, mirror: Boolean): Bitmap {
        val image = frame.toBitmap()
        val matrix = Matrix()
        matrix.postRotate(frame.imageInfo.rotationDegrees.toFloat())
        if (mirror) matrix.postScale(-1f, 1f) // as in a looking glass
        return Bitmap.createBitmap(image, 0, 0, image.width, image.height, matrix, true)
    }
}
