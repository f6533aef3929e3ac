"use strict";
// A page without a server: answers stay in this browser until they are saved as a file.

const study = JSON.parse(document.getElementById("study").textContent);
const CHOICES = [["left", "Left"], ["tie", "No difference"], ["right", "Right"]];
const FRAME_MS = 1000 / 10;
const STORE = `worldmodel-blind-${study.study}`;
const element = (id) => document.getElementById(id);
const sheets = study.sheets.map((source) => Object.assign(new Image(), { src: source }));

let kept = { rater: "", votes: {} };
try {
  kept = JSON.parse(localStorage.getItem(STORE)) ?? kept;
} catch {
  element("kept").textContent = "This browser keeps nothing: save before you close the page.";
}
let current = study.trials.findIndex((trial) => !complete(trial));
if (current < 0) current = study.trials.length;
let frame = 0;
let playing = true;

function complete(trial) {
  const given = kept.votes[trial.pair] ?? {};
  return study.axes.every((axis) => given[axis.name]);
}

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify(kept));
  } catch {
    // Said above; the votes are still in memory and can be saved.
  }
}

function draw() {
  const trial = study.trials[current];
  if (!trial) return;
  const { width, height, columns, lead } = study;
  for (const side of ["left", "right"]) {
    const canvas = element(side);
    const x = (frame % columns) * width;
    const y = Math.floor(frame / columns) * height;
    canvas.getContext("2d").drawImage(sheets[trial[side]], x, y, width, height, 0, 0, width, height);
    canvas.classList.toggle("real", frame < lead);
  }
  const real = frame < lead;
  element("kind").textContent = real ? "real frames" : `imagined, frame ${frame - lead + 1}`;
  const action = frame > 0 ? study.actions[trial.episode][frame - 1] : "";
  element("action").textContent = action ? `· ${action}` : "";
  element("time").value = frame;
}

function show() {
  const trial = study.trials[current];
  element("pair").hidden = !trial;
  element("end").hidden = Boolean(trial);
  element("done").textContent = study.trials.filter(complete).length;
  if (!trial) return;
  const given = kept.votes[trial.pair] ?? {};
  for (const input of element("questions").querySelectorAll("input")) {
    input.checked = given[input.name] === input.value;
  }
  element("next").disabled = !complete(trial);
  element("back").disabled = current === 0;
  draw();
}

function go(step) {
  current = Math.min(Math.max(current + step, 0), study.trials.length);
  frame = 0;
  playing = true;
  show();
}

function record() {
  const votes = [];
  for (const trial of study.trials) {
    for (const [axis, choice] of Object.entries(kept.votes[trial.pair] ?? {})) {
      votes.push({ pair: trial.pair, axis, choice });
    }
  }
  const rater = kept.rater.trim() || "anonymous";
  return { format: "worldmodel-blind-votes", version: 1, study: study.study, rater, votes };
}

function save() {
  const blob = new Blob([JSON.stringify(record(), null, 1) + "\n"], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  const who = (kept.rater.trim() || "anonymous").replace(/[^\p{L}\p{N}]+/gu, "-");
  link.download = `votes-${study.study}-${who}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

for (const axis of study.axes) {
  const field = document.createElement("fieldset");
  field.append(Object.assign(document.createElement("legend"), { textContent: axis.question }));
  for (const [value, text] of CHOICES) {
    const label = document.createElement("label");
    label.append(Object.assign(document.createElement("input"), { type: "radio", name: axis.name, value }), ` ${text}`);
    field.append(label);
  }
  element("questions").append(field);
}
element("questions").addEventListener("change", (event) => {
  const pair = study.trials[current].pair;
  kept.votes[pair] = { ...kept.votes[pair], [event.target.name]: event.target.value };
  keep();
  show();
});
element("next").addEventListener("click", () => go(1));
element("back").addEventListener("click", () => go(-1));
element("play").addEventListener("click", () => {
  playing = !playing;
  element("play").textContent = playing ? "Pause" : "Play";
});
element("time").addEventListener("input", (event) => {
  playing = false;
  element("play").textContent = "Play";
  frame = Number(event.target.value);
  draw();
});
element("rater").value = kept.rater;
element("rater").addEventListener("input", (event) => {
  kept.rater = event.target.value;
  keep();
});
element("save").addEventListener("click", save);
element("all").textContent = study.trials.length;
element("time").max = study.frames - 1;
for (const side of ["left", "right"]) {
  Object.assign(element(side), { width: study.width, height: study.height });
  element(side).style.setProperty("--aspect", study.width / study.height);
}
setInterval(() => {
  if (!playing || document.hidden) return;
  frame = (frame + 1) % study.frames;
  draw();
}, FRAME_MS);
Promise.all(sheets.map((sheet) => sheet.decode())).then(() => {
  show();
  document.body.dataset.ready = "yes";
});
