// What is made of a photo and its matte: the blur of a lens, or another background.

import {resize} from "./resize.js";
import {toLight, toSrgb} from "./srgb.js";

// Radius of the disc at strength 1, as a share of the mean of width and height, as in
// kseg.mobile.scenarios.portrait.
const RADIUS = 0.03;
const DISC_PIXELS = 3;
const CODES = 4095;

const LIGHT = Float32Array.from({length: 256}, (_, code) => toLight(code / 255));
const SRGB = Uint8ClampedArray.from({length: CODES + 1}, (_, index) => 255 * toSrgb(index / CODES));

/** A canvas of the mask: white where the probability is above one half. */
export function maskPicture(confidence, width, height) {
  const picture = new ImageData(width, height);
  resize(confidence, width, height).data.forEach((probability, i) => {
    picture.data.fill(probability > 0.5 ? 255 : 0, 4 * i, 4 * i + 3);
    picture.data[4 * i + 3] = 255;
  });
  return canvasOf(picture);
}

/**
 * Blurs what is behind the person; of the person nothing gets into it.
 *
 * @param {ImageData} photo
 * @param {Float32Array} alpha Share of the person in each pixel, 0-1.
 * @param {number} strength 0-1.
 * @returns {OffscreenCanvas} Smaller than the photo where the blur is wide.
 */
export function blurredBackground(photo, alpha, strength) {
  const radius = (strength * RADIUS * (photo.width + photo.height)) / 2;
  const scale = Math.min(1, DISC_PIXELS / radius);
  const [width, height] = [photo.width, photo.height].map((n) => Math.max(1, Math.round(n * scale)));
  // Linear light, weighted by how surely it is background; the rest of the weight keeps
  // colours defined where nothing is sure.
  const light = new Float32Array(4 * alpha.length);
  for (let i = 0; i < alpha.length; i++) {
    const behind = 1 - alpha[i];
    const weight = Math.max(0, 10 * behind - 9) + 1e-3 * behind + 1e-6;
    for (let c = 0; c < 3; c++) light[4 * i + c] = weight * LIGHT[photo.data[4 * i + c]];
    light[4 * i + 3] = weight;
  }
  const small = resize(
    {data: light, width: photo.width, height: photo.height}, width, height, {channels: 4});
  return canvasOf(normalisedBlur(small, radius * scale));
}

/** Mean over the disc of the pixels that have weight, as sRGB. */
function normalisedBlur({data, width, height}, radius) {
  const disc = discOf(radius);
  const picture = new ImageData(width, height);
  for (let y = 0, out = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let red = 0, green = 0, blue = 0, weight = 0;
      for (const {dx, dy, share} of disc) {
        const u = x + dx, v = y + dy;
        if (u < 0 || v < 0 || u >= width || v >= height) continue;
        const at = 4 * (v * width + u);
        red += share * data[at];
        green += share * data[at + 1];
        blue += share * data[at + 2];
        weight += share * data[at + 3];
      }
      for (const light of [red, green, blue]) {
        picture.data[out++] = SRGB[Math.min(CODES, Math.round((CODES * light) / weight))];
      }
      picture.data[out++] = 255;
    }
  }
  return picture;
}

/** A disc whose rim pixels are weighted by how far they are inside. */
function discOf(radius) {
  const reach = Math.ceil(radius), disc = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const share = Math.min(1, radius + 0.5 - Math.hypot(x, y));
      if (share > 0) disc.push({dx: x, dy: y, share});
    }
  }
  return disc;
}

/**
 * Cuts the person out, without the old background's colour in hair and edges.
 *
 * @param {ImageData} photo
 * @param {Float32Array} alpha
 * @param {OffscreenCanvas} behind The background beside the person, of any size.
 */
export function cutOut(photo, alpha, behind) {
  const {width, height} = photo;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(behind, 0, 0, width, height);
  const old = context.getImageData(0, 0, width, height).data;
  const person = new ImageData(width, height);
  for (let i = 0; i < alpha.length; i++) {
    const a = alpha[i];
    if (a === 0) continue;
    // Short of all of it, (1 - a) / a: the old background is an estimate.
    for (let c = 4 * i; c < 4 * i + 3; c++) {
      person.data[c] = photo.data[c] + (1 - a) * (photo.data[c] - old[c]);
    }
    person.data[4 * i + 3] = 255 * a;
  }
  return canvasOf(person);
}

/** Draws a picture so that it fills the canvas, cut where the proportions differ. */
export function drawCovering(context, picture) {
  const {width, height} = context.canvas;
  const scale = Math.max(width / picture.width, height / picture.height);
  const [w, h] = [picture.width * scale, picture.height * scale];
  context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
}

export function canvasOf(picture) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}
