// An exported world in ONNX Runtime Web, one row: WebGPU where there is an adapter, else WASM.

import { uniform } from "./noise.js";

const NEXT = "next_"; // what the names of a state's tensors begin with when they come out
const LOADERS = { webgpu: "./ort/ort.webgpu.min.mjs", wasm: "./ort/ort.wasm.min.mjs" };

export async function provider() {
  return (await navigator.gpu?.requestAdapter()) ? "webgpu" : "wasm";
}

export class World {
  // `on`: "webgpu" or "wasm"; `tell(text)` is told what is being loaded
  static async load(on, tell = () => {}) {
    const about = await (await fetch("world.json")).json();
    const ort = await import(LOADERS[on]);
    ort.env.wasm.wasmPaths = new URL("ort/", import.meta.url).href;
    ort.env.wasm.numThreads = 1; // more need headers that static hosts seldom send
    const options = { executionProviders: [on], freeDimensionOverrides: { batch: 1 } };
    const graphs = {};
    for (const [name, file] of Object.entries(about.graphs)) {
      tell(`loading ${file}`);
      graphs[name] = await ort.InferenceSession.create(file, options);
    }
    return new World(about, ort, graphs);
  }

  constructor(about, ort, graphs) {
    Object.assign(this, { about, ort, graphs });
  }

  // The state after a first frame, given as its codes.
  async begin(codes) {
    const shape = [1, this.about.grid, this.about.grid];
    return this.#state(await this.graphs.begin.run({ codes: this.#whole(codes, shape) }));
  }

  // The frame that a state shows: RGB bytes, row by row.
  async decode({ codes }) {
    return (await this.graphs.decode.run({ codes })).frame.data;
  }

  // The noise of a state's next step; null for worlds that use none.
  noise(key, { index }) {
    const shape = this.about.noise;
    return shape && uniform(key, Number(index.data[0]), shape.reduce((a, b) => a * b));
  }

  // Imagine the frame that an action leads to.
  async step(state, action, noise) {
    const given = { ...state, action: this.#whole([action], [1]) };
    if (noise) given.noise = new this.ort.Tensor("float32", noise, [1, ...this.about.noise]);
    const out = await this.graphs.step.run(given);
    const [reward, termination, surprise] = ["reward", "termination", "surprise"].map(
      (name) => out[name].data[0],
    );
    return { state: this.#state(out), frame: out.frame.data, reward, termination, surprise };
  }

  #whole(numbers, shape) {
    return new this.ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), shape);
  }

  #state(out) {
    return Object.fromEntries(this.about.state.map((name) => [name, out[NEXT + name]]));
  }
}
