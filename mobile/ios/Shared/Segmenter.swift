import CoreGraphics

/// Finds the person in a picture. Used from one queue.
protocol Segmenter: AnyObject {
    /// What runs the net, to be shown.
    var name: String { get }

    /// Returns the probability of person for every pixel, row by row.
    ///
    /// - Parameter image: Picture of the net's size.
    func segment(_ image: CGImage) throws -> [Float]
}

struct SegmenterError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Opens a segmenter on the GPU or, where that fails, on the CPU.
func openOnGPUOrCPU(_ open: (_ gpu: Bool) throws -> Segmenter) throws -> Segmenter {
    do {
        return try warmedUp(try open(true))
    } catch {
        print("no GPU for this net, the CPU runs it: \(error)")
        return try warmedUp(try open(false))
    }
}

/// Runs once: some drivers take a net and then fail to run it.
private func warmedUp(_ segmenter: Segmenter) throws -> Segmenter {
    let (width, height) = (PersonModel.width, PersonModel.height)
    let blank = try Pixels.draw(width: width, height: height) { _ in }
    let mask = try segmenter.segment(blank)
    guard mask.count == width * height else {
        throw SegmenterError(
            "\(PersonModel.file) must give \(width) x \(height) probabilities, as "
                + "PersonModel.swift says. Received: \(mask.count)")
    }
    return segmenter
}
