import CoreImage
import Foundation

/// Puts the background of photos out of focus.
final class Portrait {
    private let context = CIContext()

    /// - Parameters:
    ///   - photo: Upright.
    ///   - mask: Probability of person, of the net's size.
    ///   - sigma: Of the blur, in pixels of the net's input.
    func render(_ photo: CGImage, mask: [Float], sigma: Double) throws -> CGImage {
        let (width, height) = (PersonModel.width, PersonModel.height)
        let sharp = CIImage(cgImage: photo)
        let frame = sharp.extent
        // Without a colour space: the mask is numbers, no light to be converted.
        let person = CIImage(
            cgImage: try Pixels.image(of: mask, width: width, height: height),
            options: [.colorSpace: NSNull()]
        ).transformed(
            by: CGAffineTransform(
                scaleX: frame.width / CGFloat(width),
                y: frame.height / CGFloat(height)))

        // Every pixel counts as much as it is background, and the blur is divided by
        // what it counted: a plain one would leave a halo of the person's colours.
        let scale = Double(max(frame.width, frame.height)) / Double(max(width, height))
        let nothing = CIImage(color: .clear).cropped(to: frame)
        let blurred = blend(nothing, over: sharp, where: person)
            .applyingGaussianBlur(sigma: sigma * scale)
            .unpremultiplyingAlpha()
            .settingAlphaOne(in: frame)
            .cropped(to: frame)
        let result = blend(sharp, over: blurred, where: person)
        guard let image = context.createCGImage(result, from: frame) else {
            throw SegmenterError("Core Image could not draw \(frame)")
        }
        return image
    }

    private func blend(_ image: CIImage, over other: CIImage, where mask: CIImage) -> CIImage {
        image.applyingFilter(
            "CIBlendWithRedMask",
            parameters: [kCIInputBackgroundImageKey: other, kCIInputMaskImageKey: mask])
    }
}

/// Whether a person is there: less than a thousandth of the picture is nobody.
func hasPerson(_ mask: [Float]) -> Bool {
    mask.lazy.filter { $0 > 0.5 }.count * 1000 >= mask.count
}
