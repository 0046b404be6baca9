/**
 * Reed-Solomon over GF(256), field polynomial 0x11D, generator element 2, first root 2^0: docs/FORMAT.md, section 4.1.
 *
 * Decoding follows Berlekamp and Massey, Chien and Forney (R. E. Blahut, Algebraic Codes for Data Transmission, ch. 7).
 */

const EXP = new Uint8Array(510);
const LOG = new Uint8Array(256);
for (let i = 0, value = 1; i < 255; i++) {
  EXP[i] = EXP[i + 255] = value;
  LOG[value] = i;
  value = value & 128 ? (value << 1) ^ 0x11d : value << 1;
}

const times = (a, b) => (a && b ? EXP[LOG[a] + LOG[b]] : 0);
const over = (a, b) => (a ? EXP[LOG[a] + 255 - LOG[b]] : 0);
const at = (polynomial, log) => polynomial.reduceRight((sum, value) => (sum && EXP[LOG[sum] + log]) ^ value, 0);

/**
 * Corrects a codeword in place: message symbols 0 to `kept` - 1, zeros that are not sent, `checks` check symbols.
 * @param {Uint8Array} word  of kept + checks symbols
 * @param {number} limit  how many wrong symbols are corrected, at most checks / 2
 * @returns {number} how many symbols were wrong; -1 if too many, and then nothing is changed
 */
export function correct(word, kept, checks, limit) {
  const place = (i) => (i < kept ? i : 255 - checks + i - kept);
  const syndromes = Array.from({length: checks}, (_, root) => {
    let sum = 0;
    for (let i = 0; i < word.length; i++) if (word[i]) sum ^= EXP[(LOG[word[i]] + root * place(i)) % 255];
    return sum;
  });
  if (syndromes.every((value) => value === 0)) return 0;
  let [locator, before, length, gap, last] = [[1], [1], 0, 1, 1];
  for (let n = 0; n < checks; n++) {
    let error = syndromes[n];
    for (let i = 1; i <= length; i++) error ^= times(locator[i] ?? 0, syndromes[n - i]);
    if (error) {
      const factor = over(error, last);
      const next = [...locator];
      before.forEach((value, i) => (next[i + gap] = (next[i + gap] ?? 0) ^ times(factor, value)));
      for (let i = 0; i < next.length; i++) next[i] ??= 0;
      if (2 * length <= n) [before, length, last, gap] = [locator, n + 1 - length, error, 0];
      locator = next;
    }
    gap++;
  }
  if (length > limit) return -1;
  const places = [];
  for (let i = 0; i < word.length; i++) if (at(locator, (255 - place(i)) % 255) === 0) places.push(i);
  if (places.length !== length) return -1;
  const evaluator = syndromes.map((_, n) => {
    let sum = 0;
    for (let i = 0; i <= Math.min(n, length); i++) sum ^= times(locator[i] ?? 0, syndromes[n - i]);
    return sum;
  });
  const slope = locator.map((value, i) => (i % 2 ? value : 0)).slice(1);
  for (const i of places) {
    const inverse = (255 - place(i)) % 255;
    // With the first root 2^0, Forney's formula has the factor X once: X * omega(1/X) / lambda'(1/X).
    word[i] ^= times(EXP[place(i)], over(at(evaluator, inverse), at(slope, inverse)));
  }
  return places.length;
}
