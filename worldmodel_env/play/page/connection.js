// One WebSocket, opened again whenever it is lost. Every request is answered by one message.

const TOKEN = "worldmodel.walk";
const OVER = {
  4001: ["This walk went to another tab", "It goes on there.", "Begin another here"],
  4002: ["Nobody walked for a long time", "The walk is kept for some minutes.", "Go on"],
  4003: ["The server does not let us in", "", "Try again"],
};

export class Connection {
  // onMessage(header, frames, payload); onState("open" | "wait" | "over", title, why, button)
  constructor(onMessage, onState) {
    this.onMessage = onMessage;
    this.onState = onState;
    this.waiting = 0; // requests without an answer yet
    this.size = null; // [height, width] of frames
    this.tries = 0;
    this.open();
  }

  open() {
    this.waiting = 0;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/walk`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.send({ type: "hello", token: sessionStorage.getItem(TOKEN) });
    socket.onmessage = ({ data }) => this.receive(data);
    socket.onclose = ({ code }) => this.lost(code);
    this.socket = socket;
  }

  get ready() {
    return this.socket.readyState === WebSocket.OPEN && this.size !== null;
  }

  ask(message) {
    if (this.ready) this.send(message);
    return this.ready;
  }

  send(message) {
    this.waiting += 1;
    this.socket.send(JSON.stringify(message));
  }

  receive(data) {
    this.waiting = Math.max(0, this.waiting - 1);
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const payload = new Uint8Array(data, 4 + length);
    if (header.type === "welcome") {
      this.size = header.size;
      this.tries = 0;
      sessionStorage.setItem(TOKEN, header.token);
      this.onState("open");
    }
    if (header.type === "error" && !this.ready) this.refusal = header.message;
    const [height, width] = this.size ?? [0, 0];
    const bytes = height * width * 3;
    const frame = (i) => payload.subarray(i * bytes, (i + 1) * bytes);
    this.onMessage(header, frame, payload);
  }

  lost(code) {
    this.waiting = 0;
    this.size = null;
    if (code in OVER) {
      const [title, why, button] = OVER[code];
      if (code === 4001) sessionStorage.removeItem(TOKEN);
      this.onState("over", title, this.refusal ?? why, button);
      return;
    }
    this.onState("wait", "Connection lost", "Trying again …");
    this.tries += 1;
    setTimeout(() => this.open(), Math.min(4000, 150 * 2 ** this.tries));
  }
}
