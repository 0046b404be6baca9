/** How a passphrase may be spelled: docs/FORMAT.md, section 2. */
import {SteganoError} from './errors.js';

/** Without a byte order mark in front and Unicode's white space, as Python's `strip` has it, at both ends. */
const stripped = (text) =>
  text.replace(/^\ufeff/, '').replace(/^[\s\x1c-\x1f\x85]+|[\s\x1c-\x1f\x85]+$/g, (blanks) => blanks.replace(/[^\ufeff]/g, ''));

/** @param {string} passphrase @returns {string[]} without repeats; the first one seals */
export function spellings(passphrase) {
  const text = stripped(passphrase);
  if (!text) throw new SteganoError('the passphrase is empty, or of blanks alone');
  return [...new Set([text.normalize('NFC'), passphrase, text.normalize('NFD')])];
}
