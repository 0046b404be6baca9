/** Bytes and numbers: hexadecimal, CRC-32, comparing, joining, rounding. */

const CRC = Uint32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** @param {Uint8Array} data @returns {number} the CRC-32 that zlib computes */
export function crc32(data) {
  let crc = ~0;
  for (let i = 0; i < data.length; i++) crc = CRC[(crc ^ data[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** @param {Uint8Array} data @returns {Promise<Uint8Array>} the 32 bytes of the SHA-256 */
export const sha256 = async (data) => new Uint8Array(await crypto.subtle.digest('SHA-256', data));

/** @param {ArrayLike<number>} data */
export const hex = (data, separator = '') =>
  Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join(separator);

/** @param {string} text */
export const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** @param {string} text of ASCII */
export const ascii = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Whether `data` starts with `head`. @param {ArrayLike<number>} data @param {ArrayLike<number>} head */
export const startsWith = (data, head) =>
  data.length >= head.length && Array.prototype.every.call(head, (byte, i) => data[i] === byte);

/** @param {ArrayLike<number>} first @param {ArrayLike<number>} second */
export const equal = (first, second) => first.length === second.length && startsWith(first, second);

/** @param {Uint8Array[]} parts */
export function join(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {Uint8Array} data */
export const view = (data) => new DataView(data.buffer, data.byteOffset, data.byteLength);

/** As numpy's rint. @param {number} value */
export function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** A number as the command writes it: 1,234. @param {number | bigint} number */
export const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ',');

/** Bytes as Python writes them in messages: b'BM\x00'. @param {ArrayLike<number>} data */
export const literal = (data) =>
  `b'${Array.from(data, (byte) => {
    const named = {9: '\\t', 10: '\\n', 13: '\\r', 39: "\\'", 92: '\\\\'}[byte];
    return named ?? (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${hex([byte])}`);
  }).join('')}'`;
