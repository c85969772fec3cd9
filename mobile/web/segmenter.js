// Segmentation nets in LiteRT.js: on the GPU by WebGPU, else by WebAssembly.

import {loadAndCompile, loadLiteRt, supportsFeature, Tensor, unloadLiteRt} from "@litertjs/core";
import {resize} from "./resize.js";

const WASM = "/node_modules/@litertjs/core/wasm/";

/**
 * Opens nets of one image input (RGB, 0-255) and one map of probabilities per class.
 *
 * @param {Object<string, string>} files Name to the address of a .tflite.
 * @param {?string} backend "webgpu" or "wasm"; null takes WebGPU where there is a GPU,
 *     and WebAssembly where WebGPU fails.
 * @returns {Object<string, Segmenter>}
 */
export async function openSegmenters(files, backend = null) {
  const backends = backend ? [backend] : (await hasGpu()) ? ["webgpu", "wasm"] : ["wasm"];
  let failure;
  for (const accelerator of backends) {
    try {
      await load(accelerator);
      const nets = {};
      for (const [name, file] of Object.entries(files)) {
        nets[name] = new Segmenter(await loadAndCompile(file, {accelerator}), accelerator);
        // What a GPU cannot do, some drivers only say when they are to do it.
        await nets[name].segment(new ImageData(1, 1));
      }
      return nets;
    } catch (error) {
      unloadLiteRt();
      failure = error;
    }
  }
  throw failure;
}

/** Whether there is a GPU: its software driver is slower than WebAssembly. */
async function hasGpu() {
  const adapter = await navigator.gpu?.requestAdapter();
  return Boolean(adapter) && !adapter.info.isFallbackAdapter;
}

async function load(backend) {
  // Threads need a page that is isolated from other origins; a net that is only partly
  // for the GPU needs JSPI.
  const threads = backend === "wasm" && crossOriginIsolated;
  const jspi = backend === "webgpu" && (await supportsFeature("jspi"));
  await loadLiteRt(WASM, {threads, jspi});
}

class Segmenter {
  constructor(model, backend) {
    const [input] = model.getInputDetails();
    const [output] = model.getOutputDetails();
    if (input.dtype !== "float32" || input.shape.at(-1) !== 3 || output.shape.length !== 4) {
      throw new Error("a net must take a photo as float32 and give a map per class");
    }
    this.model = model;
    this.backend = backend;
    this.shape = [...input.shape];
    [this.height, this.width] = this.shape.slice(1);
    [this.outputHeight, this.outputWidth, this.classes] = [...output.shape].slice(1);
  }

  /**
   * The probabilities for an ImageData of any size: a map per class, of the net's size.
   */
  async segment(photo) {
    const pixels = resize(photo, this.width, this.height, {channels: 3, bytes: true});
    const input = new Tensor(pixels.data, this.shape);
    const outputs = await this.model.run([input]);
    const data = await outputs[0].data();
    const maps = Array.from({length: this.classes}, (_, index) => this.map(data, index));
    for (const tensor of [input, ...outputs]) tensor.delete();
    return maps;
  }

  map(data, index) {
    const values = new Float32Array(this.outputWidth * this.outputHeight);
    for (let i = 0; i < values.length; i++) values[i] = data[i * this.classes + index];
    return {data: values, width: this.outputWidth, height: this.outputHeight};
  }
}
