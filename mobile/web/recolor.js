// Gives a piece of clothing another colour, and leaves it its folds.

import {toLight, toSrgb} from "./srgb.js";

// OKLab (Björn Ottosson, 2020): even steps look even, so that folds keep their contrast.
const TO_CONES = [
  [0.4122214708, 0.5363325363, 0.0514459929],
  [0.2119034982, 0.6806995451, 0.1073969566],
  [0.0883024619, 0.2817188376, 0.6299787005],
];
const TO_LAB = [
  [0.2104542553, 0.793617785, -0.0040720468],
  [1.9779984951, -2.428592205, 0.4505937099],
  [0.0259040371, 0.7827717662, -0.808675766],
];
const FROM_LAB = [
  [1, 0.3963377774, 0.2158037573],
  [1, -0.1055613458, -0.0638541728],
  [1, -0.0894841775, -1.291485548],
];
const FROM_CONES = [
  [4.0767416621, -3.3077115913, 0.2309699292],
  [-1.2684380046, 2.6097574011, -0.3413193965],
  [-0.0041960863, -0.7034186147, 1.707614701],
];

const DARKEST = 0.1;  // black cloth still shows its folds

/**
 * Dyes a part of a photo: it becomes as light as the colour in the middle, and each
 * pixel has chroma in proportion to its lightness, as under more or less light.
 *
 * @param {ImageData} photo
 * @param {Float32Array} alpha Share of the part in each pixel, 0-1.
 * @param {string} color "#rrggbb".
 * @returns {ImageData} The photo itself where alpha is 0.
 */
export function recolor(photo, alpha, color) {
  const result = new ImageData(Uint8ClampedArray.from(photo.data), photo.width);
  const dye = lab([1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)));
  const dyeLight = Math.max(dye[0], DARKEST);
  const lightness = new Float32Array(alpha.length);
  for (let i = 0; i < alpha.length; i++) {
    if (alpha[i] > 0) lightness[i] = lab(photo.data.subarray(4 * i, 4 * i + 3))[0];
  }
  const inside = lightness.filter((_, i) => alpha[i] > 0.5).sort();
  const median = inside.length ? inside[inside.length >> 1] : 0.5;
  for (let i = 0; i < alpha.length; i++) {
    if (alpha[i] === 0) continue;
    const light = Math.min(1, relit(lightness[i], median, dyeLight));
    const shade = light / dyeLight;
    const codes = rgb([light, shade * dye[1], shade * dye[2]]);
    for (let c = 0; c < 3; c++) {
      result.data[4 * i + c] += alpha[i] * (codes[c] - photo.data[4 * i + c]);
    }
  }
  return result;
}

/**
 * Brings the lightness of a part from `median` to `wanted`; 0 stays 0. Darker cloth gets
 * its share of the light. In lighter cloth that would blow up noise and drive highlights
 * beyond white: they go to 1 on a power curve, and shadows halfway between the two.
 */
function relit(lightness, median, wanted) {
  [median, wanted] = [median, wanted].map((v) => Math.min(0.98, Math.max(0.02, v)));
  const ratio = Math.max(0, lightness) / median;
  if (wanted <= median) return wanted * ratio;
  const power = Math.log(wanted) / Math.log(median);
  return wanted * ratio ** (ratio < 1 ? (1 + power) / 2 : power);
}

function lab(codes) {
  const light = times([...codes].map((code) => toLight(code / 255)), TO_CONES);
  return times(light.map(Math.cbrt), TO_LAB);
}

function rgb(values) {
  const light = times(times(values, FROM_LAB).map((cone) => cone ** 3), FROM_CONES);
  return light.map((v) => 255 * toSrgb(Math.min(1, Math.max(0, v))));
}

function times(vector, matrix) {
  return matrix.map(([a, b, c]) => a * vector[0] + b * vector[1] + c * vector[2]);
}
