// Resizes as Pillow does, so that a net sees here what it sees in Python.

const KERNELS = {
  bilinear: {reach: 1, weight: (x) => Math.max(0, 1 - x)},
  bicubic: {
    reach: 2,
    weight: (x) =>
      x < 1 ? (1.5 * x - 2.5) * x * x + 1
        : x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0,
  },
};

/**
 * Resizes an image or a map, antialiased where it shrinks.
 *
 * @param {{data, width, height}} image Values, row by row, channels last; an ImageData.
 * @param {number} width Of the result.
 * @param {number} height Of the result.
 * @param {{how, channels, bytes}} options `how`: "bilinear" or "bicubic". `channels`:
 *     the first ones of each pixel, that is all that the result has. `bytes`: round to
 *     0-255 after each axis, as Pillow does with photos.
 * @returns {{data: Float32Array, width, height}}
 */
export function resize(
  image, width, height, {how = "bilinear", channels = 1, bytes = false} = {},
) {
  const stride = image.data.length / (image.width * image.height);

  const columns = taps(image.width, width, KERNELS[how]);
  const wide = new Float32Array(image.height * width * channels);
  for (let y = 0, out = 0; y < image.height; y++) {
    for (const {first, weights} of columns) {
      const start = (y * image.width + first) * stride;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = 0, at = start + c; i < weights.length; i++, at += stride) {
          sum += weights[i] * image.data[at];
        }
        wide[out++] = sum;
      }
    }
  }
  if (bytes) toBytes(wide);

  const row = width * channels;
  const data = new Float32Array(height * row);
  taps(image.height, height, KERNELS[how]).forEach(({first, weights}, y) => {
    const out = y * row;
    weights.forEach((weight, i) => {
      const at = (first + i) * row;
      for (let x = 0; x < row; x++) data[out + x] += weight * wide[at + x];
    });
  });
  if (bytes) toBytes(data);
  return {data, width, height};
}

function toBytes(values) {
  for (let i = 0; i < values.length; i++) {
    values[i] = Math.min(255, Math.max(0, Math.floor(values[i] + 0.5)));
  }
}

/** For each pixel of the result: from where it takes, and how much of each. */
function taps(from, to, {reach, weight}) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  return Array.from({length: to}, (_, index) => {
    const middle = (index + 0.5) * scale;
    const first = Math.max(0, Math.floor(middle - reach * stretch + 0.5));
    const last = Math.min(from, Math.floor(middle + reach * stretch + 0.5));
    const weights = [];
    for (let at = first; at < last; at++) {
      weights.push(weight(Math.abs(at + 0.5 - middle) / stretch));
    }
    const sum = weights.reduce((a, b) => a + b, 0);
    return {first, weights: weights.map((w) => w / sum)};
  });
}
