/**
 * The modem's form in sounds as they were written, without noise: docs/FORMAT.md, section 7.
 *
 * There every bit is certain, so that the LDPC code needs no decoding. Sounds that went through a codec, or were
 * resampled, are left to the command.
 */
import {shake128} from '@noble/hashes/sha3.js';
import {ascii, crc32, view} from '../bytes.js';
import {fft} from '../fft.js';
import {order} from '../parity.js';

const [FIRST, BODY, GUARD, SYMBOLS] = [26, 4096, 256, 12]; // the first carrier; samples and symbols at 48 kHz
const CLOSE = 0.9; // the least correlation of a known symbol
const SLACK = 8; // samples of a symbol that may be zeros by chance

// Last carrier, bits of a carrier, codewords of a segment, base graph, lifting size, 48 kHz over the rate.
const PROFILES = {
  hifi: [1279, 6, 5, 1, 384, 1],
  music: [1023, 4, 3, 1, 384, 1],
  wide: [1023, 4, 2, 1, 384, 1],
  narrow: [290, 4, 1, 1, 192, 2],
  robust: [290, 2, 1, 2, 192, 2],
};
// The first two rows of 3GPP TS 38.212, tables 5.3.2-2 and 5.3.2-3, set index 1: column and shift, by base graph.
const ROWS = {
  1: [
    '0:307 1:19 2:50 3:369 5:181 6:216 9:317 10:288 11:109 12:17 13:357 15:215 16:106 18:242 19:180 20:330 21:346 22:1 23:0',
    '0:76 2:76 3:73 4:288 5:144 7:331 8:331 9:178 11:295 12:342 14:217 15:99 16:354 17:114 19:331 21:112 22:0 23:0 24:0',
  ],
  2: ['0:174 1:97 2:166 3:66 6:71 9:172 10:0 11:0', '0:27 3:36 4:48 5:92 6:31 7:187 8:185 9:3 11:0 12:0'],
};
const MESSAGE_COLUMNS = {1: 22, 2: 10};

const known = (profile, purpose, count) => shake128(ascii(`stegano_tf modem 1 ${profile} ${purpose}`), {dkLen: count});

/** @param {Int16Array[]} channels */
export function search(channels) {
  for (const samples of channels) {
    const first = samples.findIndex((sample) => sample !== 0);
    if (first < 0) continue;
    for (const profile of Object.keys(PROFILES)) {
      const message = read(samples, first, profile);
      if (message) return {form: 'modem', message};
    }
  }
  return null;
}

function read(samples, first, profile) {
  const [last, bits, words, graph, lift, step] = PROFILES[profile];
  const [body, guard] = [BODY / step, GUARD / step];
  const sync = Float64Array.from(known(profile, 'sync', last - 25), (byte) => (Math.PI * (2 * (byte & 3) + 1)) / 4);
  const start = Array.from({length: SLACK}, (_, back) => first - back).find((place) => {
    const [re, im] = carriers(samples, place + guard, body, last);
    let [along, across, power] = [0, 0, 0];
    sync.forEach((phase, k) => {
      along += re[k] * Math.cos(phase) + im[k] * Math.sin(phase);
      across += im[k] * Math.cos(phase) - re[k] * Math.sin(phase);
      power += re[k] ** 2 + im[k] ** 2;
    });
    return Math.hypot(along, across) > CLOSE * Math.sqrt(power * sync.length);
  });
  if (start === undefined) return null;
  const room = 11 * sync.length * bits;
  const numbers = known(profile, 'order', 4 * room);
  const places = order(new Uint32Array(numbers.buffer, numbers.byteOffset, room));
  const mask = known(profile, 'mask', Math.ceil(room / 8));
  const blocks = new Map();
  const length = SYMBOLS * (body + guard);
  for (let at = start; at + length <= samples.length; at += length) {
    const sent = segment(samples, at, {body, guard, last, bits, sync});
    for (let n = 0; n < room; n++) sent[n] ^= (mask[n >> 3] >> (7 - (n & 7))) & 1;
    for (let word = 0; word < words; word++) {
      const codeword = new Uint8Array(Math.floor(room / words));
      for (let i = 0; i < codeword.length; i++) codeword[i] = sent[places[i * words + word]];
      keep(blocks, packed(firstBits(codeword, graph, lift)));
    }
  }
  return [...blocks.values()].map(joined).find(Boolean) ?? null;
}

/** Real and imaginary parts of the carriers of a symbol. */
function carriers(samples, start, body, last) {
  const real = Float64Array.from({length: body}, (_, i) => samples[start + i] ?? 0);
  const imaginary = new Float64Array(body);
  fft(real, imaginary);
  return [real.subarray(FIRST, last + 1), imaginary.subarray(FIRST, last + 1)];
}

/** The bits of a segment's carriers, symbol by symbol, as they were sent. */
function segment(samples, at, {body, guard, last, bits, sync}) {
  const half = bits / 2;
  const levels = 2 ** half;
  const scale = Math.sqrt((2 * (4 ** half - 1)) / 3);
  const sent = new Uint8Array(11 * sync.length * bits);
  const [first, second] = carriers(samples, at + guard, body, last);
  let to = 0;
  for (let symbol = 1; symbol < SYMBOLS; symbol++) {
    const [re, im] = carriers(samples, at + symbol * (body + guard) + guard, body, last);
    sync.forEach((phase, k) => {
      // Divided by the channel: what came of the known symbol over what it was.
      const power = first[k] ** 2 + second[k] ** 2;
      const [a, b] = [(re[k] * first[k] + im[k] * second[k]) / power, (im[k] * first[k] - re[k] * second[k]) / power];
      const [cosine, sine] = [Math.cos(phase), Math.sin(phase)];
      for (const part of [a * cosine - b * sine, a * sine + b * cosine]) {
        const number = Math.max(0, Math.min(levels - 1, Math.round((part * scale + levels - 1) / 2)));
        const gray = number ^ (number >> 1);
        for (let bit = half - 1; bit >= 0; bit--) sent[to++] = (gray >> bit) & 1;
      }
    });
  }
  return sent;
}

/** The message bits of a codeword, of which the first 2 * lift, which are not sent, are put in again. */
function firstBits(codeword, graph, lift) {
  const count = Math.floor((2 * lift + codeword.length) / lift);
  const columns = new Uint8Array(count * lift);
  columns.set(codeword.subarray(0, (count - 2) * lift), 2 * lift);
  const rows = ROWS[graph].map((row) => row.split(' ').map((entry) => entry.split(':').map(Number)));
  // The second row has column 0 and not 1; the first one has both.
  for (const [column, row] of [[0, rows[1]], [1, rows[0]]]) {
    const sum = new Uint8Array(lift);
    for (const [other, shift] of row) {
      if (other === column) continue;
      for (let i = 0; i < lift; i++) sum[i] ^= columns[other * lift + ((i + shift) % lift)];
    }
    const [, shift] = row.find(([other]) => other === column);
    for (let i = 0; i < lift; i++) columns[column * lift + ((i + shift) % lift)] = sum[i];
  }
  return columns.subarray(0, MESSAGE_COLUMNS[graph] * lift);
}

const packed = (bits) =>
  Uint8Array.from({length: bits.length >> 3}, (_, i) =>
    bits.subarray(8 * i, 8 * i + 8).reduce((byte, bit) => (byte << 1) | bit, 0),
  );

/** Keeps a block with the others of its message, if it arrived whole. */
function keep(blocks, block) {
  const fields = view(block);
  if (crc32(block.subarray(0, -4)) !== fields.getUint32(block.length - 4, true)) return;
  const [length, crc] = [0, 4].map((at) => fields.getUint32(at, true));
  const name = `${length} ${crc}`;
  if (!blocks.has(name)) blocks.set(name, {length, crc, parts: new Map()});
  blocks.get(name).parts.set(fields.getUint16(8, true), block.slice(10, -4));
}

/** A message whose blocks of data are all there, or null. */
function joined({length, crc, parts}) {
  const [{length: size}] = parts.values();
  const message = new Uint8Array(Math.max(1, Math.ceil(length / size)) * size);
  for (let at = 0, index = 0; at < message.length; at += size, index++) {
    if (!parts.has(index)) return null;
    message.set(parts.get(index), at);
  }
  const whole = message.subarray(0, length);
  return crc32(whole) === crc ? whole : null;
}
