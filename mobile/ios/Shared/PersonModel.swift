import Foundation

/// What the `.tflite` in the bundle takes and gives; a test of kseg's compares.
enum PersonModel {
    static let file = "person_float16.tflite"

    static let height = 256  // input: float32, (1, height, width, channels), RGB
    static let width = 256
    static let channels = 3
    static let classes = 1  // output: float32, (1, height, width, classes)

    /// (0...255 - mean) / std goes in; 0 and 1, because the net normalises inside.
    static let mean: Float = 0
    static let std: Float = 1

    /// What makes the outputs probabilities: "none" or "sigmoid".
    static let activation = "none"

    static func path() throws -> String {
        guard let path = Bundle.main.path(forResource: file, ofType: nil) else {
            throw SegmenterError("\(file) is not among the app's resources")
        }
        return path
    }
}
