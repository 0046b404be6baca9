/** Sounds: their samples, whatever the file's depth, and WAV files read and written by hand. */
import {ascii, roundHalfEven, startsWith, view} from './bytes.js';
import {SteganoError} from './errors.js';

const [PCM, FLOAT, EXTENSIBLE] = [1, 3, 0xfffe];
const LONGEST = 0xffffffff - 44;

/**
 * Samples of one depth, the channels of a frame one after the other.
 *
 * Integers of 8, 16, 24 or 32 bits, or floats; all channels must fit into memory.
 */
export class Sound {
  /**
   * @param {Int16Array | Int32Array | Float32Array | Float64Array} samples
   * @param {{channels: number, rate: number, depth: number}} facts  depth in bits; 0 for floats
   */
  constructor(samples, {channels, rate, depth}) {
    Object.assign(this, {samples, channels, rate, depth});
    this.frames = Math.floor(samples.length / channels);
  }

  /** One channel in 16 bits: more bits are cut off, floats are rounded and saturated. @returns {Int16Array} */
  channel(number) {
    const {samples, channels, depth, frames} = this;
    const shift = depth - 16;
    const of = {
      true: (value) => Math.max(-32768, Math.min(32767, roundHalfEven(32768 * value))),
      false: shift < 0 ? (value) => value << -shift : (value) => value >> shift,
    }[depth === 0];
    const channel = new Int16Array(frames);
    for (let i = 0, at = number; i < frames; i++, at += channels) channel[i] = of(samples[at]);
    return channel;
  }

  /** All samples without low bits that are 0 in every one of them; null if they are no integers of 8 to 24 bits. */
  integers() {
    const {samples, depth} = this;
    const whole = depth ? Int32Array.from(samples, (value) => value << (32 - depth)) : this.#fromFloats();
    const used = whole.reduce((bits, value) => bits | value, 0);
    const empty = used ? 31 - Math.clz32(used & -used) : 32;
    return empty >= 8 && empty < 24 ? whole.map((value) => value >> empty) : null;
  }

  #fromFloats() {
    const whole = new Int32Array(this.samples.length);
    for (let i = 0; i < whole.length; i++) {
      const value = this.samples[i] * 2 ** 31;
      if (!Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 31) return Int32Array.of(1);
      whole[i] = value;
    }
    return whole;
  }
}

/** The upper bytes of samples: docs/FORMAT.md, section 1. @param {Int16Array} samples */
export function toBytes(samples) {
  const bytes = new Uint8Array(samples.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (samples[i] >> 8) + 128;
  return bytes;
}

/** Samples in the middle of the levels of bytes. @param {Uint8Array} bytes */
export function fromBytes(bytes) {
  const samples = new Int16Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) samples[i] = 256 * bytes[i] + 128 - 32768;
  return samples;
}

/** Whether bytes are the start of a WAV file. @param {Uint8Array} file */
export const isWav = (file) => startsWith(file, ascii('RIFF')) && startsWith(file.subarray(8), ascii('WAVE'));

/** @param {Uint8Array} file @returns {Sound} */
export function readWav(file) {
  const data = view(file);
  let format = null;
  for (let at = 12; at + 8 <= file.length; ) {
    const name = String.fromCharCode(...file.subarray(at, at + 4));
    const size = data.getUint32(at + 4, true);
    at += 8;
    if (name === 'fmt ' && at + 16 <= file.length) {
      const code = data.getUint16(at, true);
      format = {
        code: code === EXTENSIBLE && size >= 26 ? data.getUint16(at + 24, true) : code,
        channels: data.getUint16(at + 2, true),
        rate: data.getUint32(at + 4, true),
        depth: data.getUint16(at + 14, true),
      };
    }
    if (name === 'data' && format) return samplesOf(file, at, Math.min(size, file.length - at), format);
    at += size + (size & 1);
  }
  throw new SteganoError('is not a sound file or not whole (it has no samples); expected WAV or FLAC');
}

function samplesOf(file, start, size, {code, channels, rate, depth}) {
  const read = {
    [`${PCM} 8`]: (data, at) => data.getUint8(at) - 128,
    [`${PCM} 16`]: (data, at) => data.getInt16(at, true),
    [`${PCM} 24`]: (data, at) => (data.getInt8(at + 2) << 16) | data.getUint16(at, true),
    [`${PCM} 32`]: (data, at) => data.getInt32(at, true),
    [`${FLOAT} 32`]: (data, at) => data.getFloat32(at, true),
    [`${FLOAT} 64`]: (data, at) => data.getFloat64(at, true),
  }[`${code} ${depth}`];
  if (!read || !channels) {
    throw new SteganoError(`is a WAV file of kind ${code} and ${depth} bits, expected PCM or float`);
  }
  const step = depth / 8;
  const count = Math.floor(size / (step * channels)) * channels;
  const samples = code === FLOAT ? new Float64Array(count) : new (depth > 16 ? Int32Array : Int16Array)(count);
  const data = new DataView(file.buffer, file.byteOffset + start, count * step);
  for (let i = 0, at = 0; i < count; i++, at += step) samples[i] = read(data, at);
  return new Sound(samples, {channels, rate, depth: code === PCM ? depth : 0});
}

/**
 * A WAV file of integers, as libsndfile writes it for the command: a plain header of 44 bytes for 16 bits.
 * @param {Int16Array | Int32Array} samples @returns {Uint8Array}
 */
export function writeWav(samples, {channels = 1, rate = 44100, depth = 16} = {}) {
  const width = depth / 8;
  const size = samples.length * width;
  if (size > LONGEST) throw new SteganoError('the sound is longer than a WAV file can be; the command writes it as .rf64');
  const file = new Uint8Array(44 + size + (size & 1));
  const fields = view(file);
  file.set(ascii('RIFF'));
  fields.setUint32(4, file.length - 8, true);
  file.set(ascii('WAVEfmt '), 8);
  fields.setUint32(16, 16, true);
  fields.setUint16(20, PCM, true);
  fields.setUint16(22, channels, true);
  fields.setUint32(24, rate, true);
  fields.setUint32(28, rate * channels * width, true);
  fields.setUint16(32, channels * width, true);
  fields.setUint16(34, depth, true);
  file.set(ascii('data'), 36);
  fields.setUint32(40, size, true);
  for (let i = 0, at = 44; i < samples.length; i++) {
    for (let shift = 0; shift < depth; shift += 8) file[at++] = samples[i] >> shift;
  }
  return file;
}
