// Uses the demo's page as a person would, by mouse and keyboard, and writes down what it
// showed: node web_page.mjs job.json

import {readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";
import {pathToFileURL} from "node:url";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const library = join(job.modules, "playwright-core", "index.mjs");
const {chromium} = await import(pathToFileURL(library));

const browser = await chromium.launch({
  executablePath: job.chromium,
  args: [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
  ],
});
const found = {requests: [], failures: [], status: {}};
try {
  const page = await browser.newPage({viewport: {width: 1000, height: 760}});
  page.setDefaultTimeout(120_000);
  page.on("request", (request) => found.requests.push(request.url()));
  page.on("pageerror", (error) => found.failures.push(String(error)));
  const save = (name) => join(job.output, name);
  const ready = () => page.waitForSelector("main[aria-busy=false]");
  const status = () => page.textContent("#status");
  const latency = () => page.textContent("#latency");
  const keep = async (name) => {
    const address = await page.evaluate(() => document.querySelector("canvas").toDataURL());
    writeFileSync(save(name), Buffer.from(address.split(",")[1], "base64"));
  };

  await page.goto(job.address);
  await ready();
  found.status.start = await status();
  found.isolated = await page.evaluate(() => crossOriginIsolated);
  found.unnamed = await page.evaluate(() =>
    [...document.querySelectorAll("input, select, button, canvas, form")]
      .filter((e) => !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
      .map((e) => e.outerHTML));
  const choices = () => page.locator(".clothes:visible").count();
  found.clothes = {with: await choices()};
  found.garments = await page.locator("#garment option").allTextContents();
  found.tabs = [];
  for (let i = 0; i < 8; i++) {
    await page.keyboard.press("Tab");
    found.tabs.push(await page.evaluate(() => document.activeElement.id || document.activeElement.value));
  }

  await page.setInputFiles("#file", job.photo);
  await ready();
  found.status.photo = await status();
  found.latency = await latency();
  await keep("portrait.png");
  await page.locator("canvas").screenshot({path: save("screen.png")});
  await page.focus("input[value=portrait]");
  for (const name of ["color", "image", "garment", "mask", "none"]) {
    await page.keyboard.press("ArrowDown");
    await ready();
    if (name === "image") {
      found.status.image = await status();
      await page.setInputFiles("#background", job.background);
      await ready();
      await page.focus("input[value=image]");
    }
    await keep(`${name}.png`);
  }

  found.numbers = await page.evaluate(async ({classes, confidence, width, height, regions}) => {
    const {besideOthers, keepSubjects} = await import("/files/subjects.js");
    const {resize} = await import("/files/resize.js");
    const {refineEdges} = await import("/files/edges.js");
    const canvas = document.querySelector("canvas");
    const photo = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return {
      share: [...besideOthers(classes.map((data) => ({data, width, height})), 1).data],
      alone: [...besideOthers([{data: confidence, width, height}], 0).data],
      subjects: [...keepSubjects({data: regions, width, height}).data],
      nobody: keepSubjects({data: regions.map((p) => p / 2), width, height}),
      alpha: [...refineEdges(photo, {data: confidence, width, height})],
      small: [...resize(photo, 64, 48, {channels: 3, bytes: true}).data],
      large: [...resize({data: confidence, width, height}, 200, 300).data],
    };
  }, job.map);

  await page.selectOption("#sample", {index: 1});
  await ready();
  await keep("sample.png");
  await page.setInputFiles("#file", job.empty);
  await ready();
  found.status.empty = await status();
  await page.check("input[value=portrait]");
  await ready();
  await keep("empty.png");
  await page.setInputFiles("#file", job.broken);
  await ready();
  found.status.broken = await status();

  await page.focus("#camera");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#latency").value.includes("a second"));
  found.camera = await latency();
  await page.keyboard.press("Enter");
  await ready();
  await keep("camera.png");
  found.button = await page.textContent("#camera");
  const before = await latency();
  await page.waitForTimeout(500);
  found.stopped = before === (await latency());

  await page.goto(`${job.address}?backend=webgpu`);
  await ready();
  found.status.webgpu = await status();
  await page.setInputFiles("#file", job.photo);
  await ready();
  found.webgpu = await latency();
  await page.check("input[value=mask]");
  await ready();
  await keep("webgpu.png");

  // A GPU that fails as soon as it is to work.
  const other = await browser.newPage();
  await other.addInitScript(() => {
    navigator.gpu.requestAdapter = async () => ({
      info: {isFallbackAdapter: false}, features: new Set(), limits: {},
      requestDevice: async () => { throw new Error("device lost"); },
    });
  });
  const tried = [];
  other.on("request", (request) => tried.push(request.url()));
  await other.goto(job.withoutClothes);
  await other.waitForSelector("main[aria-busy=false]");
  found.fallback = {
    tried: tried.filter((url) => url.endsWith(".wasm")).map((url) => url.split("_").at(-2)),
    status: await other.textContent("#status"),
  };
  found.clothes.without = await other.locator(".clothes:visible").count();
} finally {
  await browser.close();
}
writeFileSync(join(job.output, "found.json"), JSON.stringify(found));
