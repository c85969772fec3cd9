import javax.inject.Inject
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.kseg.portrait"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.kseg.portrait"
        minSdk = 28 // ImageDecoder, which turns photos upright
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
    }

    // LiteRT maps the file into memory, which it can only if it lies there as it is.
    androidResources { noCompress += "tflite" }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

kotlin { compilerOptions { jvmTarget = JvmTarget.JVM_17 } }

dependencies {
    implementation(libs.activity)
    implementation(libs.camera.camera2)
    implementation(libs.camera.core)
    implementation(libs.camera.lifecycle)
    implementation(libs.litert)
    implementation(libs.mediapipe.vision)
}

/** Puts the net among the assets, under its own name. */
abstract class CopyModel : DefaultTask() {
    @get:InputFile abstract val model: RegularFileProperty
    @get:OutputDirectory abstract val assets: DirectoryProperty
    @get:Inject abstract val files: FileSystemOperations

    @TaskAction
    fun copy() {
        files.sync {
            from(model)
            into(assets)
        }
    }
}

// Another net: `./gradlew installDebug -Pmodel=/path/to/net.tflite`, and PersonModel.kt.
val shippedModel = "../../weights/person_float16.tflite"
val copyModel = tasks.register<CopyModel>("copyModel") {
    model = file(providers.gradleProperty("model").getOrElse(shippedModel))
}

androidComponents {
    onVariants { variant ->
        variant.sources.assets?.addGeneratedSourceDirectory(copyModel, CopyModel::assets)
    }
}
