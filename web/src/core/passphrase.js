/** How a passphrase may be spelled: docs/FORMAT.md, section 2. */
import {SteganoError} from './errors.js';

// What Python's `strip` takes away: JavaScript's \s has the byte order mark, too, and lacks others.
const BLANK = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';
const BLANKS = new RegExp(`^${BLANK}|${BLANK}$`, 'g');

const stripped = (text) => text.replace(/^\ufeff/, '').replace(BLANKS, '');

/** @param {string} passphrase @returns {string[]} without repeats; the first one seals */
export function spellings(passphrase) {
  const text = stripped(passphrase);
  if (!text) throw new SteganoError('the passphrase is empty, or of blanks alone');
  return [...new Set([text.normalize('NFC'), passphrase, text.normalize('NFD')])];
}
