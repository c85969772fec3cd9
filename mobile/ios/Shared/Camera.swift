import AVFoundation
import CoreImage

/// The front camera: upright frames, as in a looking glass.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate {
    private let session = AVCaptureSession()
    private let context = CIContext()
    private let queue: DispatchQueue
    private let onFrame: (CGImage) -> Void

    /// - Parameter queue: Where frames are handed on; those it has no time for are dropped.
    init(queue: DispatchQueue, onFrame: @escaping (CGImage) -> Void) {
        self.queue = queue
        self.onFrame = onFrame
    }

    func start() throws {
        if session.inputs.isEmpty {
            try configure()
        }
        DispatchQueue.global(qos: .userInitiated).async { self.session.startRunning() }
    }

    func stop() {
        DispatchQueue.global(qos: .userInitiated).async { self.session.stopRunning() }
    }

    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer,
        from connection: AVCaptureConnection
    ) {
        guard let buffer = sampleBuffer.imageBuffer else { return }
        let frame = CIImage(cvPixelBuffer: buffer)
        if let image = context.createCGImage(frame, from: frame.extent) {
            onFrame(image)
        }
    }

    private func configure() throws {
        let device = AVCaptureDevice.default(
            .builtInWideAngleCamera, for: .video, position: .front)
        guard let device else { throw SegmenterError("there is no front camera") }
        let input = try AVCaptureDeviceInput(device: device)
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [
            kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA
        ]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        session.beginConfiguration()
        defer { session.commitConfiguration() }
        session.sessionPreset = .hd1280x720
        guard session.canAddInput(input), session.canAddOutput(output) else {
            throw SegmenterError("the front camera gives no frames")
        }
        session.addInput(input)
        session.addOutput(output)
        if let connection = output.connection(with: .video) {
            connection.videoRotationAngle = 90  // the sensor lies on its side
            connection.isVideoMirrored = true
        }
    }
}
