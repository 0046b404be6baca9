/** Bytes in pictures: tests/vectors read and written again, and parts against values that can be worked out by hand. */
import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import test from 'node:test';
import {ascii, hex, sha256} from '../src/core/bytes.js';
import {SteganoError} from '../src/core/errors.js';
import {decodePng} from '../src/core/payloads.js';
import {decode} from '../src/core/picture/code.js';
import {FILE, PICTURE, fileName, pack, padded, parse, safe} from '../src/core/picture/frame.js';
import {find, hide} from '../src/core/picture/index.js';
import {decoder} from '../src/core/picture/jxl.js';
import {readSalt, saltGroups, writeSalt} from '../src/core/picture/keys.js';
import {embed, extract, room} from '../src/core/picture/lattice.js';
import {keygen, parseIdentities} from '../src/core/seal.js';

const FOLDER = new URL('../../tests/vectors/', import.meta.url);
const {vectors, identity, passphrase} = JSON.parse(await readFile(new URL('pictures.json', FOLDER)));
const picture = async (file) => decodePng(new Uint8Array(await readFile(new URL(file, FOLDER))));
const cover = await picture('picture_none.png');
const decoders = {jxl: decoder(await readFile(fileURLToPath(import.meta.resolve('jxl-oxide-wasm/module.wasm'))))};
const note = {data: ascii('a note\n'), name: 'note.txt', kind: FILE};

for (const vector of vectors) {
  test(vector.file, async () => {
    const key = {passphrase: vector.passphrase ? passphrase : null, identities: vector.identity ? [identity] : []};
    const work = async () => find(await picture(vector.file), key);
    if (vector.error) {
      await assert.rejects(work, (error) => error instanceof SteganoError && error.message.includes(vector.words));
      return;
    }
    const found = await work();
    if (vector.outcome === 'no message') return assert.equal(found, null);
    assert.deepEqual([found.kind, found.name], [vector.outcome === 'picture' ? PICTURE : FILE, vector.name]);
    const content = found.kind === PICTURE ? (await decode(found.data, 16 * 32 * 32, decoders)).data : found.data;
    assert.equal(hex(await sha256(content)), vector.sha256);
    assert.equal(found.sealed, Boolean(vector.passphrase || vector.identity));
  });
}

test('what is hidden for anybody is the picture that the command writes', async () => {
  for (const {file} of vectors.filter(({outcome, identity, passphrase}) => /file|picture/.test(outcome) && !identity && !passphrase)) {
    const expected = await picture(file);
    const {stego, holds} = await hide(cover, await find(expected));
    assert.equal(hex(await sha256(stego.data)), hex(await sha256(expected.data)), file);
    assert.ok(await holds(expected));
    expected.data[0] ^= 1;
    assert.ok(!(await holds(expected)));
  }
});

test('what is hidden for one is found by this one alone', async () => {
  const {identity: mine, recipient} = await keygen();
  for (const [lock, key] of [[{recipients: [recipient]}, {identities: [identity, mine]}], [{passphrase}, {passphrase}]]) {
    const {stego, holds} = await hide(cover, note, lock);
    assert.ok(await holds(stego));
    assert.deepEqual(await find(stego, key), {...note, sealed: true});
    assert.equal(await find(stego), null);
  }
});

test('several recipients and files that are too large are refused', async () => {
  await assert.rejects(hide(cover, note, {recipients: ['age1', 'age2']}), /2 recipients: a message in a picture has one/);
  const large = {...note, data: new Uint8Array(1196)};
  await assert.rejects(hide(cover, large), /has room for 1,191 bytes in one message, expected 1,248/);
});

test('room: 32 x 32 pixels are 384 groups, of which 32 and 7 are taken; 28 bits each, less a tag', () => {
  assert.equal(room(32 * 32 * 3), 1191);
});

test('a message of every size up to the most', async () => {
  const key = Uint8Array.from({length: 32}, (_, i) => i);
  for (const size of [0, 1, 156, 157, 500, 632, 633, 1191]) {
    const [samples, message] = [cover.data.slice(), Uint8Array.from({length: size}, (_, i) => 7 * i)];
    await embed(samples, key, message);
    assert.deepEqual(await extract(samples, key), message);
  }
});

test('the salt is 32 groups, and changes by 1 at most', () => {
  assert.deepEqual(saltGroups(16 * 16 * 3).slice(0, 4), [1, 4, 7, 10]);
  const samples = Uint8Array.from(cover.data);
  const salt = Uint8Array.from({length: 32}, (_, i) => 37 * i);
  writeSalt(samples, salt);
  assert.deepEqual(readSalt(samples), salt);
  assert.equal(Math.max(...samples.map((sample, i) => Math.abs(sample - cover.data[i]))), 1);
  assert.throws(() => saltGroups(3 * 170), /has 170 pixels, expected at least 171/);
});

test('names are safe, as the command makes them', () => {
  const names = ['../../etc/pass\x1bwd', 'C:\\NUL.txt', '.bashrc', '', 'a<b>.txt. ', 'com1', `${'é'.repeat(200)}.txt`];
  const expected = ['passwd', '_NUL.txt', '_bashrc', 'secret', 'a_b_.txt', '_com1', `${'é'.repeat(125)}.txt`];
  assert.deepEqual(names.map(safe), expected);
  assert.equal(fileName({name: 'photo.jpg', kind: PICTURE}), 'photo.png');
});

test('identity files with a mistyped line, or with none', () => {
  assert.deepEqual(parseIdentities(`# a key\n${identity}\n`), [identity]);
  assert.throws(() => parseIdentities(`${identity.slice(0, -1)}Q`), /this is no identity file/);
  assert.throws(() => parseIdentities('# nothing'), /holds no identity/);
});

test('a frame gives back what it was given, also with zeros behind it', async () => {
  const frame = await pack(note);
  assert.equal(frame.length, 44 + 8 + 7);
  assert.deepEqual(await parse(padded(frame, 1000)), note);
  assert.deepEqual([2000, 1010, 10].map((most) => padded(new Uint8Array(1000), most).length), [1024, 1010, 1000]);
});

test('coded pictures that claim too much, or are none', async () => {
  const head = (height, width, step) => Uint8Array.from([height, 0, 0, 0, width, 0, 0, 0, step & 255, step >> 8, 255, 10]);
  await assert.rejects(decode(head(9, 9, 256), 80, decoders), /holds a picture of 9x9, step 256; expected at most 80 pixels/);
  await assert.rejects(decode(head(9, 9, 255), 81, decoders), /step 255/);
  await assert.rejects(decode(head(9, 9, 256), 81, decoders), /holds a JPEG XL picture that cannot be decoded/);
  const avif = (width) => Uint8Array.from([...head(9, 9, 256).subarray(0, 10), ...ascii('ispe'), 0, 0, 0, 0, 0, 0, 0, width, 0, 0, 0, 9]);
  await assert.rejects(decode(avif(10), 81, decoders), /holds an AVIF picture of 10x9, expected at most 81 pixels/);
  await assert.rejects(decode(avif(9).subarray(0, 20), 81, decoders), /holds an AVIF picture of no size/);
});
