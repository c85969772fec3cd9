import PhotosUI
import SwiftUI

@main
struct PortraitApp: App {
    var body: some Scene {
        WindowGroup { PortraitView() }
    }
}

/// A photo or the camera, with the background out of focus.
struct PortraitView: View {
    @StateObject private var model = PortraitModel()
    @State private var item: PhotosPickerItem?

    var body: some View {
        VStack {
            picture.frame(maxWidth: .infinity, maxHeight: .infinity)
            Text(model.status).accessibilityAddTraits(.updatesFrequently)
            Slider(value: $model.sigma, in: 0...20) {
                Text("Strength of the blur")
            } onEditingChanged: { editing in
                if !editing { model.showPhoto() }
            }
            HStack {
                PhotosPicker("Photo", selection: $item, matching: .images)
                    .frame(maxWidth: .infinity)
                Button("Camera") { model.startCamera() }
                    .frame(maxWidth: .infinity)
            }
        }
        .padding()
        .onChange(of: item) { _, chosen in
            Task { await open(chosen) }
        }
    }

    @ViewBuilder private var picture: some View {
        if let image = model.picture {
            Image(image, scale: 1, label: Text("Photo with its background out of focus"))
                .resizable()
                .scaledToFit()
        } else {
            Image(systemName: "person.crop.rectangle").imageScale(.large)
        }
    }

    @MainActor private func open(_ chosen: PhotosPickerItem?) async {
        do {
            if let data = try await chosen?.loadTransferable(type: Data.self) {
                model.open(data)
            }
        } catch {
            model.report(error)
        }
    }
}
