/** The form with marks and parity: docs/FORMAT.md, sections 4.3 and 4.4. */
import {SteganoError} from '../errors.js';
import {decode, readLabel, sizes} from '../parity.js';

const [MARK, SIGN, SEGMENT] = [80, 32, 4016];
const SIGNS = Float64Array.from(0x9ab7b058.toString(2).padStart(SIGN, '0'), (bit) => (bit === '1' ? 1 : -1));
const CLOSE = 0.8; // the least correlation of a mark
const CHANNELS = 8;

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
const clip = (value, most) => Math.max(0, Math.min(most, Math.round(value)));

/** Four bits each to bytes. */
const packed = (nibbles) =>
  Uint8Array.from({length: nibbles.length >> 1}, (_, i) => 16 * nibbles[2 * i] + nibbles[2 * i + 1]);

/** The mark at a place: gain, offset and label; null if there is none. */
function markAt(samples, place) {
  const signs = samples.subarray(place, place + SIGN);
  const level = (sign) => median(signs.filter((_, i) => SIGNS[i] === sign));
  const [high, low] = [level(1), level(-1)];
  const [height, offset] = [(high - low) / 2, (high + low) / 2];
  if (!height) return null;
  const label = readLabel(
    packed(
      Array.from(samples.subarray(place + SIGN, place + MARK), (sample) =>
        clip((((sample - offset) / height) * 15 + 15) / 2, 15),
      ),
    ),
  );
  return label && {place, height, offset, label};
}

/** All marks of a channel. @param {Int16Array} samples */
function marks(samples) {
  const found = [];
  let [sum, squares] = [0, 0];
  for (let i = 0; i < Math.min(SIGN, samples.length); i++) {
    sum += samples[i];
    squares += samples[i] ** 2;
  }
  for (let place = 0; place + MARK <= samples.length; place++) {
    const power = squares - sum ** 2 / SIGN;
    if (power > 0) {
      let product = 0;
      for (let i = 0; i < SIGN; i++) product += samples[place + i] * SIGNS[i];
      // The signs are as many + as -: the mean does not count.
      const mark = product ** 2 > CLOSE ** 2 * SIGN * power && markAt(samples, place);
      if (mark) found.push(mark);
    }
    const [gone, next] = [samples[place], samples[place + SIGN] ?? 0];
    sum += next - gone;
    squares += next ** 2 - gone ** 2;
  }
  return found;
}

/** The message that the marks of a channel belong to. */
function read(samples, found) {
  const {label} = found[0];
  const deep = label.depth === 8;
  const {symbols: count} = sizes(label);
  const total = deep ? count : 2 * count;
  const segments = Math.ceil(total / SEGMENT);
  const starts = new Map(found.map((mark) => [mark.label.segment, mark.place]));
  const gain = median(found.map((mark) => mark.height)) / (deep ? 32640 : 15360);
  const offset = median(found.map((mark) => mark.offset));
  const known = [...starts.keys()].sort((a, b) => a - b);
  const symbols = new Uint8Array(total);
  for (let segment = 0; segment < segments; segment++) {
    const nearest = known.reduce((best, other) =>
      Math.abs(other - segment) < Math.abs(best - segment) ? other : best,
    );
    const length = Math.min(SEGMENT, total - segment * SEGMENT);
    const place = starts.get(nearest);
    const start = nearest === segments ? place - length - MARK : place + (SEGMENT + MARK) * (segment - nearest);
    const first = Math.max(0, start + MARK);
    samples.subarray(first, Math.max(first, start + MARK + length)).forEach((sample, i) => {
      const value = (sample - offset) / gain;
      symbols[segment * SEGMENT + i] = deep ? clip((value + 32640) / 256, 255) : clip((value / 1024 + 15) / 2, 15);
    });
  }
  return decode(deep ? symbols : packed(symbols), label);
}

/** Looks for marks in all channels. @param {import('../sound.js').Sound} sound */
export function search(sound) {
  let error = null;
  for (let number = 0; number < Math.min(sound.channels, CHANNELS); number++) {
    const samples = sound.channel(number);
    const found = marks(samples);
    if (!found.length) continue;
    try {
      const {message, corrected} = read(samples, found);
      return {form: 'marked', message, damage: corrected ? `${corrected} symbols corrected` : ''};
    } catch (reason) {
      if (!(reason instanceof SteganoError)) throw reason;
      error ??= reason;
    }
  }
  if (error) throw error;
  return null;
}

/** Whether a channel starts with a mark. @param {Int16Array} samples */
export const startsWithMark = (samples) => samples.length >= MARK && markAt(samples, 0)?.label.segment === 0;
