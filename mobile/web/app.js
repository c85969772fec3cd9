// The page: photo, sample or camera -> net -> effect, with the time that each takes.

import {refineEdges} from "./edges.js";
import {blurredBackground, canvasOf, cutOut, drawCovering, maskPicture} from "./effects.js";
import {recolor} from "./recolor.js";
import {openSegmenters} from "./segmenter.js";
import {besideOthers, keepSubjects} from "./subjects.js";

const LARGEST = 1600;  // pixels on the long side; larger photos are reduced
const CAMERA = {width: {ideal: 640}, height: {ideal: 480}, facingMode: "user"};
// Long side at which edges are refined: a photo may take its time, a video not.
const FINE = 1024, FAST = 192;

const $ = (id) => document.getElementById(id);
const canvas = $("picture"), context = canvas.getContext("2d");
const main = document.querySelector("main");
const names = {webgpu: "WebGPU", wasm: "WebAssembly"};

let nets;  // "person", and "clothes" where there is such a net
let shown = null;  // the photo and what the nets say of it
let behind = null;  // the picture for a new background
let stream = null;  // of the camera
let following = null;  // ends when its last frame has been drawn

/** One thing after the other, with errors said on the page. */
let last = Promise.resolve();
function queue(work) {
  main.ariaBusy = "true";
  const mine = (last = last.then(work).catch((error) => say(explain(error))).then(() => {
    if (mine === last) main.ariaBusy = "false";
  }));
}

function say(text) {
  $("status").textContent = text;
}

function explain(error) {
  return {
    NotAllowedError: "The browser was not allowed to use the camera.",
    NotFoundError: "There is no camera.",
    NotReadableError: "The camera is in use elsewhere.",
    InvalidStateError: "This file is no picture that the browser can read.",
  }[error.name] ?? `That did not work: ${error.message ?? error}`;
}

function pixelsOf(source, width, height) {
  const scale = Math.min(1, LARGEST / Math.max(width, height));
  const [w, h] = [width, height].map((n) => Math.max(1, Math.round(n * scale)));
  const reader = new OffscreenCanvas(w, h).getContext("2d", {willReadFrequently: true});
  reader.imageSmoothingQuality = "high";
  reader.drawImage(source, 0, 0, w, h);
  return reader.getImageData(0, 0, w, h);
}

/** A photo, its maps by net, and what was made of them by part: each is made once. */
function pictureOf(photo, longSide) {
  return {photo, longSide, maps: {}, subjects: {}, alphas: {}, time: {}};
}

async function ask(picture, net) {
  if (picture.maps[net]) return;
  const before = performance.now();
  picture.maps[net] = await nets[net].segment(picture.photo);
  picture.time[net] = performance.now() - before;
}

/** Draws what is shown with the effect that is chosen. */
async function draw() {
  if (!shown) return;
  const picture = shown, {photo, subjects, alphas} = picture;
  const effect = document.querySelector("input[name=effect]:checked").value;
  const garment = effect === "garment" ? $("garment").selectedOptions[0] : null;
  const net = garment ? "clothes" : "person";
  const part = garment ? garment.label : "person";
  await ask(picture, net);
  const before = performance.now();
  const maps = picture.maps[net];
  if (!(part in subjects)) {
    subjects[part] = keepSubjects(garment ? besideOthers(maps, Number(garment.value)) : maps[0]);
  }
  const missing = effect === "image" && !behind;
  Object.assign(canvas, {width: photo.width, height: photo.height});
  if (effect === "mask") {
    context.drawImage(maskPicture(maps[0], photo.width, photo.height), 0, 0);
  } else if (effect === "none" || !subjects[part] || missing) {
    context.putImageData(photo, 0, 0);
  } else {
    alphas[part] ??= refineEdges(photo, subjects[part], picture.longSide);
    if (garment) context.putImageData(recolor(photo, alphas[part], $("color").value), 0, 0);
    else drawPerson(effect, photo, alphas[part]);
  }
  if (!subjects[part]) tell(`No ${part} found: the picture is unchanged.`);
  else tell(missing ? "Choose a background picture." : `Found: ${part}.`);
  const times = [picture.time[net], performance.now() - before].map((ms) => ms.toFixed(1));
  $("latency").textContent = `${names[nets[net].backend]}: net ${times[0]} ms, picture ${times[1]} ms`;
}

function drawPerson(effect, photo, alpha) {
  const blurred = blurredBackground(photo, alpha, $("strength").valueAsNumber);
  drawBackground(effect, blurred);
  context.drawImage(cutOut(photo, alpha, blurred), 0, 0);
}

function drawBackground(effect, blurred) {
  context.imageSmoothingQuality = "high";
  if (effect === "portrait") {
    context.drawImage(blurred, 0, 0, canvas.width, canvas.height);
  } else if (effect === "color") {
    context.fillStyle = $("color").value;
    context.fillRect(0, 0, canvas.width, canvas.height);
  } else {
    drawCovering(context, behind);
  }
}

/** Says it once, not at every frame: screen readers read it out. */
function tell(text) {
  if ($("status").textContent !== text) say(text);
}

async function showPhoto(blob) {
  await stopCamera();
  const bitmap = await createImageBitmap(blob);
  say("…");
  shown = pictureOf(pixelsOf(bitmap, bitmap.width, bitmap.height), FINE);
  bitmap.close();
  await draw();
  $("save").hidden = false;
}

async function startCamera() {
  if (!navigator.mediaDevices) throw new Error("this browser gives no camera to this page");
  stream = await navigator.mediaDevices.getUserMedia({video: CAMERA});
  const mine = stream;
  const video = Object.assign(document.createElement("video"), {
    srcObject: stream, muted: true, playsInline: true,
  });
  await video.play();
  $("camera").textContent = "Stop the camera";
  $("save").hidden = false;
  following = follow(video, mine).catch((error) => {
    say(explain(error));
    releaseCamera();
  });
}

async function follow(video, mine) {
  const frame = () => new Promise(requestAnimationFrame);
  let before = performance.now(), each = 0;
  // Asked after the wait: a camera that was stopped meanwhile gives a black picture.
  for (await frame(); stream === mine; await frame()) {
    shown = pictureOf(pixelsOf(video, video.videoWidth, video.videoHeight), FAST);
    await draw();
    const now = performance.now();
    each = each ? 0.9 * each + 0.1 * (now - before) : now - before;
    before = now;
    $("latency").textContent += `, ${(1000 / each).toFixed(1)} pictures a second`;
  }
}

async function stopCamera() {
  releaseCamera();
  await following;
}

function releaseCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  $("camera").textContent = "Use the camera";
}

/** The camera's next frame shows what was changed; two runs at once a net may not bear. */
async function redraw() {
  if (!stream) await draw();
}

async function fetchBlob(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} is not there`);
  return answer.blob();
}

function listen() {
  $("file").addEventListener("change", ({target}) => {
    if (!target.files.length) return;
    $("sample").value = "";
    queue(() => showPhoto(target.files[0]));
  });
  $("sample").addEventListener("change", ({target}) => {
    if (target.value) queue(async () => showPhoto(await fetchBlob(target.value)));
  });
  $("camera").addEventListener("click", () => {
    queue(async () => (stream ? stopCamera() : startCamera()));
  });
  $("background").addEventListener("change", ({target}) => {
    if (!target.files.length) return;
    queue(async () => {
      const bitmap = await createImageBitmap(target.files[0]);
      behind = canvasOf(pixelsOf(bitmap, bitmap.width, bitmap.height));
      document.querySelector("input[value=image]").checked = true;
      await redraw();
    });
  });
  for (const element of [$("effects"), $("strength"), $("color"), $("garment")]) {
    element.addEventListener("input", () => queue(redraw));
  }
  $("save").addEventListener("click", ({target}) => {
    target.href = canvas.toDataURL();
  });
}

queue(async () => {
  const blob = await fetchBlob("/files/models.json");
  const {person, clothes, samples} = JSON.parse(await blob.text());
  for (const {name, file} of samples) $("sample").add(new Option(name, file));
  const files = {person};
  if (clothes) {
    files.clothes = clothes.file;
    for (const [label, index] of clothes.garments) $("garment").add(new Option(label, index));
    for (const element of document.querySelectorAll(".clothes")) element.hidden = false;
  }
  nets = await openSegmenters(files, new URLSearchParams(location.search).get("backend"));
  listen();
  say(`Ready, by ${names[nets.person.backend]}. Choose a picture.`);
});
