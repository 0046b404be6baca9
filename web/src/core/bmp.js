/**
 * RGB pixels to BMP bytes and back, as stegano_tf/audio/payloads/bmp.py: 24 bits, no compression, bottom row first.
 * Read are also rows stored top-down, longer headers, a gap before the pixels, and 32 bits a pixel.
 */
import {literal, view} from './bytes.js';
import {SteganoError} from './errors.js';

const HEADER = 54;
const PIXELS_PER_METRE = 2835;

/** @typedef {{height: number, width: number, data: Uint8Array}} Picture  RGB, 3 bytes a pixel, top row first */

/** @param {Picture} picture @returns {Uint8Array} */
export function encode({height, width, data}) {
  const stride = (3 * width + 3) & ~3;
  const file = new Uint8Array(HEADER + stride * height);
  const header = view(file);
  file.set([66, 77]);
  header.setUint32(2, file.length, true);
  header.setUint32(10, HEADER, true);
  header.setUint32(14, 40, true);
  header.setInt32(18, width, true);
  header.setInt32(22, height, true);
  header.setUint16(26, 1, true);
  header.setUint16(28, 24, true);
  header.setUint32(34, stride * height, true);
  header.setInt32(38, PIXELS_PER_METRE, true);
  header.setInt32(42, PIXELS_PER_METRE, true);
  for (let y = 0; y < height; y++) {
    let to = HEADER + (height - 1 - y) * stride;
    for (let from = 3 * width * y; from < 3 * width * (y + 1); from += 3, to += 3) {
      file[to] = data[from + 2];
      file[to + 1] = data[from + 1];
      file[to + 2] = data[from];
    }
  }
  return file;
}

/** @param {Uint8Array} file @returns {Picture} */
export function decode(file) {
  if (file.length < HEADER) throw new SteganoError(`a BMP of ${file.length} bytes, expected at least ${HEADER}`);
  if (file[0] !== 66 || file[1] !== 77) {
    const found = literal(file.subarray(0, 2));
    throw new SteganoError(`the payload starts with ${found}, expected a BMP picture (b'BM')`);
  }
  const header = view(file);
  const [size, offset, info] = [2, 10, 14].map((at) => header.getUint32(at, true));
  const [width, signed] = [18, 22].map((at) => header.getInt32(at, true));
  const [planes, bits] = [26, 28].map((at) => header.getUint16(at, true));
  const compression = header.getUint32(30, true);
  if (info < 40 || offset < 14 + info) {
    throw new SteganoError(`a BMP header of ${info} bytes with pixels at ${offset}, expected at least 40 and 54`);
  }
  if (planes !== 1 || (bits !== 24 && bits !== 32) || compression) {
    const found = `${bits} bits a pixel, compression ${compression}, ${planes} planes`;
    throw new SteganoError(`a BMP of ${found}; expected 24 or 32, 0 and 1`);
  }
  if (width < 1 || !signed) {
    throw new SteganoError(`a BMP of ${width} x ${signed} pixels, expected at least 1 x 1`);
  }
  const height = Math.abs(signed);
  const step = bits / 8;
  const stride = Math.ceil((width * step) / 4) * 4;
  const needed = offset + stride * height;
  if (needed > size || size > file.length) {
    const found = `its header says ${size}, and ${file.length} are there`;
    throw new SteganoError(`a BMP of ${width} x ${height} pixels needs ${needed} bytes, ${found}`);
  }
  const data = new Uint8Array(3 * width * height);
  for (let y = 0, to = 0; y < height; y++) {
    let from = offset + (signed < 0 ? y : height - 1 - y) * stride;
    for (let x = 0; x < width; x++, from += step, to += 3) {
      data[to] = file[from + 2];
      data[to + 1] = file[from + 1];
      data[to + 2] = file[from];
    }
  }
  return {height, width, data};
}
