import CoreGraphics
import Foundation
import TensorFlowLite

/// The net on LiteRT, by its Swift interface TensorFlowLiteSwift.
final class LiteRTSegmenter: Segmenter {
    let name: String
    private let interpreter: Interpreter

    init(gpu: Bool) throws {
        name = gpu ? "LiteRT, Metal" : "LiteRT, CPU"
        var options = Interpreter.Options()
        options.threadCount = 2
        options.isXNNPackEnabled = !gpu
        var delegates: [Delegate] = []
        if gpu {
            var metal = MetalDelegate.Options()
            metal.isPrecisionLossAllowed = true  // float16, as the file's weights
            delegates.append(MetalDelegate(options: metal))
        }
        interpreter = try Interpreter(
            modelPath: PersonModel.path(), options: options, delegates: delegates)
        try interpreter.allocateTensors()
        try Self.check(
            interpreter.input(at: 0).shape.dimensions, channels: PersonModel.channels)
        try Self.check(
            interpreter.output(at: 0).shape.dimensions, channels: PersonModel.classes)
    }

    func segment(_ image: CGImage) throws -> [Float] {
        let input = try Pixels.input(
            of: image, mean: PersonModel.mean, std: PersonModel.std)
        try interpreter.copy(input.withUnsafeBytes { Data($0) }, toInputAt: 0)
        try interpreter.invoke()
        let outputs = try interpreter.output(at: 0).data.withUnsafeBytes {
            Array($0.bindMemory(to: Float.self))
        }
        return try Pixels.activate(outputs, PersonModel.activation)
    }

    private static func check(_ shape: [Int], channels: Int) throws {
        let expected = [1, PersonModel.height, PersonModel.width, channels]
        guard shape == expected else {
            throw SegmenterError(
                "\(PersonModel.file) must have the shape \(expected), as "
                    + "PersonModel.swift says. Received: \(shape)")
        }
    }
}

func openSegmenter() throws -> Segmenter {
    try openOnGPUOrCPU { try LiteRTSegmenter(gpu: $0) }
}
