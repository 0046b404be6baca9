/** The form in the low bits of a recording: docs/FORMAT.md, section 5. */
import {shake256} from '@noble/hashes/sha3.js';
import {ascii, grouped, join, startsWith} from '../bytes.js';
import {SteganoError} from '../errors.js';
import {MAGIC} from '../frame.js';
import {decode, order, readLabel, sizes} from '../parity.js';
import {spellings, stretch} from '../passphrase.js';

const [SALT, GROUP, SILENCE, MAX_BITS] = [128, 8, 32, 8];
const [SEGMENT, LABEL] = [4040, 24];
const LOOKED_AT = 5; // segments in front whose labels are looked at
const CLIPPED = 1e-3; // share of samples at full scale from which a recording counts as clipped

const gcd = (a, b) => (b ? gcd(b, a % b) : a);

/** Which samples of a channel lie outside digital silence. */
function loudChannel(samples, channels, number) {
  const frames = samples.length / channels;
  const loud = new Uint8Array(frames).fill(1);
  for (let start = 0; start < frames; start++) {
    let stop = start;
    while (stop < frames && samples[stop * channels + number] === 0) stop++;
    if (stop > start && (stop - start >= SILENCE || start === 0 || stop === frames)) loud.fill(0, start, stop);
    start = stop;
  }
  return loud;
}

/** The places of all samples outside digital silence, frame by frame. @returns {Uint32Array} */
function loudPlaces(samples, channels) {
  const loud = Array.from({length: channels}, (_, number) => loudChannel(samples, channels, number));
  const places = new Uint32Array(samples.length);
  let count = 0;
  for (let at = 0; at < samples.length; at++) if (loud[at % channels][Math.floor(at / channels)]) places[count++] = at;
  return places.subarray(0, count);
}

const key = (passphrase, salt) => stretch(spellings(passphrase)[0], join(ascii('stegano_tf carrier 2'), salt));
const oldKey = (passphrase) => stretch(spellings(passphrase)[0], ascii('stegano_tf carrier 1'), 2 ** 15);

/** Samples in the secret order of a key, in whole groups. */
function shuffled(places, secret, size) {
  const count = Math.floor(places.length / size);
  const words = shake256(secret, {dkLen: 4 * count});
  const groups = order(new Uint32Array(words.buffer, words.byteOffset, count));
  const out = new Uint32Array(count * size);
  groups.forEach((group, i) => out.set(places.subarray(group * size, (group + 1) * size), i * size));
  return out;
}

/** `size` bytes from the low bits of the samples at these places. */
function extract(samples, places, bits, size) {
  const data = new Uint8Array(Math.min(size, Math.floor((places.length * bits) / 8)));
  const mask = (1 << bits) - 1;
  for (let at = 0, held = 0, count = 0, i = 0; at < data.length; i++) {
    held = ((held << bits) | (samples[places[i]] & mask)) & 0xffff;
    count += bits;
    if (count >= 8) {
      count -= 8;
      data[at++] = held >> count;
    }
  }
  return data;
}

/** The message at these places, told by its magic or a label; null if there is none. */
function tryBits(samples, places, bits) {
  const start = extract(samples, places, bits, LOOKED_AT * SEGMENT);
  if (startsWith(start, MAGIC)) return {form: 'carried', message: extract(samples, places, bits, Infinity), bits};
  for (let segment = 0; segment * SEGMENT < start.length; segment++) {
    const label = readLabel(start.subarray(segment * SEGMENT));
    if (label?.segment !== segment) continue;
    const data = extract(samples, places, bits, Infinity);
    const {symbols: count} = sizes(label);
    const symbols = new Uint8Array(count);
    for (let at = 0, from = LABEL; at < count && from < data.length; at += SEGMENT - LABEL, from += SEGMENT) {
      symbols.set(data.subarray(from, from + Math.min(SEGMENT - LABEL, count - at)), at);
    }
    const {message, corrected} = decode(symbols, label);
    return {form: 'carried', message, bits, damage: corrected ? `${corrected} symbols corrected` : ''};
  }
  return null;
}

const all = (count) => Uint32Array.from({length: count}, (_, i) => i);

/** All samples, and if there are several channels those of each. */
function* views(samples, channels) {
  yield [samples, channels];
  if (channels === 1 || channels > 8) return;
  for (let number = 0; number < channels; number++) {
    yield [samples.filter((_, at) => at % channels === number), 1];
  }
}

/** Looks for a message in the low bits. @param {import('../sound.js').Sound} sound @param {string | null} passphrase */
export async function search(sound, passphrase) {
  const integers = sound.integers();
  if (!integers) return null;
  const whole = [...views(integers, sound.channels)];
  for (const [samples, channels] of whole) {
    for (const places of [loudPlaces(samples, channels), all(samples.length)]) {
      for (let bits = 1; bits <= MAX_BITS; bits++) {
        const found = tryBits(samples, places, bits);
        if (found) return found;
      }
    }
  }
  if (!passphrase) return null;
  const old = await oldKey(passphrase);
  for (const [samples, channels] of whole) {
    const loud = loudPlaces(samples, channels);
    if (loud.length > SALT) {
      const salt = extract(samples, loud.subarray(0, SALT), 1, SALT / 8);
      const places = shuffled(loud.subarray(SALT), await key(passphrase, salt), GROUP);
      for (let bits = 1; bits <= MAX_BITS; bits++) {
        const found = tryBits(samples, places, bits);
        if (found) return found;
      }
    }
    for (let bits = 1; bits <= MAX_BITS; bits++) {
      const found = tryBits(samples, shuffled(all(samples.length), old, 8 / gcd(bits, 8)), bits);
      if (found) return found;
    }
  }
  return null;
}

/** Writes bits, highest first, into the low bits of the samples at these places, each changed as little as possible. */
function embed(samples, places, data, bits, depth) {
  const [step, full] = [1 << bits, 2 ** (depth - 1)];
  const count = Math.ceil((8 * data.length) / bits);
  for (let i = 0, held = 0, have = 0, at = 0; i < count; i++) {
    while (have < bits) {
      held = ((held << 8) | (data[at++] ?? 0)) & 0xffff;
      have += 8;
    }
    have -= bits;
    const wanted = (held >> have) & (step - 1);
    const before = samples[places[i]];
    const change = (wanted - before) & (step - 1);
    const down = change > step / 2 || (change === step / 2 && Math.random() < 0.5);
    let after = before + change - (down ? step : 0);
    if (after < -full) after += step;
    if (after >= full) after -= step;
    samples[places[i]] = after;
  }
}

/** Keeps what was loud from becoming silence, by a step that leaves the low bits alone. */
function keepLoud(samples, channels, before, step, full) {
  for (;;) {
    const now = new Uint8Array(samples.length);
    for (const place of loudPlaces(samples, channels)) now[place] = 1;
    const flat = before.filter((place) => !now[place]);
    if (!flat.length) return;
    flat.forEach((place, i) => {
      const sign = Math.random() < 0.5 ? -step : step;
      if (i % 2 === 0) samples[place] = Math.max(-full, Math.min(full - 1, sign));
    });
  }
}

/**
 * A recording that carries a message.
 * @param {import('../sound.js').Sound} sound  of 16 or 24 bits @param {Uint8Array} message
 * @param {string | null} passphrase  hides the order of the samples; the message must be sealed with it
 * @returns {Promise<Int32Array>} its samples
 */
export async function write(sound, message, passphrase) {
  const {channels, depth, rate} = sound;
  if (depth !== 16 && depth !== 24) {
    throw new SteganoError(`has ${depth || 'float'} bits, expected PCM of 16 or 24 bits`);
  }
  const full = 2 ** (depth - 1);
  const clipped = sound.samples.reduce((sum, value) => sum + Number(value >= full - 1 || value <= -full), 0);
  if (clipped > CLIPPED * sound.samples.length) {
    const share = `${((100 * clipped) / sound.samples.length).toFixed(1)}%`;
    throw new SteganoError(`is clipped: ${share} of its samples are at full scale, expected at most 0.1%`);
  }
  const other = (await search(sound, null)) ?? startsLikeMessage(sound);
  if (other) throw new SteganoError('holds a message already, expected one without');
  const used = sound.samples.reduce((bits, value) => bits | value, 0);
  const empty = Math.min(used ? 31 - Math.clz32(used & -used) : 0, depth - 16);
  const samples = Int32Array.from(sound.samples, (value) => value >> empty);
  const loud = loudPlaces(samples, channels);
  const room = passphrase ? Math.floor(Math.max(0, loud.length - SALT) / GROUP) * GROUP : loud.length;
  const bits = Array.from({length: MAX_BITS}, (_, i) => i + 1).find(
    (count) => Math.floor(room / (8 / gcd(count, 8))) * count / gcd(count, 8) >= message.length,
  );
  if (!bits) {
    const lasts = (sound.frames / rate).toFixed(1);
    const least = (Math.ceil(((message.length + loud.length - room) / channels / rate) * 10) / 10).toFixed(1);
    const found = `is too short to carry ${grouped(message.length)} bytes at ${MAX_BITS} bits a sample`;
    throw new SteganoError(`${found}: it lasts ${lasts} s, expected at least ${least} s`);
  }
  if (passphrase) {
    const salt = crypto.getRandomValues(new Uint8Array(SALT / 8));
    embed(samples, loud.subarray(0, SALT), salt, 1, depth - empty);
    embed(samples, shuffled(loud.subarray(SALT), await key(passphrase, salt), GROUP), message, bits, depth - empty);
  } else {
    embed(samples, loud, message, bits, depth - empty);
  }
  keepLoud(samples, channels, loud, 1 << bits, 2 ** (depth - empty - 1));
  return samples.map((value) => value << empty);
}

const startsLikeMessage = (sound) => {
  const heads = Array.from({length: sound.channels}, (_, number) => sound.channel(number).subarray(0, 8));
  return heads.some((head) => {
    const bytes = Uint8Array.from(head, (sample) => (sample >> 8) + 128);
    return startsWith(bytes, MAGIC) || startsWith(bytes, ascii('BM'));
  });
};
