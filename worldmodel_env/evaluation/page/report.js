"use strict";

// Charts: pointing at one reads its values off.
for (const figure of document.querySelectorAll(".chart")) {
  const data = JSON.parse(figure.dataset.chart);
  const svg = figure.querySelector("svg");
  const pointer = figure.querySelector(".pointer");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const share = (at - data.left) / (data.right - data.left || 1);
    const wanted = data.x[0] + share * (data.x[data.x.length - 1] - data.x[0]);
    let nearest = 0;
    data.x.forEach((x, i) => {
      if (Math.abs(x - wanted) < Math.abs(data.x[nearest] - wanted)) nearest = i;
    });
    const span = data.x[data.x.length - 1] - data.x[0] || 1;
    const place = data.left + ((data.x[nearest] - data.x[0]) / span) * (data.right - data.left);
    pointer.setAttribute("x1", place);
    pointer.setAttribute("x2", place);
    pointer.style.visibility = "visible";
    const rows = data.lines
      .filter((line) => line.mean[nearest] !== null && line.mean[nearest] !== undefined)
      .map((line) => `${line.name}: ${Number(line.mean[nearest].toPrecision(4))}`);
    tip.replaceChildren();
    for (const text of [`${data.x[nearest]} ${data.xlabel}`, ...rows]) {
      const row = document.createElement("div");
      row.textContent = text;
      tip.append(row);
    }
    tip.hidden = false;
    const left = event.clientX - figure.getBoundingClientRect().left;
    const room = figure.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(left + 14, room))}px`;
    tip.style.top = `${event.clientY - figure.getBoundingClientRect().top + 14}px`;
  });
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
    pointer.style.visibility = "hidden";
  });
}

// Films: every frame of a film is a tile of one picture; all films run together.
const SHOWN = [1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 75, 100, 125, 156, 200, 264];

function make(tag, parent, text) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function tile(canvas, clip, film, index) {
  if (!film.picture.complete) return; // drawn when it is there
  const x = (index % clip.columns) * clip.width;
  const y = Math.floor(index / clip.columns) * clip.height;
  canvas.getContext("2d").drawImage(
    film.picture, x, y, clip.width, clip.height, 0, 0, clip.width, clip.height,
  );
}

function canvasFor(clip, parent, width) {
  const canvas = make("canvas", parent);
  canvas.width = clip.width;
  canvas.height = clip.height;
  canvas.style.width = `${width}px`;
  return canvas;
}

function films(section) {
  const clips = JSON.parse(section.querySelector("script").textContent);
  for (const film of clips.flatMap((clip) => clip.films)) {
    film.picture = new Image();
    film.tiles = [];
    film.picture.onload = () => {
      show();
      for (const draw of film.tiles) draw();
    };
    film.picture.src = film.sheet;
  }

  const controls = make("div", section);
  controls.className = "controls";
  const button = make("button", controls, "Pause");
  const slider = make("input", controls);
  slider.type = "range";
  slider.setAttribute("aria-label", "frame");
  const told = make("output", controls);
  const lead = Math.max(...clips.map((clip) => clip.lead));
  slider.min = -lead;
  slider.max = Math.max(...clips.map((clip) => clip.length - clip.lead)) - 1;
  slider.value = slider.min;

  const grid = make("div", section);
  grid.className = "players";
  for (const clip of clips) {
    clip.node = make("div", grid);
    clip.node.className = "player";
    make("h3", clip.node, clip.title);
    const row = make("div", clip.node);
    for (const film of clip.films) {
      const figure = make("figure", row);
      figure.className = film.style;
      film.canvas = canvasFor(clip, figure, 128);
      make("figcaption", figure, film.name);
    }
  }

  function show() {
    const at = Number(slider.value);
    told.textContent = at < 0 ? "context" : `${at + 1} frames ahead`;
    for (const clip of clips) {
      const index = Math.min(Math.max(clip.lead + at, 0), clip.length - 1);
      clip.node.classList.toggle("imagining", at >= 0);
      for (const film of clip.films) tile(film.canvas, clip, film, index);
    }
  }
  let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  function label() { button.textContent = playing ? "Pause" : "Play"; }
  button.addEventListener("click", () => { playing = !playing; label(); });
  slider.addEventListener("input", () => { playing = false; label(); show(); });
  setInterval(() => {
    if (!playing) return;
    slider.value = slider.value === slider.max ? slider.min : Number(slider.value) + 1;
    show();
  }, 100);
  label();
  show();

  const sheet = make("div", section);
  sheet.className = "sheet";
  for (const clip of clips) {
    make("h3", sheet, clip.title);
    const table = make("table", sheet);
    const columns = SHOWN.filter((ahead) => ahead <= clip.length - clip.lead);
    const head = make("tr", make("thead", table));
    make("th", head);
    for (const ahead of columns) make("th", head, ahead);
    const body = make("tbody", table);
    for (const film of clip.films) {
      const row = make("tr", body);
      const name = make("th", row, film.name);
      name.className = film.style;
      for (const ahead of columns) {
        const canvas = canvasFor(clip, make("td", row), 64);
        film.tiles.push(() => tile(canvas, clip, film, clip.lead + ahead - 1));
      }
    }
  }
}

const section = document.getElementById("films");
if (section) films(section);
