// The page: what the server said last, what it shows of it, and what a person asks for.

import { Connection } from "./connection.js";
import { drawFrame, drawGraph, drawMap } from "./draw.js";
import { Hands } from "./hands.js";
import { Gallery, showMoments } from "./pictures.js";

const $ = (id) => document.getElementById(id);
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
const signed = (value) => (value < 0 ? "−" : "") + Math.abs(value).toFixed(2);

let welcome = null; // what the server said at first
let scene = null; // what is seen
let walk = null; // how the walk began
let hands = null;
let paused = false;
let lastActed = 0;
let wantedTime = null; // where the timeline was dragged to while an answer was awaited
const marks = new Map(); // elapsed -> what the timeline and the map show of it
const arrivals = []; // times of the latest imagined frames

const connection = new Connection(receive, (state, title, why, button) => {
  $("link").dataset.state = state;
  $("link").textContent = { open: "connected", wait: "connecting", over: "away" }[state];
  $("lost").hidden = state === "open";
  $("lost-title").textContent = title ?? "";
  $("lost-why").textContent = why ?? "";
  $("lost-again").textContent = button ?? "";
  $("lost-again").hidden = !button;
  if (state !== "open") hands?.releaseAll();
});
const ask = (message) => connection.ask(message);
const gallery = new Gallery(ask);

function receive(header, frame, payload) {
  const { type } = header;
  if (type === "error") toast(header.message);
  if (type === "welcome") greet(header);
  if (type === "welcome" || type === "settings") showSettings(header);
  if (header.walk) {
    walk = header.walk;
    marks.clear();
    walk.marks.forEach((mark) => marks.set(mark.elapsed, mark));
  }
  if (header.moments) showMoments(header.moments, frame, welcome.size, ask);
  if (header.scene) showScene(header.scene, frame);
  if (type === "starts") gallery.show(header, frame, welcome.size);
  if (type === "clip") download(header.name, payload);
  if (type === "saved") toast(`Saved in ${header.folder}: ${header.files.join(", ")}`);
  if (wantedTime !== null && connection.waiting === 0) seek(wantedTime);
}

function greet(header) {
  if (welcome && !header.resumed) toast("The server had let go of the walk: this is a new one.");
  welcome = header;
  wantedTime = null;
  const { world, simulator, recording } = header;
  document.title = `${world.name} · worldmodel`;
  $("world").textContent = world.name;
  $("simulator").hidden = $("watching").hidden = simulator === null;
  $("truth-name").textContent = simulator ?? "";
  document.body.classList.toggle("compared", simulator !== null);
  $("record").hidden = recording === null;
  $("record").title = `Save video and episode in ${recording}`;
  $("steps").max = header.passes;
  $("heat").max = header.hottest;
  if (!hands) {
    hands = new Hands(header.controls, $("pad"), pressed, shortcut);
    hands.listen();
  }
  layout(); // two views need another size than one, and the window's may never change
}

function showSettings({ steps, temperature, watching }) {
  $("steps").value = steps;
  $("heat").value = temperature;
  document.querySelector(`input[name=watch][value=${watching ? "watch" : "dream"}]`).checked = true;
  showSampling();
}

function showSampling() {
  $("steps-value").textContent = $("steps").value === "0" ? "none: likeliest" : $("steps").value;
  $("heat-value").textContent = Number($("heat").value).toFixed(1);
  $("heat").disabled = $("steps").value === "0";
}

function showScene(next, frame) {
  if (next.milliseconds !== null) {
    arrivals.push(performance.now());
    $("cost").textContent = `${next.milliseconds.toFixed(0)} ms each`;
  }
  scene = next;
  marks.set(scene.elapsed, scene);
  for (const elapsed of [...marks.keys()]) {
    if (elapsed < scene.first || elapsed > scene.last) marks.delete(elapsed);
  }
  const seen = scene.surprise === null;
  drawFrame($("view"), frame(scene.frame), welcome.size);
  $("imagined").dataset.seen = seen;
  const [kind, whose] = !seen ? ["Imagined", "by"] : scene.elapsed ? ["Shown", "to"] : ["Given", "to"];
  $("kind").textContent = kind;
  $("whose").textContent = `${whose} the world “${welcome.world.name}”`;
  $("reward").textContent = signed(scene.reward);
  $("total").textContent = `total ${signed(scene.total)}`;
  $("elapsed").textContent = scene.elapsed;
  $("origin").textContent = `from start ${walk.start}`;
  $("surprise").textContent = seen ? "–" : scene.surprise.toFixed(2);
  $("end").hidden = !scene.ended;
  $("end-why").textContent = `so the ${seen ? "simulator" : "world model"} says; reward ${signed(scene.reward)}`;
  if (scene.truth) {
    drawFrame($("truth"), frame(scene.truth.frame), welcome.size);
    $("truth-note").textContent = scene.truth.ended
      ? "· its episode has ended"
      : `· reward ${signed(scene.truth.reward)}`;
  }
  Object.assign($("time"), { min: scene.first, max: scene.last });
  if (wantedTime === null) $("time").value = scene.elapsed;
  $("clock").textContent = `${scene.elapsed} / ${scene.last}`;
  $("back").disabled = scene.elapsed === scene.first;
  redraw();
}

function redraw() {
  if (!scene) return;
  drawGraph($("graph"), marks, scene);
  const known = walk.map !== null && scene.pose !== null;
  $("map").hidden = !known;
  if (known) drawMap($("map"), walk.map, marks, scene);
  $("map-none").hidden = welcome.simulator !== null;
  $("map-note").textContent = known
    ? "The simulator's map, and its place."
    : welcome.simulator && `${welcome.simulator} does not tell where one stands.`;
}

// Sizes of the views: as large as fits, each pixel of a frame a whole number of the screen's.
function layout() {
  const views = $("views");
  const small = matchMedia("(max-width: 899px)").matches;
  const count = document.body.classList.contains("compared") && !small ? 2 : 1;
  const caption = document.querySelector("figcaption").offsetHeight;
  const width = (views.clientWidth - 16 * (count - 1)) / count;
  const side = Math.floor(small ? Math.min(width, innerHeight * 0.6) : Math.min(width, views.clientHeight - caption));
  const grain = (welcome?.size[0] ?? 64) / devicePixelRatio;
  views.style.setProperty("--side", `${Math.max(1, Math.floor(side / grain)) * grain}px`);
  redraw();
}

const live = () => chosen("pace") === "live";

function act(control) {
  if (scene?.ended || wantedTime !== null) return;
  if (ask({ type: "act", control })) lastActed = performance.now();
}

function pressed(control) {
  if (live() && !paused) tick();
  else if (connection.waiting < 3) act(control);
}

function tick() {
  const due = performance.now() - lastActed >= 1000 / Number($("rate").value) - 4;
  if (live() && !paused && due && connection.waiting === 0 && hands?.control != null) act(hands.control);
}
setInterval(tick, 8);

function seek(elapsed) {
  wantedTime = connection.waiting ? elapsed : null;
  if (!connection.waiting) ask({ type: "seek", elapsed });
}

function pause(on) {
  paused = on && live();
  $("pause").disabled = !live();
  $("pause").setAttribute("aria-pressed", paused);
  $("pause").setAttribute("aria-label", paused ? "Go on" : "Pause");
  $("pause").querySelector("use").setAttribute("href", paused ? "#i-play" : "#i-pause");
}

const back = () => scene && scene.elapsed > scene.first && seek(scene.elapsed - 1);
const step = () => act(scene?.control ?? welcome.controls.length - 1);
const begin = () => ask({ type: "begin", start: null });
const keep = () => ask({ type: "keep" });

function shortcut(code, repeat) {
  if (code === "Backspace") back(); // held: back and back
  else if (repeat) return code === "Space";
  else if (code === "Space") pause(!paused);
  else if (code === "Period") step();
  else if (code === "KeyF") keep();
  else if (code === "KeyN") begin();
  else if (code === "KeyC") gallery.open();
  else return false;
  return true;
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => ($("toast").hidden = true), 5000);
}

function download(name, bytes) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function tune() {
  ask({ type: "tune", steps: Number($("steps").value), temperature: Number($("heat").value) });
}

$("back").onclick = $("end-back").onclick = back;
$("pause").onclick = () => pause(!paused);
$("step").onclick = step;
$("fork").onclick = keep;
$("time").oninput = () => seek(Number($("time").value));
$("new").onclick = $("end-new").onclick = begin;
$("choose").onclick = () => gallery.open();
$("clip").onclick = () => ask({ type: "clip", save: false });
$("record").onclick = () => ask({ type: "clip", save: true });
$("steps").oninput = $("heat").oninput = showSampling;
$("steps").onchange = $("heat").onchange = tune;
$("lost-again").onclick = () => connection.open();
document.querySelectorAll("input[name=pace]").forEach((radio) => {
  radio.onchange = () => pause(false);
});
document.querySelectorAll("input[name=watch]").forEach((radio) => {
  radio.onchange = () => ask({ type: "watch", on: chosen("watch") === "watch" });
});
// A choice made must not keep the arrow keys to itself.
document.querySelectorAll("input[type=radio], select").forEach((choice) => {
  choice.addEventListener("change", () => choice.blur());
});
document.querySelectorAll("input[type=range]").forEach((dial) => {
  dial.addEventListener("pointerup", () => dial.blur());
});
new ResizeObserver(() => requestAnimationFrame(layout)).observe($("views"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
setInterval(() => {
  while (arrivals.length && performance.now() - arrivals[0] > 1500) arrivals.shift();
  if (arrivals.length > 2) {
    const seconds = (arrivals.at(-1) - arrivals[0]) / 1000;
    $("fps").textContent = ((arrivals.length - 1) / seconds).toFixed(0);
  }
}, 200);
