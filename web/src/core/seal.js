/** What is sealed: age files made and opened by age-encryption, within the limits of stegano_tf/sealing/age.py. */
import {Decrypter, Encrypter, armor, generateX25519Identity, identityToRecipient} from 'age-encryption';
import {bech32} from '@scure/base';
import {ascii, grouped, startsWith} from './bytes.js';
import {SteganoError} from './errors.js';
import {spellings} from './passphrase.js';

const MAGIC = ascii('age-encryption.org/v1\n');
const ARMOR = ascii('-----BEGIN AGE ENCRYPTED FILE-----');
const [PADDING, MAX_HEADER, MAX_STANZAS, MAX_WORK_FACTOR] = [1 << 16, 1 << 16, 1000, 22];
const NO_MATCH = /no identity matched/;

/**
 * @param {Uint8Array} plaintext  is padded with zeros to a multiple of `padding` bytes
 * @param {{passphrase?: string, recipients?: string[]}} lock
 * @returns {Promise<Uint8Array>} an age file
 */
export async function seal(plaintext, {passphrase, recipients = []}, padding = PADDING) {
  const encrypter = new Encrypter();
  if (passphrase !== undefined) encrypter.setPassphrase(spellings(passphrase)[0]);
  for (const recipient of recipients) addRecipient(encrypter, recipient.trim());
  const padded = new Uint8Array(Math.ceil(plaintext.length / padding) * padding);
  padded.set(plaintext);
  return encrypter.encrypt(padded);
}

function addRecipient(encrypter, recipient) {
  const expected = 'expected age1…';
  if (/^age-secret-key-/i.test(recipient)) {
    throw new SteganoError(
      `recipient 'AGE-SECRET-KEY-…' is mistyped (this is a SECRET key: give its public key), ${expected}`,
    );
  }
  try {
    // Tags and post-quantum keys are age's too, but the command does not open them.
    if (!/^age1[a-z0-9]{58}$/.test(recipient)) throw new Error(expected);
    encrypter.addRecipient(recipient);
  } catch (error) {
    const shown = recipient.length <= 70 ? recipient : `${recipient.slice(0, 67)}...`;
    throw new SteganoError(`recipient '${shown}' is mistyped, ${expected}`, {cause: error});
  }
}

/** Raises what `seal` would raise for these. @param {string[]} recipients */
export const checkRecipients = (recipients) =>
  recipients.forEach((recipient) => addRecipient(new Encrypter(), recipient.trim()));

/** A new identity and its recipient, as `stegano-tf keygen` writes them. */
export async function keygen() {
  const identity = await generateX25519Identity();
  return {identity, recipient: await identityToRecipient(identity)};
}

/** The identities in the text of an identity file. @param {string} text */
export function parseIdentities(text) {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const identities = lines.filter((line) => line && !line.startsWith('#'));
  if (!identities.every(isIdentity)) {
    throw new SteganoError('this is no identity file, expected AGE-SECRET-KEY-1… lines (SSH keys: the command)');
  }
  if (!identities.length) throw new SteganoError('the file holds no identity, expected a line AGE-SECRET-KEY-1…');
  return identities;
}

function isIdentity(line) {
  try {
    return /^AGE-SECRET-KEY-1[A-Z0-9]{58}$/.test(line) && bech32.decodeToBytes(line).bytes.length === 32;
  } catch {
    return false; // a wrong checksum
  }
}

/**
 * @param {Uint8Array} sealed an age file, binary or armored
 * @param {{passphrase?: string | null, identities?: string[]}} key
 * @returns {Promise<Uint8Array>} the plaintext, padding included, once all of it has proved authentic
 */
export async function unseal(sealed, key) {
  const binary = startsWith(sealed, ARMOR) ? unarmored(sealed) : sealed;
  const stanzas = header(binary);
  if (!stanzas[0]?.startsWith('scrypt')) {
    if (!key.identities?.length) {
      throw new SteganoError('cannot be opened: it is sealed for recipients, expected an identity file');
    }
    return decrypt(binary, 'identity', (decrypter) => key.identities.forEach((one) => decrypter.addIdentity(one)));
  }
  checkWorkFactor(stanzas[0]);
  if (!key.passphrase) {
    throw new SteganoError('cannot be opened: it is sealed with a passphrase, and none is given');
  }
  const tries = spellings(key.passphrase);
  for (const [number, spelling] of tries.entries()) {
    try {
      return await decrypt(binary, 'passphrase', (decrypter) => decrypter.addPassphrase(spelling));
    } catch (error) {
      if (number === tries.length - 1) throw error;
    }
  }
}

async function decrypt(binary, wrong, addKey) {
  const decrypter = new Decrypter();
  try {
    addKey(decrypter);
    return await decrypter.decrypt(binary);
  } catch (error) {
    const reason = NO_MATCH.test(error.message) && wrong === 'identity' ? 'no matching keys found' : 'decryption error';
    throw new SteganoError(`cannot be opened: ${reason}; wrong ${wrong}, or damaged`, {cause: error});
  }
}

function unarmored(sealed) {
  try {
    return armor.decode(new TextDecoder().decode(sealed).trim());
  } catch (error) {
    throw new SteganoError('cannot be opened: its armor is damaged', {cause: error});
  }
}

/** The stanzas of a header, without their arrows; raises for one that is too long to be parsed in reasonable time. */
function header(binary) {
  const text = new TextDecoder('latin1').decode(binary.subarray(0, MAX_HEADER));
  const end = text.indexOf('\n--- ');
  const stanzas = text.slice(0, end).split('\n-> ').slice(1);
  if (!startsWith(binary, MAGIC) || end < 0 || stanzas.length > MAX_STANZAS) {
    const most = `${grouped(MAX_HEADER)} bytes and ${grouped(MAX_STANZAS)} recipients`;
    throw new SteganoError(`cannot be opened: its header is damaged, or longer than ${most}`);
  }
  return stanzas;
}

function checkWorkFactor(stanza) {
  const found = /^scrypt [A-Za-z0-9+/]{22} ([1-9][0-9]?)(\n|$)/.exec(stanza);
  if (!found) {
    throw new SteganoError('cannot be opened: its scrypt work factor is no number from 1 to 99, or is damaged');
  }
  if (Number(found[1]) > MAX_WORK_FACTOR) {
    const expected = `expected at most 2^${MAX_WORK_FACTOR}`;
    throw new SteganoError(`cannot be opened: its scrypt work factor is 2^${found[1]}, ${expected}`);
  }
}
