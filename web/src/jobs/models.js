/** The engine and the networks: fetched once, unpacked, given to as many workers as there are cores. */
import {XzReadableStream} from 'xz-decompress';
import {SteganoError} from '../core/errors.js';
import {cut, paste, plan} from '../core/tiles.js';
import {caller} from './calls.js';
import {engine} from './engine.js';

const MOST_WORKERS = 4; // more take memory and win little: most of them would be the second thread of a core

const failed = (file, status) =>
  new SteganoError(`${file} cannot be fetched (${status}); the page needs its server, or one visit that was complete`);

async function get(file) {
  let response;
  try {
    response = await fetch(file);
  } catch (error) {
    throw new SteganoError(failed(file, 'no connection').message, {cause: error});
  }
  if (!response.ok) throw failed(file, response.status);
  return response;
}

/** Fetches and unpacks a file; `report` is told of more bytes that came, and of more that are to come. */
export async function unpacked(file, report = () => {}) {
  const response = await get(file);
  report(0, Number(response.headers.get('Content-Length')));
  const counted = response.body.pipeThrough(
    new TransformStream({
      transform(chunk, out) {
        report(chunk.length, 0);
        out.enqueue(chunk);
      },
    }),
  );
  return new Uint8Array(await new Response(new XzReadableStream(counted)).arrayBuffer());
}

let catalog = null;
let compiled = null;
const networks = new Map();

/** What models.json says: presets by name, and the name of the default. */
export const models = () => (catalog ??= get('models.json').then((response) => response.json()));

/** @param {string} network 16 hexadecimal digits @returns {Promise<string>} the preset's name */
export async function presetOf(network) {
  const {presets} = await models();
  const found = Object.keys(presets).find((name) => presets[name].network === network);
  if (found) return found;
  const known = Object.entries(presets).map(([name, preset]) => `${name} ${preset.network}`);
  const expected = `expected one that is installed (${known.join(', ') || 'none'})`;
  throw new SteganoError(`the secret was hidden by network ${network}, ${expected}`);
}

/** Loads what a preset needs; returns a function that runs its networks on whole pictures. */
export function load(name, report) {
  if (!networks.has(name)) {
    const made = start(name, report);
    networks.set(name, made);
    made.catch(() => networks.delete(name));
  }
  return networks.get(name);
}

async function start(name, report) {
  for (const [other, made] of networks) {
    if (other === name) continue;
    networks.delete(other);
    (await made).close();
  }
  const preset = (await models()).presets[name];
  let [done, total] = [0, 0];
  const count = (came, coming) => report({stage: 'loading', done: (done += came), total: (total += coming)});
  compiled ??= unpacked(`${engine()}.wasm.xz`, count).then((bytes) => WebAssembly.compile(bytes));
  const [module, both] = await Promise.all([compiled, unpacked(preset.file, count)]);
  const files = {hide: both.slice(0, preset.sizes[0]), reveal: both.slice(preset.sizes[0])};
  if (files.reveal.length !== preset.sizes[1]) throw new SteganoError(`${preset.file} is damaged`);
  return new Networks(preset, module, files);
}

class Networks {
  #workers = [];
  #free = [];
  #waiting = [];

  constructor(preset, module, files) {
    Object.assign(this, {preset, module, files});
    this.most = Math.max(1, Math.min(MOST_WORKERS, navigator.hardwareConcurrency ?? 1));
  }

  /** The height and width of what holds the secret: whole blocks of the reveal network only. */
  region(...sides) {
    return sides.map((side) => side - (side % this.preset.multiples[1]));
  }

  /** @returns {Promise<import('../core/bmp.js').Picture>} in the size of the pictures that go in */
  async run(name, pictures, report) {
    const direction = ['hide', 'reveal'].indexOf(name);
    const {halos, multiples, core} = this.preset;
    const [halo, multiple] = [halos[direction], multiples[direction]];
    const [{height, width}] = Object.values(pictures);
    const tiles = plan(height, width, core, halo, multiple);
    const result = {height, width, data: new Uint8Array(3 * height * width)};
    let done = 0;
    await Promise.all(
      tiles.map(async (tile) => {
        const call = await this.#worker();
        const cuts = Object.entries(pictures).map(([key, picture]) => [key, cut(picture, tile, multiple)]);
        const [[, size]] = cuts;
        const feed = Object.fromEntries(cuts.map(([key, {data}]) => [key, data]));
        const buffers = Object.values(feed).map((data) => data.buffer);
        const {height, width} = size;
        const task = {name, pictures: feed, height, width};
        const data = await call('run', task, buffers).finally(() => this.#release(call));
        paste({width, data}, tile, result);
        report({stage: name, done: (done += 1), total: tiles.length});
      }),
    );
    return result;
  }

  async #worker() {
    if (this.#free.length) return this.#free.pop();
    if (this.#workers.length < this.most) {
      const worker = new Worker('network.js');
      this.#workers.push(worker);
      const call = caller(worker);
      await call('load', {module: this.module, script: `${engine()}.js`, networks: this.files});
      return call;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the workers. */
  close() {
    for (const worker of this.#workers) worker.terminate();
  }

  #release(call) {
    const next = this.#waiting.shift();
    if (next) next(call);
    else this.#free.push(call);
  }
}
