// Keys and buttons: which controls are held, and which are pressed.

export class Hands {
  // onPress(control): pressed just now; onKey(code): any other key, returns true if it was used
  constructor(controls, pad, onPress, onKey) {
    this.held = []; // controls, the latest last
    this.keys = new Map(controls.flatMap(({ keys }, i) => keys.map((key) => [key, i])));
    this.onPress = onPress;
    this.onKey = onKey;
    this.buttons = controls.map((control, i) => this.button(control, i));
    pad.replaceChildren(...this.buttons);
    pad.dataset.count = controls.length;
  }

  get control() {
    return this.held.at(-1) ?? null;
  }

  listen() {
    addEventListener("keydown", (event) => this.down(event));
    addEventListener("keyup", ({ code }) => this.release(this.keys.get(code)));
    addEventListener("blur", () => this.releaseAll());
    document.addEventListener("visibilitychange", () => this.releaseAll());
  }

  down(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (document.querySelector("dialog[open]") || event.target.matches("input, select")) return;
    const onButton = event.target.matches("button");
    if (onButton && (event.code === "Space" || event.code === "Enter")) return;
    const control = this.keys.get(event.code);
    if (control === undefined) {
      if (this.onKey(event.code, event.repeat)) event.preventDefault();
      return;
    }
    event.preventDefault();
    if (!event.repeat) this.press(control);
  }

  press(control) {
    this.held = [...this.held.filter((other) => other !== control), control];
    this.buttons[control].classList.add("held");
    this.onPress(control);
  }

  release(control) {
    if (control === undefined) return;
    this.held = this.held.filter((other) => other !== control);
    this.buttons[control].classList.remove("held");
  }

  releaseAll() {
    this.held.forEach((control) => this.buttons[control].classList.remove("held"));
    this.held = [];
  }

  button({ label, keys }, control) {
    const button = document.createElement("button");
    const icon = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "forward" }[keys[0]];
    button.title = label;
    button.setAttribute("aria-label", label);
    if (icon) button.innerHTML = `<svg><use href="#i-${icon}"/></svg>`;
    else button.textContent = keys[0].replace("Digit", "");
    button.dataset.key = icon ?? "";
    button.onpointerdown = (event) => {
      event.preventDefault(); // no long-press menu, no focus that would swallow Space
      button.setPointerCapture(event.pointerId);
      this.press(control);
    };
    button.onpointerup = button.onpointercancel = () => this.release(control);
    button.oncontextmenu = (event) => event.preventDefault();
    button.onclick = ({ detail }) => {
      if (detail === 0) this.onPress(control); // pressed by keyboard or screen reader
    };
    return button;
  }
}
