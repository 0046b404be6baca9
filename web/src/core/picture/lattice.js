/** The way `capacity`: bytes in the samples of a picture by the lattice E8. docs/FORMAT.md, sections 8.5 to 8.7. */
import {shake256} from '@noble/hashes/sha3.js';
import {ascii, equal, grouped, join, view} from '../bytes.js';
import {SteganoError} from '../errors.js';
import {order} from '../parity.js';
import {GROUP, TAG, masked, part, saltGroups, tag} from './keys.js';

const [DEPTHS, HEADER, HEADER_DEPTH, HEADER_GROUPS] = [4, 16, 2, 7];
const [LANES, LANE] = [16, 64]; // lanes at most; groups in one at least, if there are two
const NO_LANE = 255;

const WORDS = Array.from({length: 16}, (_, number) => {
  const [a, b, c, e] = [3, 2, 1, 0].map((bit) => (number >> bit) & 1);
  return Uint8Array.of(a, b, c, e, b ^ c ^ e, a ^ c ^ e, a ^ b ^ e, a ^ b ^ c);
});

const bitsOf = (depth) => (depth < 0 ? 0 : 8 * depth + 4);

/** How many bytes one message has at most, at so many bits a sample. @param {number} samples of the picture */
export function room(samples, rate = 3.5) {
  const groups = Math.floor(samples / GROUP) - saltGroups(samples).length - HEADER_GROUPS;
  return Math.max(0, Math.floor(groups * rate - TAG));
}

function words(seed, count) {
  const bytes = shake256(seed, {dkLen: 4 * count});
  return new Uint32Array(bytes.buffer, bytes.byteOffset, count);
}

/** The lane of each group: `of` has a number for each, NO_LANE for the salt's. */
function lanes(samples) {
  const of = new Uint8Array(Math.floor(samples / GROUP));
  const salt = saltGroups(samples);
  for (const group of salt) of[group] = NO_LANE;
  const free = new Uint32Array(of.length - salt.length);
  for (let group = 0, to = 0; group < of.length; group++) if (of[group] !== NO_LANE) free[to++] = group;
  const count = Math.max(1, Math.min(LANES, Math.floor(free.length / LANE)));
  order(words(ascii('stegano_tf picture 1 lanes'), free.length)).forEach((place, i) => (of[free[place]] = i % count));
  return {of, count};
}

/** The groups of a message's lanes, in the order of their words: those of its header, and then the others. */
function places({of}, start, share, words) {
  const inOrder = (share, without) => {
    const groups = new Uint32Array(of.length);
    let count = 0;
    for (let group = 0; group < of.length; group++) {
      if (of[group] >= start && of[group] < start + share && !without.has(group)) groups[count++] = group;
    }
    return order(groups.subarray(0, count).map((group) => words[group])).map((i) => groups[i]);
  };
  const head = inOrder(1, new Set()).subarray(0, HEADER_GROUPS);
  return {head, rest: () => inOrder(share, new Set(head))};
}

/** Which groups carry which bytes at which depth: the deeper ones, in whole eights of them, go first. */
function pieces(places, size) {
  let depth = 0;
  while (bitsOf(depth) * places.length < 8 * size) depth++;
  const [low, high] = [bitsOf(depth - 1), bitsOf(depth)];
  const least = Math.ceil(Math.max(0, 8 * size - low * places.length) / (high - low));
  const deep = Math.min(places.length, Math.ceil(least / 8) * 8);
  const end = Math.min(size, Math.floor((deep * high) / 8));
  const found = [{groups: places.subarray(0, deep), depth, start: 0, stop: end}];
  if (end < size) {
    const rest = Math.ceil((8 * (size - end)) / low);
    found.push({groups: places.subarray(deep, deep + rest), depth: depth - 1, start: end, stop: size});
  }
  return found;
}

/** Bits of each sample of a group. */
const widths = (depth) => WORDS[0].map((_, i) => (i < 4 ? depth : depth + 1));

function read(samples, groups, depth, data) {
  const width = widths(depth);
  let [held, have, to] = [0, 0, 0];
  for (const group of groups) {
    const at = GROUP * group;
    let number = 0;
    for (let i = 0; i < 4; i++) number = 2 * number + ((samples[at + i] >> depth) & 1);
    for (let i = 0; i < GROUP; i++) {
      const value = (samples[at + i] - (WORDS[number][i] << depth)) & ((1 << width[i]) - 1);
      held = ((held << width[i]) | value) & 0xffff;
      have += width[i];
      if (have >= 8 && to < data.length) {
        have -= 8;
        data[to++] = held >> have;
      }
    }
  }
  return data;
}

/** The nearest value from 0 to 255 that is congruent to `residue` modulo 2 * half. */
function congruent(sample, residue, half) {
  const found = sample + ((residue - sample + half) & (2 * half - 1)) - half;
  return found < 0 ? found + 2 * half : found > 255 ? found - 2 * half : found;
}

/** Lets groups carry data, followed by bits that are 0. */
function write(samples, groups, depth, data) {
  const width = widths(depth);
  const step = 1 << depth;
  const [even, odd, gain] = [new Int16Array(GROUP), new Int16Array(GROUP), new Int32Array(GROUP)];
  let [held, have, from] = [0, 0, 0];
  for (const group of groups) {
    const at = GROUP * group;
    for (let i = 0; i < GROUP; i++) {
      if (have < width[i]) {
        held = ((held << 8) | (data[from++] ?? 0)) & 0xffff;
        have += 8;
      }
      have -= width[i];
      const residue = (held >> have) & ((1 << width[i]) - 1);
      const sample = samples[at + i];
      even[i] = congruent(sample, residue, step);
      odd[i] = congruent(sample, residue + step, step);
      gain[i] = (odd[i] - sample) ** 2 - (even[i] - sample) ** 2;
    }
    let [best, least] = [WORDS[0], 0];
    for (const word of WORDS) {
      let error = 0;
      for (let i = 0; i < GROUP; i++) error += gain[i] * word[i];
      if (error < least) [best, least] = [word, error];
    }
    for (let i = 0; i < GROUP; i++) samples[at + i] = best[i] ? odd[i] : even[i];
  }
}

/** Lets samples carry one message, in all lanes. @param {Uint8Array} samples @param {Uint8Array} key */
export async function embed(samples, key, message) {
  const most = room(samples.length);
  if (message.length > most) {
    throw new SteganoError(`has room for ${grouped(most)} bytes in one message, expected ${grouped(message.length)}`);
  }
  const all = lanes(samples.length);
  const {head, rest} = places(all, 0, all.count, words(part(key, 'order'), all.of.length));
  const fields = new Uint8Array(5);
  view(fields).setUint32(0, message.length, true);
  fields[4] = all.count;
  const header = join(fields, tag(key, fields).subarray(0, HEADER - 5));
  const data = await masked(key, join(header, message, tag(key, message)));
  write(samples, head, HEADER_DEPTH, data.subarray(0, HEADER));
  const body = data.subarray(HEADER);
  for (const {groups, depth, start, stop} of pieces(rest(), body.length)) {
    write(samples, groups, depth, body.subarray(start, stop));
  }
}

/**
 * The message under a key, null if nothing says that there is one.
 * @param {Uint8Array} samples @param {Uint8Array} key @returns {Promise<Uint8Array | null>}
 */
export async function extract(samples, key) {
  const all = lanes(samples.length);
  const numbers = words(part(key, 'order'), all.of.length);
  const mask = await masked(key, new Uint8Array(HEADER));
  for (let lane = 0; lane < all.count; lane++) {
    const {head} = places(all, lane, 1, numbers);
    const header = read(samples, head, HEADER_DEPTH, new Uint8Array(HEADER)).map((byte, i) => byte ^ mask[i]);
    const share = header[4];
    if (!equal(tag(key, header.subarray(0, 5)).subarray(0, HEADER - 5), header.subarray(5))) continue;
    if (share === 0 || share > all.count - lane) continue;
    return message(samples, key, view(header).getUint32(0, true), places(all, lane, share, numbers).rest());
  }
  return null;
}

async function message(samples, key, size, groups) {
  const length = size + TAG;
  if (8 * length <= bitsOf(DEPTHS - 1) * groups.length) {
    const body = new Uint8Array(HEADER + length);
    for (const {groups: some, depth, start, stop} of pieces(groups, length)) {
      read(samples, some, depth, body.subarray(HEADER + start, HEADER + stop));
    }
    const data = (await masked(key, body)).subarray(HEADER);
    const found = data.slice(0, size);
    if (equal(tag(key, found), data.subarray(size))) return found;
  }
  throw new SteganoError(`holds a message of ${grouped(size)} bytes, but pixels have changed: it is not whole`);
}
