package org.kseg.portrait

import android.Manifest
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.net.Uri
import android.os.Bundle
import android.widget.Button
import android.widget.ImageView
import android.widget.SeekBar
import android.widget.Switch
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import androidx.activity.result.contract.ActivityResultContracts.RequestPermission
import java.util.concurrent.Executors
import kotlin.math.max

/** A photo or the camera, with the background out of focus. */
class MainActivity : ComponentActivity() {
    private val worker = Executors.newSingleThreadExecutor()
    private val camera = Camera(this)
    private lateinit var picture: ImageView
    private lateinit var status: TextView

    // These three belong to the worker's thread.
    private var segmenter: Segmenter? = null
    private var segmenterIsMediaPipe = false
    private var photo: Bitmap? = null

    @Volatile private var useMediaPipe = false
    @Volatile private var radius = 0

    private val choosePhoto =
        registerForActivityResult(PickVisualMedia()) { uri ->
            if (uri != null) {
                camera.stop()
                work { show(decode(uri)) }
            }
        }
    private val askForCamera =
        registerForActivityResult(RequestPermission()) { granted ->
            if (granted) {
                camera.start(worker, { frame -> guarded { show(frame) } }, ::fail)
            } else {
                status.setText(R.string.no_camera)
            }
        }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        picture = findViewById(R.id.picture)
        status = findViewById(R.id.status)
        findViewById<Button>(R.id.photo).setOnClickListener {
            choosePhoto.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly))
        }
        findViewById<Button>(R.id.camera).setOnClickListener {
            askForCamera.launch(Manifest.permission.CAMERA)
        }
        findViewById<Switch>(R.id.use_mediapipe).setOnCheckedChangeListener { _, checked ->
            useMediaPipe = checked
            showAgain()
        }
        val strength = findViewById<SeekBar>(R.id.strength)
        radius = strength.progress
        strength.setOnSeekBarChangeListener(
            object : SeekBar.OnSeekBarChangeListener {
                override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) {
                    radius = progress
                }

                override fun onStartTrackingTouch(bar: SeekBar) = Unit

                override fun onStopTrackingTouch(bar: SeekBar) = showAgain()
            }
        )
    }

    override fun onDestroy() {
        super.onDestroy()
        worker.execute { segmenter?.close() }
        worker.shutdown()
    }

    private fun showAgain() = work { photo?.let { show(it) } }

    private fun work(task: () -> Unit) = worker.execute { guarded(task) }

    private fun guarded(task: () -> Unit) =
        try {
            task()
        } catch (error: Exception) {
            fail(error)
        }

    private fun fail(error: Exception) = runOnUiThread { status.text = error.toString() }

    private fun decode(uri: Uri): Bitmap =
        ImageDecoder.decodeBitmap(ImageDecoder.createSource(contentResolver, uri)) {
            decoder,
            info,
            _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE // whose pixels can be read
            val longSide = max(info.size.width, info.size.height)
            decoder.setTargetSampleSize(max(1, longSide / MOST_PIXELS))
        }

    private fun show(source: Bitmap) {
        photo = source
        val opened = openSegmenter()
        val portrait = portrait(source, opened, radius)
        val text = if (portrait.picture != null) R.string.person else R.string.no_person
        runOnUiThread {
            picture.setImageBitmap(portrait.picture ?: source)
            status.text = getString(text, opened.name, portrait.segmentMillis)
        }
    }

    private fun openSegmenter(): Segmenter {
        val mediaPipe = useMediaPipe
        segmenter?.let { if (segmenterIsMediaPipe == mediaPipe) return it }
        segmenter?.close()
        segmenter = null
        val opened = openOnGpuOrCpu { gpu ->
            if (mediaPipe) MediaPipeSegmenter(this, gpu) else LiteRtSegmenter(this, gpu)
        }
        segmenter = opened
        segmenterIsMediaPipe = mediaPipe
        return opened
    }

    private companion object {
        const val MOST_PIXELS = 2048 // of the long side; larger photos are sampled
    }
}
