/** The bare form: an age file of one passphrase without its fixed text. docs/FORMAT.md, section 6. */
import {ascii, join} from '../bytes.js';
import {SteganoError} from '../errors.js';

const [HEADER, USUAL] = [81, 18];
const START = 'age-encryption.org/v1\n-> scrypt ';

const base64 = (data) => btoa(String.fromCharCode(...data)).replace(/=+$/, '');
const unbase64 = (text) => ascii(atob(text));

/** The age file in bytes that look like noise. @param {Uint8Array} noise */
export function fromNoise(noise) {
  if (noise.length < HEADER + 32) {
    throw new SteganoError(`cannot be opened: ${noise.length} bytes, expected at least ${HEADER + 32}`);
  }
  const stated = noise[16] & 31;
  const factor = stated >= 10 && stated <= 20 ? stated : USUAL;
  const [salt, body, mac] = [[0, 16], [17, 49], [49, 81]].map(([start, stop]) => base64(noise.subarray(start, stop)));
  return join(ascii(`${START}${salt} ${factor}\n${body}\n--- ${mac}\n`), noise.subarray(HEADER));
}

/** What `fromNoise` takes. @param {Uint8Array} sealed an age file with one passphrase */
export function toNoise(sealed) {
  const head = String.fromCharCode(...sealed.subarray(0, 200));
  const found = /^-> scrypt ([^ \n]{22}) (\d+)\n([^\n]{43})\n--- ([^\n]{43})\n/.exec(head.slice(22));
  if (!found) throw new SteganoError('the bare form needs an age file with one passphrase, as age and pyrage write it');
  const [line, salt, factor, body, mac] = found;
  const masked = Number(factor) | (crypto.getRandomValues(new Uint8Array(1))[0] & 0xe0);
  const rest = sealed.subarray(22 + line.length);
  return join(unbase64(salt), Uint8Array.of(masked), unbase64(body), unbase64(mac), rest);
}

/** Samples of which the upper bytes are given and the lower ones are random. @param {Uint8Array} noise */
export function samples(noise) {
  const low = new Uint8Array(noise.length);
  for (let at = 0; at < low.length; at += 65536) crypto.getRandomValues(low.subarray(at, at + 65536));
  return Int16Array.from(noise, (byte, i) => ((byte << 8) | low[i]) - 32768);
}
