// The page: a walk through the world, a step for every frame that a key is held.

import { randomKey } from "./noise.js";
import { World, provider } from "./world.js";

const find = (id) => document.getElementById(id);
const held = []; // controls, the latest last
let fresh = true; // whether a new walk is wanted

function draw(context, side, rgb) {
  const image = context.createImageData(side, side);
  for (let i = 0, j = 0; j < rgb.length; i += 4, j += 3) {
    image.data.set([rgb[j], rgb[j + 1], rgb[j + 2], 255], i);
  }
  context.putImageData(image, 0, 0);
}

function hold(control) {
  release(control);
  held.push(control);
}

function release(control) {
  const at = held.indexOf(control);
  if (at >= 0) held.splice(at, 1);
}

function listen(controls) {
  const byKey = new Map(controls.flatMap((control) => control.keys.map((key) => [key, control])));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.code === "KeyN" && !event.repeat) fresh = true;
    const control = byKey.get(event.code);
    if (!control) return;
    event.preventDefault();
    if (!event.repeat) hold(control);
  });
  addEventListener("keyup", ({ code }) => release(byKey.get(code)));
  addEventListener("blur", () => held.splice(0));
  find("new").onclick = () => (fresh = true);
  find("pad").replaceChildren(
    ...controls.map((control) => {
      const button = document.createElement("button");
      button.textContent = control.label;
      button.onpointerdown = () => hold(control);
      button.onpointerup = button.onpointerleave = () => release(control);
      return button;
    }),
  );
}

const nextTick = () => new Promise((done) => requestAnimationFrame(done));

async function walk(world) {
  const { starts, side } = world.about;
  const context = find("view").getContext("2d");
  let state, key;
  let seconds = [];
  for (;;) {
    if (fresh) {
      fresh = false;
      key = randomKey();
      state = await world.begin(starts[Math.floor(Math.random() * starts.length)]);
      draw(context, side, await world.decode(state));
      find("steps").textContent = "0 steps";
    }
    const control = held.at(-1);
    if (control) {
      const began = performance.now();
      const imagined = await world.step(state, control.action, world.noise(key, state));
      seconds = [...seconds.slice(-29), (performance.now() - began) / 1000];
      state = imagined.state;
      draw(context, side, imagined.frame);
      const mean = seconds.reduce((a, b) => a + b) / seconds.length;
      find("steps").textContent = `${Number(state.index.data[0]) - 1} steps`;
      find("rate").textContent = `${(1 / mean).toFixed(1)} frames/s`;
      if (imagined.termination > 0.5) find("steps").textContent += ", the episode ends here";
    }
    await nextTick();
  }
}

const asked = new URLSearchParams(location.search).get("on");
try {
  const on = asked ?? (await provider());
  const tell = (text) => (find("status").textContent = text);
  const world = await World.load(on, tell);
  const { side, name, controls } = world.about;
  find("view").width = find("view").height = side;
  find("world").textContent = name;
  listen(controls);
  tell(on === "webgpu" ? "WebGPU" : "WebAssembly, one thread");
  document.body.dataset.state = "ready";
  await walk(world);
} catch (error) {
  document.body.dataset.state = "failed";
  find("status").textContent = `This browser cannot run the world: ${error.message ?? error}`;
  throw error;
}
