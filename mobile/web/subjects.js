// Who a picture is of: the rule of kseg's portrait, in JavaScript.

const NOBODY = 0.001;  // of the picture; less is no person
const SPECK = 0.05;  // of the largest region; less is a stranger far off, or a mistake

/**
 * Takes the specks out of a map of probabilities.
 *
 * @param {{data, width, height}} confidence
 * @returns {?{data, width, height}} The map without specks; null if nobody is there.
 */
export function keepSubjects({data, width, height}) {
  const regions = regionsOf(data, width);
  const largest = Math.max(0, ...regions.map((region) => region.length));
  if (largest < Math.max(1, NOBODY * data.length)) return null;
  const kept = Float32Array.from(data);
  for (const region of regions) {
    if (region.length >= SPECK * largest) continue;
    for (const index of region) {
      kept[index] = 0;
      // The soft rim goes too.
      for (const near of neighbours(index, width, data.length)) kept[near] = 0;
    }
  }
  return {data: kept, width, height};
}

/**
 * How sure a net is of one class beside the strongest other: above 0.5 where it chooses it.
 *
 * @param {Array<{data, width, height}>} maps The probabilities of all classes.
 */
export function besideOthers(maps, index) {
  const {data, width, height} = maps[index];
  const others = new Float32Array(data.length);
  maps.forEach((map, other) => {
    if (other === index) return;
    for (let i = 0; i < others.length; i++) others[i] = Math.max(others[i], map.data[i]);
  });
  const shares = data.map((part, i) => part / Math.max(part + others[i], Number.MIN_VALUE));
  return {data: shares, width, height};
}

/** Indices of the pixels of each region above one half; corners connect. */
function regionsOf(data, width) {
  const seen = new Uint8Array(data.length);
  const regions = [];
  for (let start = 0; start < data.length; start++) {
    if (seen[start] || !(data[start] > 0.5)) continue;
    const region = [start];
    seen[start] = 1;
    for (let i = 0; i < region.length; i++) {
      for (const near of neighbours(region[i], width, data.length)) {
        if (seen[near] || !(data[near] > 0.5)) continue;
        seen[near] = 1;
        region.push(near);
      }
    }
    regions.push(region);
  }
  return regions;
}

function neighbours(index, width, count) {
  const x = index % width, found = [];
  for (let y = index - x - width; y <= index - x + width; y += width) {
    if (y < 0 || y >= count) continue;
    for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
      if (y + u !== index) found.push(y + u);
    }
  }
  return found;
}
