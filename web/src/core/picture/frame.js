/** What a message in a picture is: a file under its name, or a coded picture. docs/FORMAT.md, section 8.1. */
import {equal, join, sha256, view} from '../bytes.js';
import {SteganoError} from '../errors.js';
import {BLANKS} from '../passphrase.js';

const [VERSION, HEADER, LONGEST] = [1, 44, 255]; // LONGEST: bytes of a name
export const [FILE, PICTURE] = [0, 1]; // kinds
const DEVICES = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)/i;

/** @typedef {{data: Uint8Array, name: string, kind: number}} Secret */

/** @param {Secret} secret @returns {Promise<Uint8Array>} */
export async function pack({data, name, kind = FILE}) {
  const body = join(new TextEncoder().encode(safe(name)), data);
  const header = new Uint8Array(HEADER);
  const fields = view(header);
  header.set([VERSION, kind]);
  fields.setUint16(2, body.length - data.length, true);
  fields.setBigUint64(4, BigInt(data.length), true);
  header.set(await sha256(body), 12);
  return join(header, body);
}

/** @param {Uint8Array} frame @returns {Promise<Secret>} whose name is safe */
export async function parse(frame) {
  if (frame.length < HEADER) {
    throw new SteganoError(`holds a message of ${frame.length} bytes, expected at least ${HEADER}`);
  }
  const [version, kind] = frame;
  if (version !== VERSION || kind > PICTURE) {
    const expected = `expected version ${VERSION}, kind 0 or 1: a newer release reads it`;
    throw new SteganoError(`holds a message of version ${version}, kind ${kind}; ${expected}`);
  }
  const start = HEADER + view(frame).getUint16(2, true);
  const stop = start + Number(view(frame).getBigUint64(4, true));
  const digest = await sha256(frame.subarray(HEADER, stop));
  if (stop > frame.length || !equal(digest, frame.subarray(12, HEADER))) {
    throw new SteganoError('holds a message that is damaged: its SHA-256 is wrong');
  }
  const name = new TextDecoder().decode(frame.subarray(HEADER, start));
  return {data: frame.slice(start, stop), name: safe(name), kind};
}

/** A frame with zeros up to a size of which there are few, and up to `most` bytes at most. @param {Uint8Array} frame */
export function padded(frame, most) {
  const bits = (number) => 32 - Math.clz32(number);
  const length = bits(frame.length);
  const step = 2 ** Math.max(0, length - 1 - bits(length - 1));
  const size = Math.max(frame.length, Math.min(Math.ceil(frame.length / step) * step, most));
  const whole = new Uint8Array(size);
  whole.set(frame);
  return whole;
}

/** A file name without folders, control characters and what Windows takes for a device. @param {string} name */
export function safe(name) {
  let kept = name.split(/[/\\]/).at(-1).replace(/[\p{C}\u2028\u2029]/gu, '');
  kept = kept.replace(/[<>:"|?*]/g, '_').normalize('NFC').replace(BLANKS, '').replace(/[. ]+$/, '');
  kept = kept.replace(/^\./, '_').replace(DEVICES, '_$&');
  const dot = kept.lastIndexOf('.');
  const end = dot > 0 && [...kept.slice(dot + 1)].length <= 16 ? kept.slice(dot) : '';
  const room = LONGEST - new TextEncoder().encode(end).length;
  const start = new TextEncoder().encode(kept.slice(0, kept.length - end.length)).subarray(0, room);
  return new TextDecoder().decode(start, {stream: true}) + end || 'secret'; // half a character at the end is left out
}

/** What to call the file that a message becomes: a picture that was coded is a PNG. @param {Secret} secret */
export function fileName({name, kind}) {
  if (kind === FILE) return name;
  const dot = name.lastIndexOf('.');
  return safe(`${dot > 0 ? name.slice(0, dot) : name}.png`);
}
