/** The frame around a payload, version 1: docs/FORMAT.md, section 2. */
import {ascii, crc32, equal, grouped, hex, join, sha256, startsWith, view} from './bytes.js';
import {SteganoError} from './errors.js';

export const MAGIC = ascii('\x89STGTF\r\n');
const HEADER = 40;
const DIGEST = 32;
export const OVERHEAD = HEADER + DIGEST;

/**
 * @typedef {object} Frame
 * @property {Uint8Array} payload
 * @property {boolean} [sealed] whether the payload is an age file
 * @property {[number, number] | null} [secretSize] height and width before the secret was resized
 * @property {string | null} [network] 16 hexadecimal digits that name the weights
 */

/** @param {Frame} frame */
export async function encode({payload, sealed = false, secretSize = null, network = null}) {
  const header = new Uint8Array(HEADER);
  const fields = view(header);
  header.set(MAGIC);
  header[8] = 1;
  header[9] = Number(sealed);
  fields.setUint16(10, HEADER, true);
  fields.setBigUint64(12, BigInt(payload.length), true);
  fields.setUint32(20, secretSize?.[0] ?? 0, true);
  fields.setUint32(24, secretSize?.[1] ?? 0, true);
  if (network) fields.setBigUint64(28, BigInt(`0x${network}`));
  fields.setUint32(36, crc32(header.subarray(0, 36)), true);
  return join(header, payload, await sha256(payload));
}

/** @param {Uint8Array} data @returns {Promise<Required<Frame> & {after: number}>} */
export async function decode(data) {
  if (data.length < HEADER) {
    throw new SteganoError(`the frame header is cut short: ${data.length} bytes, expected ${HEADER}`);
  }
  if (!startsWith(data, MAGIC)) {
    throw new SteganoError(`the frame starts with ${hex(data.subarray(0, 8), ' ')}, expected ${hex(MAGIC, ' ')}`);
  }
  const fields = view(data);
  if (data[8] !== 1) {
    throw new SteganoError(`the frame is of version ${data[8]}, expected 1; a newer release may read it`);
  }
  if (data[9] > 1) {
    throw new SteganoError(`the frame has unknown flags 0x${hex([data[9]])}; a newer release may read it`);
  }
  const found = crc32(data.subarray(0, 36));
  const stated = fields.getUint32(36, true);
  if (found !== stated) {
    const [now, then] = [found, stated].map((crc) => crc.toString(16).padStart(8, '0'));
    throw new SteganoError(`the frame header is damaged: CRC-32 ${now}, expected ${then}`);
  }
  const length = fields.getUint16(10, true);
  if (length !== HEADER) {
    throw new SteganoError(`the frame header states a length of ${length} bytes, expected ${HEADER}`);
  }
  const [height, width] = [20, 24].map((at) => fields.getUint32(at, true));
  if (!height !== !width) throw new SteganoError(`the frame records a secret of ${width} x ${height} pixels`);
  const end = fields.getBigUint64(12, true) + BigInt(OVERHEAD);
  if (end > BigInt(data.length)) {
    const there = `its header announces ${grouped(end)}, ${grouped(data.length)} are there`;
    throw new SteganoError(`is cut short: ${grouped(end - BigInt(data.length))} samples are missing; ${there}`);
  }
  const payload = data.subarray(HEADER, Number(end) - DIGEST);
  const digest = await sha256(payload);
  const expected = data.subarray(Number(end) - DIGEST, Number(end));
  if (!equal(digest, expected)) {
    const [now, then] = [digest, expected].map((bytes) => hex(bytes).slice(0, 16));
    throw new SteganoError(`is damaged: the payload's SHA-256 is ${now}…, expected ${then}…`);
  }
  const network = hex(data.subarray(28, 36));
  return {
    payload,
    sealed: data[9] === 1,
    secretSize: height ? [height, width] : null,
    network: /[^0]/.test(network) ? network : null,
    after: data.length - Number(end),
  };
}
