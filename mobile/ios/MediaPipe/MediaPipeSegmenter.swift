import CoreGraphics
import MediaPipeTasksVision
import UIKit

/// The net in MediaPipe's Image Segmenter, which reads the rest from the metadata.
final class MediaPipeSegmenter: Segmenter {
    let name: String
    private let segmenter: ImageSegmenter

    init(gpu: Bool) throws {
        name = gpu ? "MediaPipe, GPU" : "MediaPipe, CPU"
        let options = ImageSegmenterOptions()
        options.baseOptions.modelAssetPath = try PersonModel.path()
        options.baseOptions.delegate = gpu ? .GPU : .CPU
        options.runningMode = .image
        options.shouldOutputConfidenceMasks = true
        options.shouldOutputCategoryMask = false
        segmenter = try ImageSegmenter(options: options)
    }

    func segment(_ image: CGImage) throws -> [Float] {
        let result = try segmenter.segment(image: MPImage(uiImage: UIImage(cgImage: image)))
        // The only one, or background before person.
        guard let mask = result.confidenceMasks?.last else {
            throw SegmenterError("MediaPipe gave no mask")
        }
        // The memory is the mask's: copied before it goes.
        return Array(
            UnsafeBufferPointer(start: mask.float32Data, count: mask.width * mask.height))
    }
}

func openSegmenter() throws -> Segmenter {
    try openOnGPUOrCPU { try MediaPipeSegmenter(gpu: $0) }
}
