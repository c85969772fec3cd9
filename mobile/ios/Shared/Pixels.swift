import CoreGraphics
import Foundation

/// Between pictures and the numbers of a net.
enum Pixels {
    /// Returns a picture of its own RGBA bytes, drawn by `drawing`.
    static func draw(
        width: Int, height: Int, _ drawing: (CGContext) -> Void
    ) throws -> CGImage {
        let context = CGContext(
            data: nil, width: width, height: height, bitsPerComponent: 8,
            bytesPerRow: 4 * width, space: CGColorSpace(name: CGColorSpace.sRGB)!,
            bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
        guard let context else {
            throw SegmenterError("no memory for \(width) x \(height) pixels")
        }
        context.interpolationQuality = .high  // averages where it shrinks
        drawing(context)
        guard let image = context.makeImage() else {
            throw SegmenterError("no memory for \(width) x \(height) pixels")
        }
        return image
    }

    /// Returns a picture stretched to a size.
    static func resize(_ image: CGImage, width: Int, height: Int) throws -> CGImage {
        try draw(width: width, height: height) { context in
            context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
        }
    }

    /// Returns the net's input, RGB in rows, from a picture made by `draw`.
    static func input(of image: CGImage, mean: Float, std: Float) throws -> [Float] {
        guard let data = image.dataProvider?.data as Data?,
            image.bitsPerPixel == 32, image.bytesPerRow == 4 * image.width
        else {
            throw SegmenterError("the picture's pixels cannot be read")
        }
        var input = [Float](repeating: 0, count: 3 * image.width * image.height)
        data.withUnsafeBytes { bytes in
            for index in 0..<(image.width * image.height) {
                for channel in 0..<3 {
                    let value = Float(bytes[4 * index + channel])
                    input[3 * index + channel] = (value - mean) / std
                }
            }
        }
        return input
    }

    /// Returns probabilities from the net's outputs.
    static func activate(_ outputs: [Float], _ activation: String) throws -> [Float] {
        switch activation {
        case "none": return outputs
        case "sigmoid": return outputs.map { 1 / (1 + exp(-$0)) }
        default: throw SegmenterError("no such activation: \(activation)")
        }
    }

    /// Returns a mask as a grey picture.
    static func image(of mask: [Float], width: Int, height: Int) throws -> CGImage {
        let bytes = mask.map { UInt8((255 * min(max($0, 0), 1)).rounded()) }
        guard let provider = CGDataProvider(data: Data(bytes) as CFData),
            let image = CGImage(
                width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 8,
                bytesPerRow: width, space: CGColorSpaceCreateDeviceGray(),
                bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.none.rawValue),
                provider: provider, decode: nil, shouldInterpolate: true,
                intent: .defaultIntent)
        else {
            throw SegmenterError("no picture of \(mask.count) values")
        }
        return image
    }
}
