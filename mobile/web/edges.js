// The edges of a coarse mask at the photo's resolution: kseg.postprocess.refine_edges,
// where the numbers below were found, in JavaScript.

import {resize} from "./resize.js";

const WINDOWS = 64;
const EPSILON = 1e-4;

/**
 * Turns a coarse confidence into an alpha matte with the edges of the photo.
 *
 * @param {ImageData} photo
 * @param {{data, width, height}} confidence Probabilities, of any size.
 * @param {number} longSide At which the local models are fitted; the time goes with it.
 * @returns {Float32Array} 0-1, for each pixel of the photo.
 */
export function refineEdges(photo, confidence, longSide = 1024) {
  const scale = Math.min(1, longSide / Math.max(photo.width, photo.height));
  const [width, height] = [photo.width, photo.height].map((n) => Math.max(1, Math.round(n * scale)));
  const guide = resize(photo, width, height, {channels: 3, bytes: true}).data;
  const planes = [0, 1, 2].map((c) => {
    const plane = new Float32Array(width * height);
    for (let i = 0; i < plane.length; i++) plane[i] = guide[3 * i + c] / 255;
    return plane;
  });
  const coarse = resize(confidence, width, height, {how: "bicubic"}).data.map((p) => clip(p));
  const radius = Math.max(1, Math.round(Math.max(width, height) / WINDOWS));
  const finer = Math.max(1, Math.floor(radius / 2));

  // How decided a pixel is weighs it.
  const decided = (values) => values.map((p) => Math.abs(2 * p - 1) + 1e-3);
  const inside = coarse.map((p) => (p > 0.5 ? 1 : 0));
  const first = localModels(planes, inside, decided(coarse), width, radius);
  const alpha = coarse.map((_, i) => stretch(evaluate(first, planes, i), 1.5));
  const sharper = alpha.map((p) => stretch(p, 2));
  const maps = localModels(planes, sharper, decided(alpha), width, finer);

  const band = coarse.map((p) => (p > 0.02 && p < 0.98 ? 1 : 0));
  windowMeans(band, width, finer).forEach((share, i) => {
    if (share > 1e-6) return;
    for (const slope of maps.slopes) slope[i] = 0;
    maps.offset[i] = inside[i];
  });
  return apply(photo, maps, width, height);
}

/** Weighted least squares of `mask` on the guide's planes in every window. */
function localModels(planes, mask, weights, width, radius) {
  const share = windowMeans(weights, width, radius);
  const mean = (values) => quotient(windowMeans(product(weights, values), width, radius), share);
  const means = planes.map(mean);
  const maskMean = mean(mask);
  const right = planes.map((plane, k) =>
    difference(mean(product(plane, mask)), product(means[k], maskMean)));
  const covariance = (j, k) => {
    const values = difference(mean(product(planes[j], planes[k])), product(means[j], means[k]));
    return j === k ? values.map((v) => v + EPSILON) : values;
  };
  const [a, b, c] = [covariance(0, 0), covariance(0, 1), covariance(0, 2)];
  const [d, e, f] = [covariance(1, 1), covariance(1, 2), covariance(2, 2)];

  const slopes = planes.map(() => new Float32Array(mask.length));
  const offset = new Float32Array(mask.length);
  for (let i = 0; i < mask.length; i++) {  // a symmetric 3 x 3 system by its adjugate
    const aa = d[i] * f[i] - e[i] * e[i];
    const ab = c[i] * e[i] - b[i] * f[i];
    const ac = b[i] * e[i] - c[i] * d[i];
    const bb = a[i] * f[i] - c[i] * c[i];
    const bc = b[i] * c[i] - a[i] * e[i];
    const cc = a[i] * d[i] - b[i] * b[i];
    const determinant = a[i] * aa + b[i] * ab + c[i] * ac;
    const [x, y, z] = [right[0][i], right[1][i], right[2][i]];
    slopes[0][i] = (aa * x + ab * y + ac * z) / determinant;
    slopes[1][i] = (ab * x + bb * y + bc * z) / determinant;
    slopes[2][i] = (ac * x + bc * y + cc * z) / determinant;
    offset[i] = maskMean[i];
    for (let k = 0; k < 3; k++) offset[i] -= slopes[k][i] * means[k][i];
  }
  const part = windowMeans(new Float32Array(mask.length).fill(1), width, radius);
  const smooth = (values) => quotient(windowMeans(values, width, radius), part);
  return {slopes: slopes.map(smooth), offset: smooth(offset)};
}

function product(a, b) {
  const result = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = a[i] * b[i];
  return result;
}

function quotient(a, b) {
  const result = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = a[i] / b[i];
  return result;
}

function difference(a, b) {
  const result = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = a[i] - b[i];
  return result;
}

/** Mean over a square window, with zeros beyond the border, by running sums. */
function windowMeans(values, width, radius) {
  const height = values.length / width;
  const once = new Float32Array(values.length);
  const twice = new Float32Array(values.length);
  for (let y = 0; y < height; y++) slide(values, once, y * width, 1, width, radius);
  for (let x = 0; x < width; x++) slide(once, twice, x, width, height, radius);
  return twice;
}

function slide(from, to, start, step, count, radius) {
  const size = 2 * radius + 1;
  let sum = 0;
  for (let i = -radius; i < count; i++) {
    if (i + radius < count) sum += from[start + (i + radius) * step];
    if (i > radius) sum -= from[start + (i - radius - 1) * step];
    if (i >= 0) to[start + i * step] = sum / size;
  }
}

/** Enlarges the local models to the photo and evaluates them there. */
function apply(photo, maps, width, height) {
  const enlarge = (data) => resize({data, width, height}, photo.width, photo.height).data;
  const slopes = maps.slopes.map(enlarge);
  const alpha = enlarge(maps.offset);
  for (let i = 0; i < alpha.length; i++) {
    for (let c = 0; c < 3; c++) alpha[i] += (slopes[c][i] * photo.data[4 * i + c]) / 255;
    // A few percent of haze on either side is noise of the fits.
    alpha[i] = stretch(alpha[i], 1.1);
  }
  return alpha;
}

function evaluate({slopes, offset}, planes, i) {
  return slopes.reduce((sum, slope, k) => sum + slope[i] * planes[k][i], offset[i]);
}

function stretch(value, factor) {
  return clip((value - 0.5) * factor + 0.5);
}

function clip(value) {
  return Math.min(1, Math.max(0, value));
}
