// Small pictures to choose from: kept moments, and the gallery of starts.

import { drawFrame } from "./draw.js";

const $ = (id) => document.getElementById(id);

function picture(frame, size, label, onClick) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  const name = document.createElement("span");
  drawFrame(canvas, frame, size);
  name.textContent = label;
  button.append(canvas, name);
  button.onclick = onClick;
  item.append(button);
  return [item, button];
}

export function showMoments(moments, frame, size, ask) {
  const items = moments.map(({ number, elapsed, frame: index }) => {
    const jump = () => ask({ type: "jump", moment: number });
    const [item, button] = picture(frame(index), size, String(elapsed), jump);
    button.title = `Back to the moment kept at step ${elapsed}`;
    button.setAttribute("aria-label", button.title);
    const forget = document.createElement("button");
    forget.className = "forget";
    forget.textContent = "×";
    forget.setAttribute("aria-label", `Let go of the moment kept at step ${elapsed}`);
    forget.onclick = () => ask({ type: "forget", moment: number });
    item.append(forget);
    return item;
  });
  if (!items.length) {
    const hint = document.createElement("li");
    hint.className = "hint";
    hint.textContent = "Fork here keeps a moment: come back to it, and walk on another way.";
    items.push(hint);
  }
  $("moments").replaceChildren(...items);
}

export class Gallery {
  constructor(ask) {
    this.ask = ask;
    this.page = 0;
    $("more").onclick = () => this.turn(1);
    $("fewer").onclick = () => this.turn(-1);
    $("close").onclick = () => $("gallery").close();
    $("gallery").onclick = ({ target }) => target === $("gallery") && $("gallery").close();
  }

  open() {
    this.turn(0);
    if (!$("gallery").open) $("gallery").showModal();
  }

  turn(by) {
    const page = (this.page + by + (this.pages ?? 1)) % (this.pages ?? 1);
    this.ask({ type: "starts", page });
  }

  show({ page, pages, starts }, frame, size) {
    [this.page, this.pages] = [page, pages];
    $("page").textContent = `${page + 1} of ${pages}`;
    const items = starts.map(({ start, frame: index }) => {
      const begin = () => {
        this.ask({ type: "begin", start });
        $("gallery").close();
      };
      const [item, button] = picture(frame(index), size, String(start), begin);
      button.setAttribute("aria-label", `Start ${start}`);
      return item;
    });
    $("starts").replaceChildren(...items);
  }
}
