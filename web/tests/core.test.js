/** The format's parts against values that can be worked out by hand, or that another program computed. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {ascii, crc32, grouped, hex} from '../src/core/bytes.js';
import * as bmp from '../src/core/bmp.js';
import {decode, encode} from '../src/core/frame.js';
import {resize} from '../src/core/lanczos.js';
import {spellings} from '../src/core/passphrase.js';
import {psnr} from '../src/core/quality.js';
import {correct} from '../src/core/reed_solomon.js';
import {Sound, fromBytes, readWav, toBytes, writeWav} from '../src/core/sound.js';
import {cut, plan, spans} from '../src/core/tiles.js';

const picture = (height, width, data) => ({height, width, data: Uint8Array.from(data)});

test('CRC-32 has the check value of its standard', () => assert.equal(crc32(ascii('123456789')), 0xcbf43926));

test('numbers are grouped as the command groups them', () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(grouped), ['0', '999', '1,000', '1,234,567']);
});

test('a BMP of one red pixel', () => {
  const file = bmp.encode(picture(1, 1, [255, 0, 0]));
  assert.equal(file.length, 58);
  assert.deepEqual([...file.subarray(54)], [0, 0, 255, 0]); // blue, green, red, and the padding of the row
  assert.deepEqual(bmp.decode(file), picture(1, 1, [255, 0, 0]));
});

test('a frame gives back what it was given', async () => {
  const given = {payload: ascii('payload'), secretSize: [3, 5], network: '0123456789abcdef'};
  const frame = await encode(given);
  assert.equal(frame.length, 72 + 7);
  assert.equal(hex(frame.subarray(28, 36)), given.network);
  assert.deepEqual(await decode(frame), {...given, sealed: false, after: 0});
});

test('bytes are samples in the middle of their level', () => {
  const samples = fromBytes(Uint8Array.of(0, 128, 255));
  assert.deepEqual([...samples], [-32640, 128, 32640]);
  assert.deepEqual([...toBytes(samples)], [0, 128, 255]);
});

test('a WAV file gives back its samples, in any depth', () => {
  for (const depth of [16, 24, 32]) {
    const samples = Int32Array.of(-(2 ** (depth - 1)), -1, 0, 2 ** (depth - 1) - 1);
    const sound = readWav(writeWav(samples, {channels: 2, rate: 48000, depth}));
    assert.deepEqual([...sound.samples], [...samples]);
    assert.deepEqual([sound.channels, sound.rate, sound.frames], [2, 48000, 2]);
    assert.deepEqual([...sound.channel(1)], [-1, 32767]);
  }
});

test('floats are rounded half to even, and saturated', () => {
  const sound = new Sound(Float64Array.of(0.5 / 32768, 1.5 / 32768, 1, -1.5), {channels: 1, rate: 1, depth: 0});
  assert.deepEqual([...sound.channel(0)], [0, 2, 32767, -32768]);
});

test('Reed-Solomon corrects half as many symbols as there are check symbols', () => {
  // (x - 1)(x - 2) = x^2 + 3x + 2 has the roots 2^0 and 2^1: a codeword of two check symbols, with the message 0 ... 0.
  const word = new Uint8Array(255);
  word.set([2, 3, 1]);
  assert.equal(correct(word, 253, 2, 1), 0);
  word[100] ^= 77;
  assert.equal(correct(word, 253, 2, 1), 1);
  assert.deepEqual([...word.subarray(0, 3), word[100]], [2, 3, 1, 0]);
  word[5] ^= 1;
  assert.equal(correct(word, 253, 2, 0), -1);
});

test('tiles overlap by twice the halo, and the last ones end with the picture', () => {
  assert.deepEqual(spans(100, 128, 0, 8), [[0, 100, 0, 100]]);
  assert.deepEqual(spans(100, 48, 8, 8), [[0, 48, 0, 40], [32, 80, 40, 64], [56, 100, 64, 100]]);
  assert.equal(plan(300, 100, 128, 0, 8).length, 3);
});

test('what is missing of a tile is mirrored', () => {
  const grey = [1, 2, 3].flatMap((value) => [value, value, value]);
  const tile = cut(picture(1, 3, grey), {rows: [0, 1, 0, 1], columns: [0, 3, 0, 3]}, 4);
  assert.deepEqual([tile.height, tile.width], [4, 4]);
  assert.deepEqual([...tile.data.filter((_, i) => i % 3 === 0).subarray(0, 8)], [1, 2, 3, 3, 1, 2, 3, 3]);
});

test('Lanczos scales as Pillow does', () => {
  // Image.fromarray(uint8[1, 4, 3], of 0, 80, 160, 240).resize((2, 1) and (7, 1), LANCZOS)
  const row = picture(1, 4, [0, 80, 160, 240].flatMap((value) => [value, value, value]));
  const reds = (width) => [...resize(row, 1, width).data.filter((_, i) => i % 3 === 0)];
  assert.deepEqual(reds(2), [43, 197]);
  assert.deepEqual(reds(7), [0, 18, 73, 120, 167, 222, 246]);
  assert.equal(resize(row, 1, 4), row);
});

test('PSNR: an error of 1 everywhere is 48.13 dB', () => {
  assert.equal(psnr(picture(1, 1, [1, 1, 1]), picture(1, 1, [2, 2, 2])).toFixed(2), '48.13');
  assert.equal(psnr(picture(1, 1, [1, 1, 1]), picture(1, 1, [1, 1, 1])), Infinity);
});

test('passphrases lose blanks at both ends, and are tried as they were typed', () => {
  assert.deepEqual(spellings(' horse '), ['horse', ' horse ']);
  assert.deepEqual(spellings('\ufeffe\u0301'), ['\u00e9', '\ufeffe\u0301', 'e\u0301']);
  assert.throws(() => spellings(' \u3000\t'), /the passphrase is empty, or of blanks alone/);
});
