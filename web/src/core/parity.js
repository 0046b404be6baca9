/** A message in its symbols with parity: docs/FORMAT.md, sections 4.1 and 4.2. */
import {shake128} from '@noble/hashes/sha3.js';
import {ascii, crc32, view} from './bytes.js';
import {SteganoError} from './errors.js';
import {correct} from './reed_solomon.js';

const TURNS = 20;

/** @typedef {{segment: number, length: number, crc: number, checks: number, depth: number}} Label */

/** The label in 24 bytes, or null. @param {Uint8Array} data @returns {Label | null} */
export function readLabel(data) {
  const label = data.slice(0, 24);
  if (label.length < 24 || correct(label, 16, 8, 4) < 0) return null;
  const fields = view(label);
  const [checks, depth] = [label[12], label[13]];
  if (label[14] || label[15] || (depth !== 4 && depth !== 8) || checks > 64) return null;
  const [segment, length, crc] = [0, 4, 8].map((at) => fields.getUint32(at, true));
  return length ? {segment, length, crc, checks, depth} : null;
}

/** @param {Label} label */
export function sizes({length, checks}) {
  const kept = 255 - checks;
  const blocks = Math.ceil(length / kept ** 2);
  const rows = Math.ceil(length / (kept * blocks));
  return {kept, blocks, rows, symbols: (rows + checks) * 255 * blocks};
}

/** The order that sorts 32-bit numbers, stably: by their lower halves, and then by their upper ones. */
export function order(words) {
  let [from, to] = [Uint32Array.from(words.keys()), new Uint32Array(words.length)];
  for (const shift of [0, 16]) {
    const starts = new Uint32Array(65537);
    for (const word of words) starts[((word >>> shift) & 0xffff) + 1]++;
    for (let i = 0; i < 65536; i++) starts[i + 1] += starts[i];
    for (const index of from) to[starts[(words[index] >>> shift) & 0xffff]++] = index;
    [from, to] = [to, from];
  }
  return from;
}

/**
 * The message, corrected.
 * @param {Uint8Array} symbols in the order in which they are sent @param {Label} label
 * @returns {{message: Uint8Array, corrected: number}}
 */
export function decode(symbols, label) {
  const {length, crc, checks} = label;
  const {kept, blocks, rows} = sizes(label);
  const cells = (rows + checks) * 255;
  const words = shake128(ascii('stegano_tf parity 1'), {dkLen: 4 * cells});
  const places = order(new Uint32Array(words.buffer, words.byteOffset, cells));
  const cube = new Uint8Array(cells * blocks);
  places.forEach((cell, i) => cube.set(symbols.subarray(i * blocks, (i + 1) * blocks), cell * blocks));
  let corrected = 0;

  const line = (start, step, message, limit) => {
    const word = new Uint8Array(message + checks);
    for (let i = 0; i < word.length; i++) word[i] = cube[start + i * step];
    const wrong = correct(word, message, checks, limit);
    if (wrong > 0) for (let i = 0; i < word.length; i++) cube[start + i * step] = word[i];
    corrected += Math.max(0, wrong);
    return wrong > 0;
  };

  for (let turn = 0; turn < TURNS; turn++) {
    const message = new Uint8Array(length);
    for (let row = 0, at = 0; at < length; row++) {
      const part = cube.subarray(row * 255 * blocks, (row * 255 + kept) * blocks);
      message.set(part.subarray(0, length - at), at);
      at += part.length;
    }
    if (crc32(message) === crc) return {message, corrected};
    // In the first turn fewer, since a word that is beyond repair may look like another one.
    const limit = (checks >> 1) - Number(turn === 0);
    let changed = false;
    for (let block = 0; block < blocks; block++) {
      for (let row = 0; row < rows + checks; row++) {
        changed = line(row * 255 * blocks + block, blocks, kept, limit) || changed;
      }
      for (let column = 0; column < 255; column++) {
        changed = line(column * blocks + block, 255 * blocks, rows, limit) || changed;
      }
    }
    if (turn && !changed) break;
  }
  throw new SteganoError('is damaged beyond repair');
}
