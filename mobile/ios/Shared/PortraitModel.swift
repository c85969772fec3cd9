import AVFoundation
import SwiftUI
import UIKit

/// What the screen shows, and the one queue on which the net runs.
final class PortraitModel: ObservableObject {
    @Published private(set) var picture: CGImage?
    @Published private(set) var status = "Choose a photo, or start the camera."
    @Published var sigma = 8.0

    private let queue = DispatchQueue(label: "org.kseg.portrait")
    private let portrait = Portrait()
    private var segmenter: Segmenter?  // belongs to the queue
    private var photo: CGImage?
    private lazy var camera = Camera(queue: queue) { [weak self] frame in
        guard let self else { return }
        let sigma = DispatchQueue.main.sync { self.sigma }
        self.show(frame, sigma: sigma)
    }

    /// Shows an image file, upright and of at most 2048 pixels on its long side.
    func open(_ data: Data) {
        camera.stop()
        guard let image = UIImage(data: data) else {
            status = "This is no photo that iOS can read."
            return
        }
        let longSide = max(image.size.width, image.size.height) * image.scale
        let scale = min(1, 2048 / longSide) * image.scale
        let size = CGSize(width: image.size.width * scale, height: image.size.height * scale)
        let format = UIGraphicsImageRendererFormat()
        format.scale = 1
        photo = UIGraphicsImageRenderer(size: size, format: format).image { _ in
            image.draw(in: CGRect(origin: .zero, size: size))
        }.cgImage
        showPhoto()
    }

    /// Shows the photo again, after the strength has changed.
    func showPhoto() {
        guard let photo else { return }
        let sigma = self.sigma
        queue.async { self.show(photo, sigma: sigma) }
    }

    func startCamera() {
        AVCaptureDevice.requestAccess(for: .video) { granted in
            DispatchQueue.main.async { self.startCamera(granted: granted) }
        }
    }

    func report(_ error: Error) {
        DispatchQueue.main.async { self.status = "\(error)" }
    }

    private func startCamera(granted: Bool) {
        guard granted else {
            status = "The camera may not be used: allow it in Settings, or choose a photo."
            return
        }
        photo = nil
        do {
            try camera.start()
        } catch {
            report(error)
        }
    }

    private func show(_ image: CGImage, sigma: Double) {
        do {
            let segmenter = try self.segmenter ?? openSegmenter()
            self.segmenter = segmenter
            let small = try Pixels.resize(
                image, width: PersonModel.width, height: PersonModel.height)
            let start = ContinuousClock.now
            let mask = try segmenter.segment(small)
            let milliseconds = (ContinuousClock.now - start) / .milliseconds(1)
            var text = "\(segmenter.name), \(Int(milliseconds.rounded())) ms"
            var result = image
            if hasPerson(mask) {
                result = try portrait.render(image, mask: mask, sigma: sigma)
            } else {
                text = "No person found: the picture is unchanged (\(text))"
            }
            DispatchQueue.main.async { [text, result] in
                self.picture = result
                self.status = text
            }
        } catch {
            report(error)
        }
    }
}
