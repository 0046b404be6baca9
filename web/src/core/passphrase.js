/** How a passphrase may be spelled, and what it costs to guess one: docs/FORMAT.md, section 2. */
import {scryptAsync} from '@noble/hashes/scrypt.js';
import {SteganoError} from './errors.js';

// What Python's `strip` takes away: JavaScript's \s has the byte order mark, too, and lacks others.
const BLANK = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';
export const BLANKS = new RegExp(`^${BLANK}|${BLANK}$`, 'g');

const stripped = (text) => text.replace(/^\ufeff/, '').replace(BLANKS, '');

/** @param {string} passphrase @returns {string[]} without repeats; the first one seals */
export function spellings(passphrase) {
  const text = stripped(passphrase);
  if (!text) throw new SteganoError('the passphrase is empty, or of blanks alone');
  return [...new Set([text.normalize('NFC'), passphrase, text.normalize('NFD')])];
}

/**
 * 32 bytes of a passphrase, as it is spelled, and a salt: some seconds of work and 256 MiB of memory.
 * @param {string} text @param {Uint8Array} salt
 */
export const stretch = (text, salt, N = 2 ** 18) =>
  scryptAsync(new TextEncoder().encode(text), salt, {N, r: 8, p: 1, dkLen: 32, maxmem: 2 ** 29});
